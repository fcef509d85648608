//! Keeps what a client sent from breaking a line of the log.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with control characters and the line separators of Unicode written as escapes.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if !text.contains(breaks) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if breaks(c) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_and_control_characters_are_written_out() {
        assert_eq!(escaped("a\r\nb\tc"), "a\\r\\nb\\tc");
        assert_eq!(escaped("\u{1b}[31m\0"), "\\u{1b}[31m\\u{0}");
        assert_eq!(escaped("\u{2028}\u{85}"), "\\u{2028}\\u{85}");
        assert!(matches!(escaped("caf\u{e9} \"x\""), Cow::Borrowed(_)));
    }
}
