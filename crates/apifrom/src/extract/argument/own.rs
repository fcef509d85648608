//! What a type of the program's own takes from the head of a request.

use std::marker::PhantomData;

use http::{HeaderMap, Method, Uri};

use super::{Declared, Faults, Known, Place, Source};
use crate::rejection::Rejection;
use crate::request::{Client, Request, RequestId};

/// A type that is made from the head of a request and what the engine found out about it.
///
/// # Examples
/// ```
/// use apifrom::{FromRequest, Rejection, Request};
///
/// struct IsSecure(bool);
///
/// impl FromRequest for IsSecure {
///     fn from_request(request: &Request) -> Result<Self, Rejection> {
///         Ok(Self(request.context().notes.scheme.as_str() == "https"))
///     }
/// }
/// ```
pub trait FromRequest: Sized + Send + 'static {
    /// Makes the value.
    ///
    /// # Errors
    /// A [`Rejection`] refuses the request: the handler is not called.
    fn from_request(request: &Request) -> Result<Self, Rejection>;
}

impl FromRequest for Client {
    fn from_request(request: &Request) -> Result<Self, Rejection> {
        Ok(request.context().client)
    }
}

impl FromRequest for RequestId {
    fn from_request(request: &Request) -> Result<Self, Rejection> {
        Ok(request.context().notes.request_id.clone())
    }
}

impl FromRequest for Method {
    fn from_request(request: &Request) -> Result<Self, Rejection> {
        Ok(request.head().method.clone())
    }
}

impl FromRequest for Uri {
    fn from_request(request: &Request) -> Result<Self, Rejection> {
        Ok(request.head().uri.clone())
    }
}

impl FromRequest for HeaderMap {
    fn from_request(request: &Request) -> Result<Self, Rejection> {
        Ok(request.head().headers.clone())
    }
}

/// A [`FromRequest`] as a parameter.
pub struct Own<T>(PhantomData<fn() -> T>);

impl<T> Own<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: FromRequest> Declared for Own<T> {
    type Source = Self;

    fn bind(self, _: &mut dyn Place) -> Option<Self> {
        Some(self)
    }
}

impl<T: FromRequest> Source for Own<T> {
    type Held = Known<T>;

    fn take(&self, request: &Request, faults: &mut Faults) -> Known<T> {
        Known(
            T::from_request(request)
                .map_err(|why| faults.refuse(why))
                .ok(),
        )
    }
}
