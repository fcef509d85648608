//! Who calls, as a handler takes it.
//!
//! 1. What a handler asks for must be there on every request that its protections let through; in
//!    an `Option` it need not be. What can never be there, in an `Option` or not, and what more than
//!    one could be, keeps the API from starting.
//! 2. A token whose claims do not have the form that the handler asks for is refused with 401
//!    `invalid_token`, like any other that proves nothing here; the handler is not called.
//! 3. The parameters below say by which method; `#[name("…")]` says under which name as well, where
//!    two protections of one method were given different ones.

mod extractors;

use std::marker::PhantomData;
use std::sync::Arc;

use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};

pub use self::extractors::{ApiKey, Jwt, OAuth2Token, Username};
use crate::extract::argument::via::BuiltIn;
use crate::extract::argument::{
    Declared, Faults, Kind, Known, Named, Place, Presence, Proof, Source,
};
use crate::logging::{Level, SecurityEvent, Sink};
use crate::rejection::Rejection;
use crate::request::Request;
use crate::security::{Authenticator, Compiled, Complaint, Identity, Method};

/// What the protections of one endpoint prove.
#[derive(Default)]
pub(crate) enum Callers {
    /// There are none.
    #[default]
    Nobody,
    /// Something in them is wrong, which is noted and keeps the API from starting.
    Unknown,
    /// Whom these methods prove.
    Proved(Arc<Compiled>),
}

impl Callers {
    pub(crate) fn proof(&self, method: Option<&str>, name: Option<&str>) -> Proof {
        let compiled = match self {
            Self::Nobody => {
                return Proof {
                    presence: Presence::Never,
                    challenge: None,
                };
            }
            // One error is enough for one mistake.
            Self::Unknown => {
                return Proof {
                    presence: Presence::Always,
                    challenge: None,
                };
            }
            Self::Proved(compiled) => compiled,
        };
        let is_meant = |known: &dyn Authenticator| {
            method.is_none_or(|method| known.method().as_str() == method)
                && name.is_none_or(|name| known.state_name() == name)
        };
        let presence = match compiled.proofs(is_meant) {
            (_, 0) => Presence::Never,
            (0, 1) => Presence::Sometimes,
            (_, 1) => Presence::Always,
            _ => Presence::Several,
        };
        let known = compiled.methods.iter().find(|known| is_meant(&***known));
        let challenge = known.map(|known| known.challenge().value(Complaint::Invalid).clone());
        Proof {
            presence,
            challenge,
        }
    }
}

/// A type that tells who calls.
pub trait Caller: Sized + Send + 'static {
    /// What its users call it.
    const NAME: &'static str;

    /// The method that proves it; any, where there is none.
    const METHOD: Option<Method>;

    /// The same as what was proved, if it has the form that is asked for.
    fn of(identity: &Identity) -> Option<Self>;
}

impl<T: Caller> BuiltIn for T {
    type Declared = Asked<T>;

    const KIND: Kind = Kind::Head;

    fn declared(_: &'static str) -> Asked<T> {
        Asked::new()
    }
}

impl<T: Caller> BuiltIn for Option<T> {
    type Declared = Asked<Self>;

    const KIND: Kind = Kind::Head;

    fn declared(_: &'static str) -> Asked<Self> {
        Asked::new()
    }
}

/// A parameter that tells who calls.
pub struct Asked<T> {
    name: Option<&'static str>,
    value: PhantomData<fn() -> T>,
}

impl<T> Asked<T> {
    fn new() -> Self {
        Self {
            name: None,
            value: PhantomData,
        }
    }

    /// How the caller is found on requests; what cannot be is noted.
    fn find<C: Caller>(&self, place: &mut dyn Place, is_optional: bool) -> Option<Found<T>> {
        let Proof {
            presence,
            challenge,
        } = place.proof(C::METHOD.map(Method::as_str), self.name);
        let asked = C::NAME;
        let under = self.name.map(|name| format!(" under the name {name:?}"));
        let under = under.unwrap_or_default();
        let method = C::METHOD.map_or("any method", Method::as_str);
        match presence {
            Presence::Never => place.error(format!(
                "asks for {asked}, and no protection of it proves a caller by {method}{under}"
            )),
            Presence::Sometimes if !is_optional => place.error(format!(
                "asks for {asked}, and its protections let callers in without it; ask for \
                 Option<{asked}>"
            )),
            Presence::Several => place.error(format!(
                "asks for {asked}, and its protections prove more than one at once; say which \
                 with #[name(\"…\")], or ask for Identities"
            )),
            Presence::Sometimes | Presence::Always => {
                return Some(Found {
                    method: C::METHOD,
                    name: self.name,
                    challenge,
                    route: place.route().into(),
                    sink: place.sink(),
                    value: PhantomData,
                });
            }
        }
        None
    }
}

impl<T> Named for Asked<T> {
    fn named(self, name: &'static str) -> Self {
        Self {
            name: Some(name),
            ..self
        }
    }
}

impl<T: Caller> Declared for Asked<T> {
    type Source = Found<T>;

    fn bind(self, place: &mut dyn Place) -> Option<Found<T>> {
        self.find::<T>(place, false)
    }
}

impl<T: Caller> Declared for Asked<Option<T>> {
    type Source = Found<Option<T>>;

    fn bind(self, place: &mut dyn Place) -> Option<Found<Option<T>>> {
        self.find::<T>(place, true)
    }
}

/// Finds the caller on requests.
pub struct Found<T> {
    method: Option<Method>,
    name: Option<&'static str>,
    challenge: Option<HeaderValue>,
    route: Box<str>,
    sink: Arc<dyn Sink>,
    value: PhantomData<fn() -> T>,
}

impl<T> Found<T> {
    fn identity<'r>(&self, request: &'r Request) -> Option<&'r Identity> {
        request.context().identities.iter().find(|identity| {
            self.method.is_none_or(|method| identity.method() == method)
                && self.name.is_none_or(|name| identity.name() == name)
        })
    }

    /// What `identity` is to the handler; one that is of another form is refused.
    fn read<C: Caller>(
        &self,
        identity: &Identity,
        request: &Request,
        faults: &mut Faults,
    ) -> Option<C> {
        let read = C::of(identity);
        if read.is_none() {
            SecurityEvent {
                event: "authentication_failed",
                level: Level::Warning,
                scheme: Some(identity.method().as_str()),
                reason: Some("unexpected_claims"),
                subject: identity.subject(),
                status: StatusCode::UNAUTHORIZED.as_u16(),
                left_out: 0,
            }
            .write(&*self.sink, &self.route, request.head(), request.context());
            let rejection = Rejection::new(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "the claims of the token do not have the expected form",
            );
            faults.refuse(match &self.challenge {
                Some(challenge) => rejection.header(WWW_AUTHENTICATE, challenge.clone()),
                None => rejection,
            });
        }
        read
    }
}

impl<T: Caller> Source for Found<T> {
    type Held = Known<T>;

    fn take(&self, request: &Request, faults: &mut Faults) -> Known<T> {
        let Some(identity) = self.identity(request) else {
            // Its protections prove one; only own middleware that made another request is left.
            let why = format!("the request came to its handler without {}", T::NAME);
            faults.refuse(Rejection::internal().caused_by(why));
            return Known(None);
        };
        Known(self.read(identity, request, faults))
    }
}

impl<T: Caller> Source for Found<Option<T>> {
    type Held = Known<Option<T>>;

    fn take(&self, request: &Request, faults: &mut Faults) -> Known<Option<T>> {
        match self.identity(request) {
            None => Known(Some(None)),
            // One that does not fit is refused; it is not as good as none.
            Some(identity) => Known(self.read(identity, request, faults).map(Some)),
        }
    }
}
