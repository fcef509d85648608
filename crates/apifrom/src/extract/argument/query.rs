//! Query parameters.

use std::cell::Cell;

use super::parameter::{FromParameters, Given, Part, Reading};
use super::{Faults, Place};
use crate::rejection::Rejection;
use crate::request::Request;
use crate::urlencoded::{UrlencodedFault, UrlencodedLimits, fields};
use crate::violation::Location;

/// The query string.
pub struct InQuery;

impl Part for InQuery {
    type Name = ();

    const LOCATION: Location = Location::Query;

    fn name(_: &str, _: &mut dyn Place) -> Option<()> {
        Some(())
    }

    fn read<T: FromParameters>(
        (): &(),
        wire: &str,
        request: &Request,
        faults: &mut Faults,
    ) -> Reading<T> {
        let query = request.head().uri.query().unwrap_or_default();
        let broken = Cell::new(None);
        let limits = UrlencodedLimits::default();
        let texts = fields(query.as_bytes(), &limits).filter_map(|field| match field {
            Ok((name, text)) => (name == wire).then_some(text),
            Err(fault) => {
                broken.set(Some(fault));
                None
            }
        });
        let reading = T::from_parameters(texts, &mut Given::new(Self::LOCATION, wire, faults));
        match broken.into_inner() {
            Some(fault) => {
                faults.refuse(unreadable("query", &fault));
                Reading::Refused
            }
            None => reading,
        }
    }
}

/// 400: nothing in it can be told apart.
pub(super) fn unreadable(what: &str, fault: &UrlencodedFault) -> Rejection {
    Rejection::bad_request(
        fault.code(),
        format!("the {what} cannot be read: {}", fault.text()),
    )
}
