//! Violations: what of an input is not acceptable, told without repeating the input.
//!
//! 1. A [`Violation`] is a place (`loc`), a rule (`type`) and the rule in words (`msg`). The value
//!    that broke the rule is in none of them.
//! 2. A place begins with a [`Location`] and goes on with field names and list indices. A name that
//!    the client chose (an unknown field, a key of a map) comes in through [`LocItem::client`],
//!    which cuts it and takes out what could forge a log line.
//! 3. Rules have the names that pydantic-core gives them, on both faces. Their wording is the one
//!    of the [`message`] catalogue, on both faces.
//! 4. A wording shows what the endpoint's own schema says (a bound, the allowed values), never what
//!    a library says about the input (the tag that was sent, the reason an address was refused).
//! 5. A request has at most [`Violations::MAX`] of them; whether there were more is remembered.
//!
//! # Examples
//! ```
//! # use apifrom::violation::{ContextValue, LocItem, Location, Violation};
//! let age = Violation::new(
//!     vec![Location::Query.into(), LocItem::from("age")],
//!     "greater_than_equal",
//!     &[("ge", ContextValue::Integer(18))],
//! );
//! assert_eq!(
//!     serde_json::to_string(&age)?,
//!     r#"{"loc":["query","age"],"type":"greater_than_equal","msg":"must be at least 18"}"#,
//! );
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::borrow::Cow;

use serde::Serialize;

mod catalogue;
#[cfg(test)]
mod tests;
mod wording;

pub use self::wording::{Context, ContextValue, kinds, message};

/// What a violation says whose rule the catalogue does not know.
const UNKNOWN_RULE: &str = "is not acceptable";

/// How much of a name that the client chose is shown, in characters.
const CLIENT_NAME_LENGTH: usize = 64;

/// The part of a request in which a value was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    /// The body, when it is not a form.
    Body,
    /// The query string.
    Query,
    /// A capture of the path.
    Path,
    /// A header.
    Header,
    /// A cookie.
    Cookie,
    /// A field of a form.
    Form,
}

impl Location {
    /// The first element of a `loc`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Query => "query",
            Self::Path => "path",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Form => "form",
        }
    }
}

/// One step of the way to a faulty value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum LocItem {
    /// A location, field or parameter.
    Field(Cow<'static, str>),
    /// A place in a list, counted from 0.
    Index(usize),
}

impl LocItem {
    /// A name that the client chose: its first 64 characters that are neither control characters
    /// nor marks that turn the direction of the text around them.
    pub fn client(name: &str) -> Self {
        let shown = name.chars().filter(|c| !is_control(*c));
        Self::Field(Cow::Owned(shown.take(CLIENT_NAME_LENGTH).collect()))
    }
}

fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
        )
}

impl From<Location> for LocItem {
    fn from(location: Location) -> Self {
        Self::Field(Cow::Borrowed(location.as_str()))
    }
}

/// A name that the program chose. For one that came with the request, see [`LocItem::client`].
impl From<&'static str> for LocItem {
    fn from(name: &'static str) -> Self {
        Self::Field(Cow::Borrowed(name))
    }
}

impl From<usize> for LocItem {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// One rule that one value breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The way to the value.
    pub loc: Vec<LocItem>,
    /// The rule, for programs.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The rule, for people.
    pub msg: Cow<'static, str>,
}

impl Violation {
    /// A violation in the wording of the catalogue.
    pub fn new<C: Context + ?Sized>(
        loc: Vec<LocItem>,
        kind: impl Into<Cow<'static, str>>,
        context: &C,
    ) -> Self {
        let kind = kind.into();
        let msg = message(&kind, context).unwrap_or(Cow::Borrowed(UNKNOWN_RULE));
        Self { loc, kind, msg }
    }

    /// A violation in words of the user's own.
    ///
    /// # Security
    /// The words reach the client. They must come from the user's code, not from a library that
    /// puts the input into them.
    pub fn with_message(
        loc: Vec<LocItem>,
        kind: impl Into<Cow<'static, str>>,
        msg: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            loc,
            kind: kind.into(),
            msg: msg.into(),
        }
    }
}

/// The violations of one request: the first [`Violations::MAX`], and whether there were more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    list: Vec<Violation>,
    truncated: bool,
}

impl Violations {
    /// How many violations are kept.
    pub const MAX: usize = 100;

    /// No violation yet.
    pub const fn new() -> Self {
        Self {
            list: Vec::new(),
            truncated: false,
        }
    }

    /// Adds a violation, or remembers that there was one too many.
    pub fn push(&mut self, violation: Violation) {
        if self.list.len() < Self::MAX {
            self.list.push(violation);
        } else {
            self.truncated = true;
        }
    }

    /// Takes over the violations of `other`.
    pub fn append(&mut self, other: Self) {
        self.extend(other.list);
        self.truncated |= other.truncated;
    }

    /// The violations in the order they were found.
    pub fn as_slice(&self) -> &[Violation] {
        &self.list
    }

    /// True while nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// True when there were more than are kept. Whoever looks for violations may stop there.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// `Ok` while nothing was found.
    ///
    /// # Errors
    /// The violations themselves, when there are any.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl Extend<Violation> for Violations {
    fn extend<I: IntoIterator<Item = Violation>>(&mut self, violations: I) {
        for violation in violations {
            self.push(violation);
            if self.truncated {
                break;
            }
        }
    }
}

impl FromIterator<Violation> for Violations {
    fn from_iter<I: IntoIterator<Item = Violation>>(violations: I) -> Self {
        let mut collected = Self::new();
        collected.extend(violations);
        collected
    }
}

impl From<Violation> for Violations {
    fn from(violation: Violation) -> Self {
        Self::from_iter([violation])
    }
}
