//! Binds what stands in the path, the query, the headers, the cookies and a form to parameters
//! that are known only at start: the way of the Python face.
//!
//! 1. A parameter has one source, and nothing of another source ever fills it.
//! 2. What was not sent is absent, or the violation `missing` where it is required.
//! 3. A value that stands more than once is the violation `duplicate`, unless a list is asked for.
//! 4. Each value is read by [`super::convert`], then held against its constraints; a list against
//!    how many items it may have.
//! 5. Every violation of every parameter is found before anything is refused.
//! 6. A query or form that cannot be decoded is 400: then nothing in it can be told apart.

use std::borrow::Cow;

use http::StatusCode;

use super::convert::{Constraints, Integer, Scalar, ScalarKind};
use crate::cookie::{CookieLimits, Cookies, Found};
use crate::rejection::Rejection;
use crate::request::{Context, Head};
use crate::urlencoded::{Field, UrlencodedLimits, fields};
use crate::violation::{LocItem, Location, Violation, Violations};

/// Where a parameter's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A capture of the path.
    Path,
    /// The query string.
    Query,
    /// A header.
    Header,
    /// A cookie.
    Cookie,
    /// A field of a form.
    Form,
}

impl Source {
    /// The first element of a violation's place.
    pub fn location(self) -> Location {
        match self {
            Self::Path => Location::Path,
            Self::Query => Location::Query,
            Self::Header => Location::Header,
            Self::Cookie => Location::Cookie,
            Self::Form => Location::Form,
        }
    }
}

/// One parameter, as it was declared.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name on the wire; of a header in any case.
    pub wire: String,
    /// Where it comes from.
    pub source: Source,
    /// For a capture: its place in the template.
    pub capture: usize,
    /// What its text is read as.
    pub kind: ScalarKind,
    /// True for a list.
    pub many: bool,
    /// True when it must be there.
    pub required: bool,
    /// What each value must satisfy.
    pub constraints: Constraints,
}

impl Parameter {
    /// The place of this parameter in violations.
    pub fn loc(&self) -> Vec<LocItem> {
        vec![
            self.source.location().into(),
            LocItem::Field(Cow::Owned(self.wire.clone())),
        ]
    }

    fn read(&self, text: &str, loc: Vec<LocItem>, violations: &mut Violations) -> Option<Value> {
        let read = self.kind.read(text);
        match read.and_then(|value| self.constraints.check(&value).map(|()| value)) {
            Ok(value) => Some(Value::from(value)),
            Err(error) => {
                violations.push(error.at(loc));
                None
            }
        }
    }

    fn bind(&self, found: &[Cow<'_, str>], violations: &mut Violations) -> Bound {
        match (self.many, found) {
            (_, []) => {
                if self.required {
                    violations.push(Violation::new(self.loc(), "missing", &()));
                }
                Bound::Absent
            }
            (false, [text]) => match self.read(text, self.loc(), violations) {
                Some(value) => Bound::One(value),
                None => Bound::Absent,
            },
            (false, _) => {
                violations.push(Violation::new(self.loc(), "duplicate", &()));
                Bound::Absent
            }
            (true, texts) => self.bind_all(texts, violations),
        }
    }

    /// As pydantic-core does: of what is too long no item is looked at, and of what has a wrong
    /// item none is missed.
    fn bind_all(&self, texts: &[Cow<'_, str>], violations: &mut Violations) -> Bound {
        if let Err(error) = self.constraints.check_most(texts.len()) {
            violations.push(error.at(self.loc()));
            return Bound::Absent;
        }
        let items = texts.iter().enumerate().filter_map(|(index, text)| {
            let mut loc = self.loc();
            loc.push(LocItem::Index(index));
            self.read(text, loc, violations)
        });
        let items: Vec<_> = items.collect();
        if items.len() == texts.len()
            && let Err(error) = self.constraints.check_least(items.len())
        {
            violations.push(error.at(self.loc()));
            return Bound::Absent;
        }
        Bound::Many(items)
    }
}

/// A value that stands for itself.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// An integer that 64 bits hold.
    Int(i64),
    /// Any other integer, as its text.
    BigInt(String),
    /// A finite float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Text.
    Str(String),
}

impl From<Scalar<'_>> for Value {
    fn from(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Int(Integer::Small(number)) => Self::Int(number),
            Scalar::Int(Integer::Big(text)) => Self::BigInt(text.to_owned()),
            Scalar::Float(number) => Self::Float(number),
            Scalar::Bool(flag) => Self::Bool(flag),
            Scalar::Str(text) => Self::Str(text.to_owned()),
        }
    }
}

/// What was found for a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// Nothing, or nothing that is acceptable.
    Absent,
    /// One value.
    One(Value),
    /// A list.
    Many(Vec<Value>),
}

/// The fields of a form.
#[derive(Debug, Clone, Copy)]
pub enum FormFields<'f> {
    /// There is none.
    None,
    /// As they were sent.
    Urlencoded(&'f [u8]),
    /// By name and value.
    Read(&'f [(String, String)]),
}

/// Binds `parameters` from a request's head, its captures, and from `form` where one was read.
///
/// # Errors
/// 400 for a query, a form or cookies that cannot be read at all.
pub fn bind(
    parameters: &[Parameter],
    head: &Head,
    context: &Context,
    form: FormFields<'_>,
    violations: &mut Violations,
) -> Result<Vec<Bound>, Rejection> {
    let uses = |source| {
        parameters
            .iter()
            .any(|parameter| parameter.source == source)
    };
    let query = match head.uri.query() {
        Some(query) if uses(Source::Query) => decode(query.as_bytes(), "query")?,
        _ => Vec::new(),
    };
    let form = match form {
        FormFields::None => Vec::new(),
        FormFields::Urlencoded(text) => decode(text, "form")?,
        FormFields::Read(fields) => {
            let fields = fields.iter();
            let borrowed = fields.map(|(name, value)| (name.into(), value.into()));
            borrowed.collect()
        }
    };
    let cookies = if uses(Source::Cookie) {
        let lines = head.headers.get_all(http::header::COOKIE);
        let lines = lines.iter().map(http::HeaderValue::as_bytes);
        Some(
            Cookies::parse(lines, &CookieLimits::default())
                .map_err(|fault| Rejection::bad_request(fault.code(), fault.text()))?,
        )
    } else {
        None
    };
    Ok(parameters
        .iter()
        .map(|parameter| match parameter.source {
            Source::Path => {
                let found = context.captures.value(parameter.capture, head.uri.path());
                let found: Vec<_> = found.into_iter().collect();
                parameter.bind(&found, violations)
            }
            Source::Query => parameter.bind(&named(&query, &parameter.wire), violations),
            Source::Form => parameter.bind(&named(&form, &parameter.wire), violations),
            Source::Header => header(parameter, head, violations),
            Source::Cookie => cookie(parameter, cookies.as_ref(), violations),
        })
        .collect())
}

fn decode<'a>(text: &'a [u8], what: &'static str) -> Result<Vec<Field<'a>>, Rejection> {
    fields(text, &UrlencodedLimits::default())
        .collect::<Result<_, _>>()
        .map_err(|fault| {
            Rejection::new(
                StatusCode::BAD_REQUEST,
                fault.code(),
                format!("the {what} cannot be read: {}", fault.text()),
            )
        })
}

fn named<'f>(fields: &'f [Field<'_>], name: &str) -> Vec<Cow<'f, str>> {
    fields
        .iter()
        .filter(|(known, _)| known == name)
        .map(|(_, value)| Cow::Borrowed(&**value))
        .collect()
}

fn header(parameter: &Parameter, head: &Head, violations: &mut Violations) -> Bound {
    let mut found = Vec::new();
    for line in head.headers.get_all(parameter.wire.as_str()) {
        match std::str::from_utf8(line.as_bytes()) {
            Ok(text) => found.push(Cow::Borrowed(text)),
            Err(_) => return unreadable(parameter, violations),
        }
    }
    parameter.bind(&found, violations)
}

fn cookie(
    parameter: &Parameter,
    cookies: Option<&Cookies<'_>>,
    violations: &mut Violations,
) -> Bound {
    let found = cookies.map_or(Found::Absent, |cookies| cookies.find(&parameter.wire));
    match found {
        Found::Absent => parameter.bind(&[], violations),
        Found::One(text) => parameter.bind(&[Cow::Borrowed(text)], violations),
        Found::Unreadable => unreadable(parameter, violations),
        Found::Doubled => {
            violations.push(Violation::new(parameter.loc(), "duplicate", &()));
            Bound::Absent
        }
    }
}

fn unreadable(parameter: &Parameter, violations: &mut Violations) -> Bound {
    violations.push(Violation::new(parameter.loc(), "string_unicode", &()));
    Bound::Absent
}
