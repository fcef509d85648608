//! base64url without padding (RFC 7515 §2), in exactly one spelling per value.
//!
//! Padding, white space, the other alphabet and bits beyond the last byte are refused: a token that
//! could be spelled in two ways could pass a store of revoked tokens under the second.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The bytes that `text` spells.
pub(in crate::security) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; decoded_len(text.len())];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// The bytes that `text` spells, in a buffer that must be large enough for them.
pub(super) fn decode_into<'b>(text: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let length = URL_SAFE_NO_PAD.decode_slice(text, buffer).ok()?;
    buffer.get(..length)
}

/// `bytes` as text.
pub(in crate::security) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Adds `bytes` as text.
pub(super) fn encode_onto(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// How much room the decoder asks for.
fn decoded_len(length: usize) -> usize {
    length.div_ceil(4) * 3
}
