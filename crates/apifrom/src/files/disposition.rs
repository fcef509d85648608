//! What a browser does with a file, and under which name (RFC 6266).

use std::fmt::Write as _;

use http::header::HeaderValue;

/// What a browser does with a file that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Disposition {
    /// It saves it.
    #[default]
    Attachment,
    /// It shows it, if it can.
    Inline,
}

/// A name that no file can be saved under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file's name may not hold control characters")]
pub struct FileNameError;

/// The `Content-Disposition` of a file called `filename`: a name in ASCII for everyone, and the name
/// itself in RFC 8187's encoding where the two differ.
///
/// # Errors
/// When `filename` holds control characters.
pub fn content_disposition(
    disposition: Disposition,
    filename: &str,
) -> Result<HeaderValue, FileNameError> {
    if filename.chars().any(char::is_control) {
        return Err(FileNameError);
    }
    // Quotes, backslashes and `%` are read in different ways by different browsers.
    let is_plain = |character: char| {
        character.is_ascii_graphic() && !matches!(character, '"' | '\\' | '%') || character == ' '
    };
    let mut value = String::with_capacity(32 + filename.len());
    value.push_str(match disposition {
        Disposition::Attachment => "attachment; filename=\"",
        Disposition::Inline => "inline; filename=\"",
    });
    value.extend(
        filename
            .chars()
            .map(|character| if is_plain(character) { character } else { '_' }),
    );
    value.push('"');
    if !filename.chars().all(is_plain) {
        value.push_str("; filename*=UTF-8''");
        for byte in filename.bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                value.push(char::from(byte));
            } else {
                // Writing to a `String` cannot fail.
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    HeaderValue::try_from(value).map_err(|_| FileNameError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_sent_in_ascii_and_as_it_is_where_the_two_differ() {
        for (name, expected) in [
            ("report 1.pdf", "attachment; filename=\"report 1.pdf\""),
            ("", "attachment; filename=\"\""),
            (
                "r\u{e9}sum\u{e9}.pdf",
                "attachment; filename=\"r_sum_.pdf\"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf",
            ),
            (
                "a\"; x=\\%2e.sh",
                "attachment; filename=\"a_; x=__2e.sh\"; filename*=UTF-8''a%22%3B%20x%3D%5C%252e.sh",
            ),
        ] {
            let value = content_disposition(Disposition::Attachment, name).unwrap();
            assert_eq!(value, expected, "{name:?}");
        }
        let inline = content_disposition(Disposition::Inline, "a.pdf").unwrap();
        assert_eq!(inline, "inline; filename=\"a.pdf\"");
    }

    #[test]
    fn a_name_with_control_characters_is_no_name() {
        for name in ["a\r\nSet-Cookie: b", "\0", "a\u{7f}", "a\u{85}", "\t"] {
            let refused = content_disposition(Disposition::Attachment, name);
            assert_eq!(refused, Err(FileNameError), "{name:?}");
        }
    }
}
