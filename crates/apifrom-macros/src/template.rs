//! The path template of a route: its captures are what parameters are matched against.
//!
//! The rules are those of `apifrom::PathTemplate`, which has the last word when the API is built;
//! here they are told where the template is written.

use syn::LitStr;

/// What a template is written like.
const FORM: &str = "a template looks like \"/users/{user_id}\" or \"/files/{*rest}\"";

/// A template that can be served, and the names of its captures.
pub(crate) struct Template {
    pub(crate) text: LitStr,
    captures: Vec<String>,
}

impl Template {
    pub(crate) fn parse(text: &LitStr) -> syn::Result<Self> {
        match captures(&text.value()) {
            Ok(captures) => Ok(Self {
                text: text.clone(),
                captures,
            }),
            Err(wrong) => Err(syn::Error::new(text.span(), format!("{wrong}; {FORM}"))),
        }
    }

    /// True when `name` is one of the captures.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.captures.iter().any(|capture| capture == name)
    }
}

fn captures(template: &str) -> Result<Vec<String>, String> {
    let Some(rest) = template.strip_prefix('/') else {
        return Err(format!("{template:?} does not begin with '/'"));
    };
    let mut names: Vec<String> = Vec::new();
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let Some((name, is_rest)) = capture(segment)? else {
            continue;
        };
        if is_rest && segments.peek().is_some() {
            return Err(format!("{segment:?} must be the last segment"));
        }
        if names.iter().any(|known| known == name) {
            return Err(format!("the capture {name:?} stands twice"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// The name in the braces of `segment`, and whether it takes the rest of the path.
fn capture(segment: &str) -> Result<Option<(&str, bool)>, String> {
    if !segment.contains(['{', '}']) {
        let unreachable = |c: char| c.is_control() || matches!(c, '\\' | '?' | '#');
        if matches!(segment, "." | "..") || segment.contains(unreachable) {
            return Err(format!("the segment {segment:?} can never match a path"));
        }
        // What other frameworks write is a literal here, and would wait for a path that never comes.
        if segment.starts_with([':', '<', '*']) {
            return Err(format!(
                "a capture is a whole segment in braces; found {segment:?}"
            ));
        }
        return Ok(None);
    }
    let inner = segment
        .strip_prefix('{')
        .and_then(|segment| segment.strip_suffix('}'))
        .filter(|inner| !inner.contains(['{', '}']))
        .ok_or_else(|| format!("a capture is a whole segment in braces; found {segment:?}"))?;
    let name = inner.strip_prefix('*').unwrap_or(inner);
    let mut letters = name.chars();
    let well_named = letters
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_');
    if !well_named {
        return Err(format!(
            "a capture's name is made of letters, digits and '_'; found {name:?}"
        ));
    }
    Ok(Some((name, inner.starts_with('*'))))
}

#[cfg(test)]
mod tests {
    use super::captures;

    #[test]
    fn captures_are_listed_from_left_to_right() {
        assert_eq!(
            captures("/users/{user_id}/files/{*rest}"),
            Ok(vec!["user_id".to_owned(), "rest".to_owned()])
        );
        assert_eq!(captures("/"), Ok(Vec::new()));
    }

    #[test]
    fn malformed_templates_say_what_is_wrong() {
        for (template, expected) in [
            ("users", "begin with '/'"),
            ("/a{id}", "whole segment"),
            ("/{id", "whole segment"),
            ("/{{id}}", "whole segment"),
            ("/{}", "name"),
            ("/{1a}", "name"),
            ("/{a}/{a}", "twice"),
            ("/{*a}/b", "last"),
            ("/a/../b", "never match"),
            ("/:id", "whole segment"),
            ("/<id>", "whole segment"),
            ("/*rest", "whole segment"),
            ("/a?b", "never match"),
        ] {
            let wrong = captures(template).unwrap_err();
            assert!(wrong.contains(expected), "{template}: {wrong}");
        }
    }
}
