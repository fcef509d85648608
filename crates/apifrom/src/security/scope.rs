//! Scopes: what a credential may be used for (RFC 6749 §3.3).
//!
//! 1. A scope is one or more printable ASCII characters without space, `"` and `\`.
//! 2. Scopes are compared whole and case-sensitively.
//! 3. What is required must be held in full.

use std::fmt;
use std::sync::Arc;

/// One scope that an endpoint can require.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Box<str>);

/// A text that is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope is printable ASCII without spaces, quotes and backslashes")]
pub struct ScopeError;

impl Scope {
    /// Reads one scope.
    ///
    /// # Errors
    /// [`ScopeError`] for an empty text, or one with a character that no scope may have.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
        let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(ScopeError);
        }
        Ok(Self(text.into()))
    }

    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The scopes that a credential holds. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Option<Arc<str>>);

impl Scopes {
    /// No scope.
    pub const NONE: Self = Self(None);

    /// Scopes as a token or an authorization server writes them, with a space between two.
    pub fn from_text(text: &str) -> Self {
        Self((!text.is_empty()).then(|| text.into()))
    }

    /// Scopes from a list. What holds a space is no scope, and is left out, so that one element
    /// cannot pass for two.
    pub fn from_list<'a>(list: impl IntoIterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        for scope in list.into_iter().filter(|scope| !scope.contains(' ')) {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(scope);
        }
        Self::from_text(&text)
    }

    /// True when `scope` is among them.
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|held| held == scope)
    }

    /// True when all of `required` are among them.
    pub fn contains_all(&self, required: &[Scope]) -> bool {
        required.iter().all(|scope| self.contains(scope.as_str()))
    }

    /// The scopes one by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0
            .as_deref()
            .unwrap_or_default()
            .split(' ')
            .filter(|scope| !scope.is_empty())
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(scopes: &[&str]) -> Vec<Scope> {
        scopes
            .iter()
            .map(|text| Scope::parse(text).unwrap())
            .collect()
    }

    #[test]
    fn a_scope_has_no_space_quote_backslash_or_control_character() {
        for good in ["read", "https://api.example.com/read", "a!#[]~"] {
            assert_eq!(Scope::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\"b", "a\\b", "a\n", "a\u{7f}", "é"] {
            assert!(Scope::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_required_must_be_held_whole_and_in_full() {
        let held = Scopes::from_text("read write:all");
        assert!(held.contains_all(&required(&["read", "write:all"])));
        assert!(held.contains_all(&[]));
        for missing in [&["write"][..], &["read", "admin"], &["READ"], &["rea"]] {
            assert!(!held.contains_all(&required(missing)), "{missing:?}");
        }
        assert!(!Scopes::NONE.contains_all(&required(&["read"])));
    }

    #[test]
    fn an_element_of_a_list_that_holds_a_space_is_not_two_scopes() {
        let held = Scopes::from_list(["read write", "delete"]);
        assert!(held.contains("delete"));
        assert!(!held.contains("read") && !held.contains("write"));
    }
}
