//! Path templates: `/users/{user_id}`, `/files/{*rest}`.
//!
//! A template is written decoded, as a person reads it. A capture fills a whole segment and is
//! never empty; `{*rest}` stands last and takes at least one character, slashes included.

use std::fmt;

use super::path::MAX_CAPTURES;

/// A route's template, known to be well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    text: Box<str>,
    segments: Vec<Segment>,
    places: Box<[CapturePlace]>,
}

/// Where a capture stands in a path that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CapturePlace {
    /// How many segments stand before it.
    pub(super) segment: usize,
    /// True for `{*rest}`, which takes what is left of the path.
    pub(super) takes_rest: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Capture(Box<str>),
    Rest(Box<str>),
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// It does not begin with `/`.
    #[error("expected a path that begins with '/', found {0:?}")]
    NotAbsolute(String),
    /// A brace outside a capture, or a capture that is only part of a segment.
    #[error("a capture is a whole segment, '{{name}}' or '{{*name}}'; found {0:?}")]
    Braces(String),
    /// The name in the braces is no identifier.
    #[error("expected a name of letters, digits and '_' in the braces, found {0:?}")]
    Name(String),
    /// Two captures of one name.
    #[error("the capture {0:?} stands twice")]
    Doubled(String),
    /// `{*rest}` before the last segment.
    #[error("'{{*{0}}}' must be the last segment")]
    RestNotLast(String),
    /// More captures than a template may hold.
    #[error("more than {MAX_CAPTURES} captures")]
    TooMany,
    /// A literal that no request can match.
    #[error(
        "the segment {0:?} can never match: dot segments, '\\', '?', '#' and control characters are refused in paths"
    )]
    Unreachable(String),
}

impl PathTemplate {
    /// Parses `text`.
    ///
    /// # Errors
    /// [`TemplateError`] names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(TemplateError::NotAbsolute(text.into()));
        };
        let mut segments = Vec::new();
        for part in rest.split('/') {
            if let Some(Segment::Rest(name)) = segments.last() {
                return Err(TemplateError::RestNotLast(name.to_string()));
            }
            segments.push(Segment::parse(part)?);
        }
        let places = segments
            .iter()
            .enumerate()
            .filter(|(_, segment)| !matches!(segment, Segment::Literal(_)))
            .map(|(index, segment)| CapturePlace {
                segment: index,
                takes_rest: matches!(segment, Segment::Rest(_)),
            })
            .collect();
        let template = Self {
            text: text.into(),
            segments,
            places,
        };
        let names: Vec<_> = template.captures().collect();
        if names.len() > MAX_CAPTURES {
            return Err(TemplateError::TooMany);
        }
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|earlier| earlier == name) {
                return Err(TemplateError::Doubled((*name).into()));
            }
        }
        Ok(template)
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the captures, from left to right.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Capture(name) | Segment::Rest(name) => Some(&**name),
        })
    }

    /// Where the captures stand, from left to right.
    pub(super) fn places(&self) -> &[CapturePlace] {
        &self.places
    }

    /// This template below `prefix`, which has no trailing slash.
    ///
    /// # Errors
    /// As [`PathTemplate::parse`].
    pub fn below(&self, prefix: &str) -> Result<Self, TemplateError> {
        Self::parse(&format!("{}{}", prefix.trim_end_matches('/'), self.text))
    }

    /// The form that the router matches canonical paths against; captures carry positions for
    /// names, so that templates which differ in names alone share one place.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::new();
        let mut position = 0_usize;
        for segment in &self.segments {
            pattern.push('/');
            match segment {
                Segment::Literal(text) => pattern.push_str(&text.replace('%', "%25")),
                Segment::Capture(_) => {
                    pattern.extend(["{p", &position.to_string(), "}"]);
                    position += 1;
                }
                Segment::Rest(_) => {
                    pattern.extend(["{*p", &position.to_string(), "}"]);
                    position += 1;
                }
            }
        }
        pattern
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Segment {
    fn parse(part: &str) -> Result<Self, TemplateError> {
        if !part.contains(['{', '}']) {
            let reachable = !matches!(part, "." | "..")
                && !part.contains(|c: char| c.is_control() || matches!(c, '\\' | '?' | '#'));
            return if reachable {
                Ok(Self::Literal(part.into()))
            } else {
                Err(TemplateError::Unreachable(part.into()))
            };
        }
        let inner = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
            .filter(|inner| !inner.contains(['{', '}']))
            .ok_or_else(|| TemplateError::Braces(part.into()))?;
        let name = inner.strip_prefix('*').unwrap_or(inner);
        let mut letters = name.chars();
        let well_named = letters
            .next()
            .is_some_and(|first| first.is_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_alphanumeric() || letter == '_');
        if !well_named {
            return Err(TemplateError::Name(name.into()));
        }
        Ok(if inner.starts_with('*') {
            Self::Rest(name.into())
        } else {
            Self::Capture(name.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_are_listed_from_left_to_right() -> Result<(), TemplateError> {
        let template = PathTemplate::parse("/users/{user_id}/files/{*rest}")?;
        assert_eq!(template.captures().collect::<Vec<_>>(), ["user_id", "rest"]);
        assert_eq!(template.pattern(), "/users/{p0}/files/{*p1}");
        assert_eq!(template.to_string(), "/users/{user_id}/files/{*rest}");
        Ok(())
    }

    #[test]
    fn literals_are_written_decoded() -> Result<(), TemplateError> {
        assert_eq!(
            PathTemplate::parse("/100%/caf\u{e9}")?.pattern(),
            "/100%25/caf\u{e9}"
        );
        assert_eq!(PathTemplate::parse("/")?.pattern(), "/");
        Ok(())
    }

    #[test]
    fn malformed_templates_say_which_part_is_wrong() {
        let wrong = |text: &str| PathTemplate::parse(text).map_err(|error| error.to_string());
        assert!(wrong("users").is_err_and(|e| e.contains("begins with '/'")));
        assert!(wrong("/a{id}").is_err_and(|e| e.contains("whole segment")));
        assert!(wrong("/{id").is_err_and(|e| e.contains("whole segment")));
        assert!(wrong("/{{id}}").is_err_and(|e| e.contains("whole segment")));
        assert!(wrong("/{}").is_err_and(|e| e.contains("name")));
        assert!(wrong("/{1a}").is_err_and(|e| e.contains("name")));
        assert!(wrong("/{a}/{a}").is_err_and(|e| e.contains("twice")));
        assert!(wrong("/{*a}/b").is_err_and(|e| e.contains("last")));
        assert!(wrong("/a/../b").is_err_and(|e| e.contains("never match")));
        assert!(wrong("/a?b").is_err_and(|e| e.contains("never match")));
        let many: String =
            (0..13).fold(String::new(), |path, n| path + "/{c" + &n.to_string() + "}");
        assert!(wrong(&many).is_err_and(|e| e.contains("more than 12")));
    }

    #[test]
    fn a_prefix_goes_in_front() -> Result<(), TemplateError> {
        let template = PathTemplate::parse("/{id}")?.below("/v1/")?;
        assert_eq!(template.as_str(), "/v1/{id}");
        Ok(())
    }
}
