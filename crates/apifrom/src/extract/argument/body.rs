//! The request itself, and its body as it came.

use std::marker::PhantomData;

use bytes::Bytes;

use super::via::BuiltIn;
use super::{Content, Declared, Faults, Held, Kind, Place, Rest, Source};
use crate::extract::Multipart;
use crate::rejection::Rejection;
use crate::request::{Body, Request};

/// A parameter that takes what is left of the request once the others have theirs.
pub struct Left<T>(PhantomData<fn() -> T>);

impl<T> Left<T> {
    fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: FromRest> Declared for Left<T> {
    type Source = Self;

    fn bind(self, _: &mut dyn Place) -> Option<Self> {
        Some(self)
    }
}

impl<T: FromRest> Source for Left<T> {
    type Held = Self;

    fn take(&self, _: &Request, _: &mut Faults) -> Self {
        Self::new()
    }
}

impl<T: FromRest> Held for Left<T> {
    type Value = T;

    fn give(self, rest: &mut Rest, faults: &mut Faults) -> Option<T> {
        let value = T::from_rest(rest);
        if value.is_none() {
            // The macro lets no two parameters ask for one thing.
            faults.refuse(Rejection::internal().caused_by("the request was taken already"));
        }
        value
    }
}

/// What can be taken from the rest of a request.
pub trait FromRest: 'static {
    /// Takes it, unless it is gone.
    fn from_rest(rest: &mut Rest) -> Option<Self>
    where
        Self: Sized;
}

impl FromRest for Request {
    fn from_rest(rest: &mut Rest) -> Option<Self> {
        rest.take_request()
    }
}

impl FromRest for Body {
    fn from_rest(rest: &mut Rest) -> Option<Self> {
        match rest.take_body() {
            Content::Stream(body) => Some(body),
            _ => None,
        }
    }
}

impl FromRest for Bytes {
    fn from_rest(rest: &mut Rest) -> Option<Self> {
        match rest.take_body() {
            Content::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl FromRest for Multipart {
    fn from_rest(rest: &mut Rest) -> Option<Self> {
        match rest.take_body() {
            Content::Multipart(form) => Some(form),
            _ => None,
        }
    }
}

impl BuiltIn for Multipart {
    type Declared = Left<Self>;

    const KIND: Kind = Kind::Multipart;

    fn declared(_: &'static str) -> Left<Self> {
        Left::new()
    }
}

impl BuiltIn for Request {
    type Declared = Left<Self>;

    const KIND: Kind = Kind::Request;

    fn declared(_: &'static str) -> Left<Self> {
        Left::new()
    }
}

impl BuiltIn for Body {
    type Declared = Left<Self>;

    const KIND: Kind = Kind::Stream;

    fn declared(_: &'static str) -> Left<Self> {
        Left::new()
    }
}

impl BuiltIn for Bytes {
    type Declared = Left<Self>;

    const KIND: Kind = Kind::Bytes;

    fn declared(_: &'static str) -> Left<Self> {
        Left::new()
    }
}
