//! Values that come as text under a name: query parameters, headers and cookies.

use std::borrow::Cow;
use std::marker::PhantomData;

use super::{Declared, Defaulted, Faults, Known, Named, Place, Source, loc};
use crate::extract::convert::FromParameter;
use crate::request::Request;
use crate::violation::{LocItem, Location, Violation};

/// A type that the texts of one name are read as.
///
/// Every [`FromParameter`] is one, and so are an `Option` of it, which need not be sent, and a
/// `Vec` of it, which may be sent more than once.
pub trait FromParameters: Sized + Send + 'static {
    /// Reads the texts that were sent; what is wrong is noted on `given`.
    fn from_parameters<'t>(
        texts: impl Iterator<Item = Cow<'t, str>>,
        given: &mut Given<'_>,
    ) -> Reading<Self>;
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading<T> {
    /// Nothing was sent.
    Absent,
    /// A value.
    Value(T),
    /// Something that is no value; it is noted.
    Refused,
}

/// The parameter that is being read, for what is wrong with it.
pub struct Given<'f> {
    location: Location,
    name: &'f str,
    faults: &'f mut Faults,
}

impl<'f> Given<'f> {
    pub(super) fn new(location: Location, name: &'f str, faults: &'f mut Faults) -> Self {
        Self {
            location,
            name,
            faults,
        }
    }

    fn refuse<T>(&mut self, kind: &'static str) -> Reading<T> {
        let loc = loc(self.location, self.name);
        self.faults.push(Violation::new(loc, kind, &()));
        Reading::Refused
    }

    fn read<T: FromParameter>(&mut self, text: &str, index: Option<usize>) -> Option<T> {
        T::from_parameter(text)
            .map_err(|error| {
                let mut loc = loc(self.location, self.name);
                loc.extend(index.map(LocItem::Index));
                self.faults.push(error.at(loc));
            })
            .ok()
    }
}

impl<T: FromParameter + Send + 'static> FromParameters for T {
    fn from_parameters<'t>(
        mut texts: impl Iterator<Item = Cow<'t, str>>,
        given: &mut Given<'_>,
    ) -> Reading<Self> {
        let Some(text) = texts.next() else {
            return Reading::Absent;
        };
        if texts.next().is_some() {
            return given.refuse("duplicate");
        }
        match given.read(&text, None) {
            Some(value) => Reading::Value(value),
            None => Reading::Refused,
        }
    }
}

impl<T: FromParameters> FromParameters for Option<T> {
    fn from_parameters<'t>(
        texts: impl Iterator<Item = Cow<'t, str>>,
        given: &mut Given<'_>,
    ) -> Reading<Self> {
        match T::from_parameters(texts, given) {
            Reading::Absent => Reading::Value(None),
            Reading::Value(value) => Reading::Value(Some(value)),
            Reading::Refused => Reading::Refused,
        }
    }
}

impl<T: FromParameter + Send + 'static> FromParameters for Vec<T> {
    fn from_parameters<'t>(
        texts: impl Iterator<Item = Cow<'t, str>>,
        given: &mut Given<'_>,
    ) -> Reading<Self> {
        let mut values = Self::new();
        let mut sent = 0;
        for text in texts {
            values.extend(given.read::<T>(&text, Some(sent)));
            sent += 1;
        }
        match (sent, sent == values.len()) {
            (0, _) => Reading::Absent,
            (_, true) => Reading::Value(values),
            (_, false) => Reading::Refused,
        }
    }
}

/// A part of the request's head that holds texts under names.
pub trait Part: Send + Sync + 'static {
    /// A name, ready to be looked up.
    type Name: Send + Sync + 'static;

    /// The first element of a violation's place.
    const LOCATION: Location;

    /// How the parameter `name` is called here when the program does not say.
    fn wire(name: &'static str) -> Cow<'static, str> {
        Cow::Borrowed(name)
    }

    /// Prepares a look-up; notes what is wrong with the name.
    fn name(wire: &str, place: &mut dyn Place) -> Option<Self::Name>;

    /// Reads what stands under `name`.
    fn read<T: FromParameters>(
        name: &Self::Name,
        wire: &str,
        request: &Request,
        faults: &mut Faults,
    ) -> Reading<T>;
}

/// A parameter with a name: `V` is read from the part `P` and handed on as a `W`.
pub struct Texts<P, V, W> {
    wire: Cow<'static, str>,
    default: Option<fn() -> V>,
    part: PhantomData<fn() -> (P, W)>,
}

impl<P: Part, V, W> Texts<P, V, W> {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            wire: P::wire(name),
            default: None,
            part: PhantomData,
        }
    }
}

impl<P, V, W> Named for Texts<P, V, W> {
    fn named(mut self, name: &'static str) -> Self {
        self.wire = Cow::Borrowed(name);
        self
    }
}

impl<P, V, W> Defaulted<V> for Texts<P, V, W> {
    fn or(mut self, default: fn() -> V) -> Self {
        self.default = Some(default);
        self
    }
}

impl<P: Part, V: FromParameters, W: From<V> + Send + 'static> Declared for Texts<P, V, W> {
    type Source = TextsSource<P, V, W>;

    fn bind(self, place: &mut dyn Place) -> Option<Self::Source> {
        let name = P::name(&self.wire, place)?;
        Some(TextsSource {
            name,
            read: P::read::<V>,
            texts: self,
        })
    }
}

/// [`Texts`], bound.
pub struct TextsSource<P: Part, V, W> {
    name: P::Name,
    read: Read<P, V>,
    texts: Texts<P, V, W>,
}

/// [`Part::read`] for one type. By a pointer, so that what is bound asks nothing of the type: one
/// that no text is read as is one mistake, told where it is declared.
type Read<P, V> = fn(&<P as Part>::Name, &str, &Request, &mut Faults) -> Reading<V>;

impl<P: Part, V: 'static, W: From<V> + Send + 'static> Source for TextsSource<P, V, W> {
    type Held = Known<W>;

    fn take(&self, request: &Request, faults: &mut Faults) -> Known<W> {
        let Texts { wire, default, .. } = &self.texts;
        let value = match (self.read)(&self.name, wire, request, faults) {
            Reading::Value(value) => Some(value),
            Reading::Refused => None,
            Reading::Absent => default.map(|default| default()).or_else(|| {
                faults.push(Violation::new(loc(P::LOCATION, wire), "missing", &()));
                None
            }),
        };
        Known(value.map(W::from))
    }
}
