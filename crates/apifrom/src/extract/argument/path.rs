//! Captures of the path.

use std::marker::PhantomData;
use std::ops::Deref;

use super::via::{BuiltIn, Captured};
use super::{Declared, Faults, Kind, Known, Place, Source, loc};
use crate::extract::convert::{ConvertError, FromParameter};
use crate::request::Request;
use crate::violation::Location;

/// A capture of the path, said in so many words.
///
/// A parameter with the name of a capture is that capture whatever its type says; this type makes
/// it an error when the route has no such capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T> From<T> for Path<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Path<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Captured for Path<T> {
    type Value = T;
}

/// Outside of the captures, which is a mistake that the macro tells.
impl<T> BuiltIn for Path<T> {
    type Declared = Capture<T, Self>;

    const KIND: Kind = Kind::Path;

    fn declared(name: &'static str) -> Self::Declared {
        Capture::new(name)
    }
}

/// The capture of one name: `V` is read and handed on as a `W`.
pub struct Capture<V, W> {
    name: &'static str,
    value: PhantomData<fn() -> (V, W)>,
}

impl<V, W> Capture<V, W> {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }
}

impl<V, W> Declared for Capture<V, W>
where
    V: FromParameter + Send + 'static,
    W: From<V> + Send + 'static,
{
    type Source = CaptureSource<V, W>;

    fn bind(self, place: &mut dyn Place) -> Option<Self::Source> {
        let Some(position) = place.capture(self.name) else {
            place.error(format!("the route has no {{{}}}", self.name));
            return None;
        };
        Some(CaptureSource {
            position,
            read: V::from_parameter,
            capture: self,
        })
    }
}

/// [`Capture`], bound.
pub struct CaptureSource<V, W> {
    position: usize,
    read: fn(&str) -> Result<V, ConvertError>,
    capture: Capture<V, W>,
}

impl<V: 'static, W: From<V> + Send + 'static> Source for CaptureSource<V, W> {
    type Held = Known<W>;

    fn take(&self, request: &Request, faults: &mut Faults) -> Known<W> {
        let text = request.capture(self.position).unwrap_or_default();
        let value = (self.read)(&text)
            .map_err(|error| faults.push(error.at(loc(Location::Path, self.capture.name))))
            .ok();
        Known(value.map(W::from))
    }
}
