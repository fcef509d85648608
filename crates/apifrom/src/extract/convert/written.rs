//! How values are written that a library reads afterwards: what it takes beyond this is refused
//! before it is asked.

use super::{MAX_INTEGER_DIGITS, is_whole, split_digits};

/// Whether `text` is a decimal number: an optional `-`, a whole number without leading zeros, and a
/// fraction where there is one.
///
/// It has at most 4,300 digits and no exponent, so that whatever is computed with it stays small.
///
/// # Examples
/// ```
/// # use apifrom::extract::convert::is_decimal;
/// assert!(is_decimal("-12.50"));
/// assert!(!is_decimal("1e5"));
/// assert!(!is_decimal(" 1"));
/// ```
pub fn is_decimal(text: &str) -> bool {
    let (whole, rest) = split_digits(text.strip_prefix('-').unwrap_or(text));
    let fits = text.len() <= MAX_INTEGER_DIGITS + "-.".len();
    let fraction_ends = match rest.strip_prefix('.') {
        Some(fraction) => {
            let (digits, after) = split_digits(fraction);
            !digits.is_empty() && after.is_empty()
        }
        None => rest.is_empty(),
    };
    fits && is_whole(whole) && fraction_ends
}

/// Whether `text` begins as dates do in ISO 8601: `2024-12-31`, and `T` or a space before a time of
/// day where there is one. That the day and the time exist is not asked.
///
/// # Examples
/// ```
/// # use apifrom::extract::convert::is_date;
/// assert!(is_date("2024-12-31"));
/// assert!(is_date("2024-12-31T23:59:59Z"));
/// assert!(!is_date("1735689599"));
/// ```
pub fn is_date(text: &str) -> bool {
    const SHAPE: &[u8] = b"dddd-dd-dd";
    let Some((date, after)) = text.as_bytes().split_at_checked(SHAPE.len()) else {
        return false;
    };
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    };
    date.iter().zip(SHAPE).all(fits)
        && matches!(after, [] | [b'T' | b't' | b' ', ..])
        && after.is_ascii()
}
