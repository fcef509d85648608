//! Which forms of an answer a client takes, and whether it said who it is.

#![cfg_attr(
    not(feature = "compression"),
    expect(dead_code, reason = "nothing is compressed without the feature")
)]

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};

use super::Head;

/// A content coding that answers can be sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    pub(crate) const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// What a request says that decides about the form of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// In the order of [`Coding::ALL`], in thousandths.
    weights: [u16; 3],
    /// Where the plain form is named.
    identity: Option<u16>,
    /// Whether the request holds a cookie or another credential of HTTP itself.
    pub(crate) bears_credentials: bool,
}

impl Accepted {
    /// Reads `head`. What cannot be read is not accepted.
    pub(crate) fn read(head: &Head) -> Self {
        let has = |name| head.headers.contains_key(name);
        let mut named: [Option<u16>; 3] = [None; 3];
        let mut identity = None;
        let mut others = None;
        for line in head.headers.get_all(ACCEPT_ENCODING) {
            for element in line.as_bytes().split(|byte| *byte == b',') {
                let (name, weight) = element_of(element);
                let place = if name == b"*" {
                    &mut others
                } else if name.eq_ignore_ascii_case(b"identity") {
                    &mut identity
                } else {
                    let known = |(coding, _): &(Coding, &mut Option<u16>)| {
                        let name = name.strip_prefix(b"x-").unwrap_or(name);
                        name.eq_ignore_ascii_case(coding.name().as_bytes())
                    };
                    match Coding::ALL.into_iter().zip(&mut named).find(known) {
                        Some((_, place)) => place,
                        None => continue,
                    }
                };
                // Of several words on one coding the most reluctant holds.
                *place = Some(place.map_or(weight, |before| before.min(weight)));
            }
        }
        Self {
            weights: named.map(|weight| weight.or(others).unwrap_or(0)),
            identity,
            bears_credentials: has(COOKIE) || has(AUTHORIZATION) || has(PROXY_AUTHORIZATION),
        }
    }

    /// The coding among `offered` that the client likes best, the first of several; none where it
    /// likes the plain form better.
    pub(crate) fn choose(&self, offered: &[Coding]) -> Option<Coding> {
        let mut best = None;
        let mut most = self.identity.unwrap_or(0);
        for coding in offered {
            let index = Coding::ALL.iter().position(|one| one == coding)?;
            let weight = *self.weights.get(index)?;
            let is_better = match best {
                Some(_) => weight > most,
                None => weight >= most,
            };
            if weight > 0 && is_better {
                (best, most) = (Some(*coding), weight);
            }
        }
        best
    }
}

/// A coding and its weight in thousandths; 0 where that cannot be read.
fn element_of(element: &[u8]) -> (&[u8], u16) {
    let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().unwrap_or_default();
    let weight = match (parts.next(), parts.next()) {
        (None, _) => 1000,
        (Some([b'q' | b'Q', b'=', weight @ ..]), None) => thousandths(weight).unwrap_or(0),
        (Some(_), _) => 0,
    };
    (name, weight)
}

/// RFC 9110 §12.4.2: `0` or `1`, and at most three digits behind the point.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, digits) = match text {
        [whole] => (whole, &[][..]),
        [whole, b'.', digits @ ..] if digits.len() <= 3 => (whole, digits),
        _ => return None,
    };
    let mut value = match whole {
        b'0' => 0,
        b'1' => 1,
        _ => return None,
    };
    for place in 0..3 {
        let digit = digits.get(place).unwrap_or(&b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u16::from(digit - b'0');
    }
    (value <= 1000).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(lines: &[&str], offered: &[Coding]) -> Option<Coding> {
        let mut request = http::Request::builder();
        for line in lines {
            request = request.header(ACCEPT_ENCODING, *line);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        Accepted::read(&head).choose(offered)
    }

    #[test]
    fn the_heaviest_coding_is_chosen_and_of_equals_the_first_on_offer() {
        let all = &Coding::ALL;
        for (line, expected) in [
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip, br", Some(Coding::Brotli)),
            ("GZIP", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("gzip;q=1.0, br;q=0.999, zstd; q=0.5", Some(Coding::Gzip)),
            ("gzip ; q=0.001", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("zstd;q=0, *;q=0.1", Some(Coding::Brotli)),
            ("gzip;q=0.5, identity;q=0.5", Some(Coding::Gzip)),
            ("identity;q=0, gzip;q=0.1", Some(Coding::Gzip)),
        ] {
            assert_eq!(chosen(&[line], all), expected, "{line}");
        }
        assert_eq!(
            chosen(&["gzip", "br;q=0.1"], &[Coding::Brotli, Coding::Gzip]),
            Some(Coding::Gzip)
        );
    }

    #[test]
    fn what_is_refused_unknown_or_unreadable_is_not_chosen() {
        for line in [
            "",
            "identity",
            "deflate, compress",
            "gzip;q=0",
            "gzip;q=0.000, *;q=0",
            "gzip;q=0.5, identity",
            "gzip;q=1.001",
            "gzip;q=2",
            "gzip;q=.5",
            "gzip;q=0.1234",
            "gzip;q=",
            "gzip;q=0,5",
            "gzip;level=9",
            "gzip;q=1;q=1",
            "gzip, gzip;q=0",
            "gzip\u{e9}",
            "gz ip",
        ] {
            assert_eq!(chosen(&[line], &Coding::ALL), None, "{line}");
        }
        assert_eq!(chosen(&[], &Coding::ALL), None);
        assert_eq!(chosen(&["gzip"], &[]), None);
    }
}
