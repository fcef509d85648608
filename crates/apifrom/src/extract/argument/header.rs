//! Headers and cookies.

use std::borrow::Cow;
use std::ops::Deref;

use http::header::{COOKIE, HeaderName, HeaderValue};

use super::parameter::{FromParameters, Given, Part, Reading, Texts};
use super::via::BuiltIn;
use super::{Faults, Kind, Place, loc};
use crate::cookie::{CookieLimits, Cookies, Found};
use crate::rejection::Rejection;
use crate::request::Request;
use crate::violation::{Location, Violation};

/// A header of the request.
///
/// Its name is the parameter's, with `-` for `_`; `#[name("X-Request-Source")]` gives another. A
/// header that is sent twice is the violation `duplicate`, unless `T` is a `Vec`.
///
/// # Examples
/// ```
/// # use apifrom::{api, endpoints, Api, Header};
/// #[api(route = "/", method = "GET")]
/// fn greet(accept_language: Header<Option<String>>) -> String {
///     accept_language.0.unwrap_or_else(|| "en".into())
/// }
/// # Api::new().endpoints(endpoints![greet]).build()?;
/// # Ok::<(), apifrom::ConfigErrors>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header<T>(pub T);

/// A cookie of the request, by the name of the parameter or of `#[name("…")]`.
///
/// A cookie that is sent twice is the violation `duplicate`: which of them counts would be the
/// browser's choice.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie<T>(pub T);

/// Shows nothing: cookies are credentials.
impl<T> std::fmt::Debug for Cookie<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookie(***)")
    }
}

impl<T> From<T> for Header<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> From<T> for Cookie<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Header<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Deref for Cookie<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> BuiltIn for Header<T> {
    type Declared = Texts<InHeader, T, Self>;

    const KIND: Kind = Kind::Head;

    fn declared(name: &'static str) -> Self::Declared {
        Texts::new(name)
    }
}

impl<T> BuiltIn for Cookie<T> {
    type Declared = Texts<InCookie, T, Self>;

    const KIND: Kind = Kind::Head;

    fn declared(name: &'static str) -> Self::Declared {
        Texts::new(name)
    }
}

/// The header fields.
pub struct InHeader;

impl Part for InHeader {
    type Name = HeaderName;

    const LOCATION: Location = Location::Header;

    fn wire(name: &'static str) -> Cow<'static, str> {
        Cow::Owned(name.replace('_', "-"))
    }

    fn name(wire: &str, place: &mut dyn Place) -> Option<HeaderName> {
        let name = HeaderName::from_bytes(wire.as_bytes());
        name.map_err(|_| place.error(format!("{wire:?} is no name of a header")))
            .ok()
    }

    fn read<T: FromParameters>(
        name: &HeaderName,
        wire: &str,
        request: &Request,
        faults: &mut Faults,
    ) -> Reading<T> {
        let lines = request.head().headers.get_all(name);
        // Judged before any of them is read: where one is no text, nothing is said of the others.
        if lines
            .iter()
            .any(|line| std::str::from_utf8(line.as_bytes()).is_err())
        {
            return not_unicode(Self::LOCATION, wire, faults);
        }
        let texts = lines
            .iter()
            .filter_map(|line| std::str::from_utf8(line.as_bytes()).ok())
            .map(Cow::Borrowed);
        T::from_parameters(texts, &mut Given::new(Self::LOCATION, wire, faults))
    }
}

/// The cookies.
pub struct InCookie;

impl Part for InCookie {
    type Name = ();

    const LOCATION: Location = Location::Cookie;

    fn name(_: &str, _: &mut dyn Place) -> Option<()> {
        Some(())
    }

    fn read<T: FromParameters>(
        (): &(),
        wire: &str,
        request: &Request,
        faults: &mut Faults,
    ) -> Reading<T> {
        let lines = request.head().headers.get_all(COOKIE).iter();
        let lines = lines.map(HeaderValue::as_bytes);
        let cookies = match Cookies::parse(lines, &CookieLimits::default()) {
            Ok(cookies) => cookies,
            Err(fault) => {
                faults.refuse(Rejection::bad_request(fault.code(), fault.text()));
                return Reading::Refused;
            }
        };
        let text = match cookies.find(wire) {
            Found::Absent => None,
            Found::One(text) => Some(Cow::Borrowed(text)),
            Found::Unreadable => return not_unicode(Self::LOCATION, wire, faults),
            Found::Doubled => {
                let loc = loc(Self::LOCATION, wire);
                faults.push(Violation::new(loc, "duplicate", &()));
                return Reading::Refused;
            }
        };
        let mut given = Given::new(Self::LOCATION, wire, faults);
        T::from_parameters(text.into_iter(), &mut given)
    }
}

fn not_unicode<T>(location: Location, wire: &str, faults: &mut Faults) -> Reading<T> {
    faults.push(Violation::new(loc(location, wire), "string_unicode", &()));
    Reading::Refused
}
