//! Writes text between quotes, escaping what RFC 8259 §7 wants escaped and nothing else.

/// What follows the backslash in a byte's escape: 0 for a byte that stands for itself, `u` for one
/// that has no short form.
const fn escape_of(byte: u8) -> u8 {
    match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0C => b'f',
        b'\r' => b'r',
        b'"' | b'\\' => byte,
        0..0x20 => b'u',
        _ => 0,
    }
}

const HEX: [u8; 16] = *b"0123456789abcdef";

/// Appends `text` as a JSON string, its quotes included.
pub(super) fn push_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, after) = rest.split_at(plain_prefix(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = after.split_first() else {
            break;
        };
        push_escape(byte, out);
        rest = after;
    }
    out.push(b'"');
}

fn push_escape(byte: u8, out: &mut Vec<u8>) {
    match escape_of(byte) {
        b'u' => {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xF)]);
        }
        letter => out.extend_from_slice(&[b'\\', letter]),
    }
}

/// How many bytes at the beginning stand for themselves.
fn plain_prefix(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    // Eight bytes at once for as long as none of them needs a closer look.
    let clean = words
        .iter()
        .take_while(|word| !holds_escape(u64::from_ne_bytes(**word)))
        .count()
        * 8;
    let tail = bytes.get(clean..).unwrap_or_default();
    clean
        + tail
            .iter()
            .position(|&byte| escape_of(byte) != 0)
            .unwrap_or(tail.len())
}

/// True when a byte of `word` is a control character, a quote or a backslash. A carry may make it
/// true for a neighbour of such a byte, never false for the byte itself.
fn holds_escape(word: u64) -> bool {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = has_zero(word ^ (ONES * 0x22));
    let backslash = has_zero(word ^ (ONES * 0x5C));
    (control | quote | backslash) & HIGHS != 0
}
