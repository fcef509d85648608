//! JSON bodies.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use super::via::{BuiltIn, Checked};
use super::{Content, Declared, Faults, Held, Kind, Place, Rest, Source};
use crate::extract::model::{Check, FromJson, Model};
use crate::extract::schema::Found;
use crate::request::Request;
use crate::violation::{Location, Violation};

/// A value that is sent or answered as JSON.
///
/// As a parameter it is the body, which a type without a wrapper is as well. As an answer it is
/// written as `application/json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T> From<T> for Json<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> BuiltIn for Json<T> {
    type Declared = JsonBody<T, Self>;

    const KIND: Kind = Kind::Json;

    fn declared(_: &'static str) -> Self::Declared {
        JsonBody::new(None)
    }
}

impl<T> Checked for Json<T> {
    type Inner = T;

    fn checked(_: &'static str, check: Check<T>) -> Self::Declared {
        JsonBody::new(Some(check))
    }
}

/// A JSON body: a `T` is read and handed on as a `W`.
pub struct JsonBody<T, W> {
    check: Option<Check<T>>,
    value: PhantomData<fn() -> W>,
}

impl<T, W> JsonBody<T, W> {
    pub(super) fn new(check: Option<Check<T>>) -> Self {
        Self {
            check,
            value: PhantomData,
        }
    }
}

impl<T: FromJson, W: From<T> + Send + 'static> Declared for JsonBody<T, W> {
    type Source = JsonSource<W>;

    fn bind(self, place: &mut dyn Place) -> Option<Self::Source> {
        let model = Model::compile(self.check);
        let model = model.map_err(|why| place.error(why)).ok()?;
        Some(JsonSource(Arc::new(model)))
    }
}

/// Reads a body as some type and hands it on as a `W`.
///
/// What is bound does not name that type: a type that cannot be read is one mistake, told where it
/// is declared, and not one for each trait on the way.
trait Reads<W>: Send + Sync {
    fn is_nullable(&self) -> bool;

    fn read(&self, bytes: &[u8]) -> Result<W, Vec<Found>>;
}

impl<T: FromJson, W: From<T>> Reads<W> for Model<T> {
    fn is_nullable(&self) -> bool {
        Model::is_nullable(self)
    }

    fn read(&self, bytes: &[u8]) -> Result<W, Vec<Found>> {
        Model::read(self, bytes).map(W::from)
    }
}

/// [`JsonBody`], bound.
pub struct JsonSource<W>(Arc<dyn Reads<W>>);

impl<W: Send + 'static> Source for JsonSource<W> {
    type Held = Self;

    fn take(&self, _: &Request, _: &mut Faults) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Send + 'static> Held for JsonSource<W> {
    type Value = W;

    fn give(self, rest: &mut Rest, faults: &mut Faults) -> Option<W> {
        let bytes = match rest.take_body() {
            Content::Json(Some(bytes)) => bytes,
            // What may be null may be left out.
            Content::Json(None) if self.0.is_nullable() => b"null"[..].into(),
            _ => {
                let loc = vec![Location::Body.into()];
                faults.push(Violation::new(loc, "missing", &()));
                return None;
            }
        };
        match self.0.read(&bytes) {
            Ok(value) => Some(value),
            Err(found) => {
                for fault in found {
                    faults.push(fault.at(Location::Body));
                }
                None
            }
        }
    }
}
