//! The nonce of an answer, as a handler takes it.

use crate::extract::argument::via::BuiltIn;
use crate::extract::argument::{Declared, Faults, Kind, Known, Place, Source};
use crate::middleware::CspNonce;
use crate::rejection::Rejection;
use crate::request::Request;

impl BuiltIn for CspNonce {
    type Declared = Wanted;

    const KIND: Kind = Kind::Head;

    fn declared(_: &'static str) -> Wanted {
        Wanted
    }
}

/// A nonce that the endpoint is yet to be given.
pub struct Wanted;

impl Declared for Wanted {
    type Source = Found;

    fn bind(self, place: &mut dyn Place) -> Option<Found> {
        place.nonce().then_some(Found)
    }
}

/// Finds the nonce on requests.
pub struct Found;

impl Source for Found {
    type Held = Known<CspNonce>;

    fn take(&self, request: &Request, faults: &mut Faults) -> Known<CspNonce> {
        let nonce = request.context().csp_nonce();
        let nonce = nonce.filter(|nonce| !nonce.as_str().is_empty()).cloned();
        if nonce.is_none() {
            // Without random numbers there is none, and without one the page does not work.
            faults.refuse(Rejection::internal().caused_by("the answer has no nonce"));
        }
        Known(nonce)
    }
}
