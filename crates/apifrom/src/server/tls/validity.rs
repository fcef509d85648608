//! From when to when a certificate is valid, read from its DER form (RFC 5280 §4.1).
//!
//! Nothing is decided by this but a warning, so whatever cannot be read is passed over in silence:
//! that a certificate can be used at all is checked elsewhere.

use std::time::Duration;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, which holds the version where there is one.
const VERSION: u8 = 0xa0;

/// What is wrong with using `certificate` at `now`, the time since the Unix epoch.
pub(super) fn complaint(certificate: &[u8], now: Duration) -> Option<&'static str> {
    let (begins, ends) = validity(certificate)?;
    let now = i64::try_from(now.as_secs()).ok()?;
    if now < begins {
        Some("is not valid yet")
    } else if now > ends {
        Some("has expired")
    } else {
        None
    }
}

/// The first and the last second, since the Unix epoch.
fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = skip(fields)?;
    }
    // Serial number, signature algorithm and issuer come before it.
    for _ in 0..3 {
        fields = skip(fields)?;
    }
    let (validity, _) = element(fields, SEQUENCE)?;
    let (begins, rest) = time(validity)?;
    let (ends, _) = time(rest)?;
    Some((begins, ends))
}

/// The content of the first element, which must have `tag`, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        // The long form: the number of length bytes, then those.
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        let length = bytes
            .iter()
            .fold(0, |length, &byte| length << 8 | usize::from(byte));
        (length, rest)
    };
    (found == tag).then_some(())?;
    rest.split_at_checked(length)
}

fn skip(der: &[u8]) -> Option<&[u8]> {
    Some(element(der, *der.first()?)?.1)
}

fn time(der: &[u8]) -> Option<(i64, &[u8])> {
    let tag = *der.first()?;
    let (text, rest) = element(der, tag)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest_of_text) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            // RFC 5280 §4.1.2.5.1: two digits stand for 1950 to 2049.
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest_of_text.get(at..at + 2)?.parse::<i64>().ok();
    let days = days_since_epoch(year, part(0)?, part(2)?);
    let seconds = part(4)? * 3600 + part(6)? * 60 + part(8)?;
    Some((days * 86_400 + seconds, rest))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day at the end, which makes all months before it
    // regular; an era of 400 such years has a fixed length.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate with nothing in it but what stands before and in its validity.
    fn certificate(begins: (u8, &str), ends: (u8, &str)) -> Vec<u8> {
        fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
            // The long form throughout, as real certificates need it.
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&[tag, 0x82], &length[..], content].concat()
        }
        let time = |(tag, text): (u8, &str)| wrapped(tag, text.as_bytes());
        let fields = [
            wrapped(VERSION, &[2, 1, 2]),
            wrapped(2, &[1]),
            wrapped(SEQUENCE, &[5, 0]),
            wrapped(SEQUENCE, &[]),
            wrapped(SEQUENCE, &[time(begins), time(ends)].concat()),
        ];
        wrapped(SEQUENCE, &wrapped(SEQUENCE, &fields.concat()))
    }

    #[test]
    fn both_forms_of_a_time_are_read() {
        let der = certificate(
            (UTC_TIME, "700101000000Z"),
            (GENERALIZED_TIME, "20500228235959Z"),
        );
        assert_eq!(validity(&der), Some((0, 2_529_705_599)));
        let der = certificate((UTC_TIME, "491231235959Z"), (UTC_TIME, "500101000000Z"));
        assert_eq!(validity(&der), Some((2_524_607_999, -631_152_000)));
    }

    #[test]
    fn a_certificate_out_of_its_time_is_complained_of() {
        let der = certificate((UTC_TIME, "000301000000Z"), (UTC_TIME, "000302000000Z"));
        let at = |seconds| complaint(&der, Duration::from_secs(seconds));
        assert_eq!(at(951_868_799), Some("is not valid yet"));
        assert_eq!(at(951_868_800), None);
        assert_eq!(at(951_955_200), None);
        assert_eq!(at(951_955_201), Some("has expired"));
    }

    #[test]
    fn what_is_no_certificate_is_passed_over() {
        let der = certificate((UTC_TIME, "000301000000Z"), (UTC_TIME, "0003Z"));
        assert_eq!(validity(&der), None);
        let good = certificate((UTC_TIME, "000301000000Z"), (UTC_TIME, "000302000000Z"));
        for length in 0..good.len() {
            assert_eq!(validity(&good[..length]), None);
        }
    }
}
