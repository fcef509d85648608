//! Values that handlers share.

use std::any::{TypeId, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use super::via::BuiltIn;
use super::{Declared, Faults, Kind, Known, Place, Source};
use crate::request::Request;

/// The value of type `T` that the API was given by `Api::state`.
///
/// An API without one does not start.
pub struct State<T: ?Sized>(pub Arc<T>);

impl<T: ?Sized> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Shows the type alone: what is shared may be a secret.
impl<T: ?Sized> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State<{}>", type_name::<T>())
    }
}

impl<T> BuiltIn for State<T> {
    type Declared = Wanted<T>;

    const KIND: Kind = Kind::Head;

    fn declared(_: &'static str) -> Wanted<T> {
        Wanted(PhantomData)
    }
}

/// A shared value that is yet to be found.
pub struct Wanted<T>(PhantomData<fn() -> T>);

impl<T: Send + Sync + 'static> Declared for Wanted<T> {
    type Source = State<T>;

    fn bind(self, place: &mut dyn Place) -> Option<State<T>> {
        let found = place.state(TypeId::of::<T>(), type_name::<T>())?;
        found.downcast().ok().map(State)
    }
}

impl<T: Send + Sync + 'static> Source for State<T> {
    type Held = Known<Self>;

    fn take(&self, _: &Request, _: &mut Faults) -> Known<Self> {
        Known(Some(self.clone()))
    }
}
