//! How a generated handler finds out what a type is to it.
//!
//! The macro sees the names of types, not the types. It therefore asks the compiler: each trait
//! below offers the same method for a [`Tag`] behind another number of references, and method
//! look-up takes the first whose bounds hold, from the most references to the fewest. The
//! constants of [`Probe`] answer the same questions where only a constant will do.

use std::marker::PhantomData;

use validator::Validate;

use super::json::JsonBody;
use super::own::Own;
use super::parameter::{FromParameters, Texts};
use super::path::Capture;
use super::query::InQuery;
use super::{FromRequest, Kind};
use crate::extract::model::Check;

/// Stands for a type.
pub struct Tag<T>(PhantomData<fn() -> T>);

impl<T> Tag<T> {
    /// The tag of `T`.
    #[expect(
        clippy::new_without_default,
        reason = "generated code alone makes tags"
    )]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// A type that this crate knows how to extract.
pub trait BuiltIn {
    /// The parameter of this type.
    type Declared;

    /// Where it comes from.
    const KIND: Kind;

    /// The parameter `name`.
    fn declared(name: &'static str) -> Self::Declared;
}

/// One whose inner type may have a `Validate`.
pub trait Checked: BuiltIn {
    /// The inner type.
    type Inner;

    /// The parameter `name`, whose value must pass `check`.
    fn checked(name: &'static str, check: Check<Self::Inner>) -> Self::Declared;
}

/// A type that wraps the value of a capture.
pub trait Captured {
    /// What the capture is read as.
    type Value;
}

/// Extractors with a `Validate` inside.
pub trait ViaValidated {
    /// The parameter.
    type Declared;

    /// The parameter `name`.
    fn __apifrom_parameter(&self, name: &'static str) -> Self::Declared;
}

impl<T: Checked> ViaValidated for &&&&&Tag<T>
where
    T::Inner: Validate,
{
    type Declared = T::Declared;

    fn __apifrom_parameter(&self, name: &'static str) -> Self::Declared {
        T::checked(name, T::Inner::validate)
    }
}

/// Extractors.
pub trait ViaBuiltIn {
    /// The parameter.
    type Declared;

    /// The parameter `name`.
    fn __apifrom_parameter(&self, name: &'static str) -> Self::Declared;
}

impl<T: BuiltIn> ViaBuiltIn for &&&&Tag<T> {
    type Declared = T::Declared;

    fn __apifrom_parameter(&self, name: &'static str) -> Self::Declared {
        T::declared(name)
    }
}

/// Types of the program's own.
pub trait ViaOwn {
    /// The type.
    type Own;

    /// The parameter.
    fn __apifrom_parameter(&self, name: &'static str) -> Own<Self::Own>;
}

impl<T: FromRequest> ViaOwn for &&&Tag<T> {
    type Own = T;

    fn __apifrom_parameter(&self, _: &'static str) -> Own<T> {
        Own::new()
    }
}

/// Query parameters.
pub trait ViaParameter {
    /// The type.
    type Value;

    /// The parameter `name`.
    fn __apifrom_parameter(&self, name: &'static str) -> Texts<InQuery, Self::Value, Self::Value>;
}

impl<T: FromParameters> ViaParameter for &&Tag<T> {
    type Value = T;

    fn __apifrom_parameter(&self, name: &'static str) -> Texts<InQuery, T, T> {
        Texts::new(name)
    }
}

/// Bodies with a `Validate`.
pub trait ViaValidatedModel {
    /// The type.
    type Model;

    /// The parameter.
    fn __apifrom_parameter(&self, name: &'static str) -> JsonBody<Self::Model, Self::Model>;
}

impl<T: Validate> ViaValidatedModel for &Tag<T> {
    type Model = T;

    fn __apifrom_parameter(&self, _: &'static str) -> JsonBody<T, T> {
        JsonBody::new(Some(T::validate))
    }
}

/// Whatever else there is: a body.
pub trait ViaModel {
    /// The type.
    type Model;

    /// The parameter.
    fn __apifrom_parameter(&self, name: &'static str) -> JsonBody<Self::Model, Self::Model>;
}

impl<T> ViaModel for Tag<T> {
    type Model = T;

    fn __apifrom_parameter(&self, _: &'static str) -> JsonBody<T, T> {
        JsonBody::new(None)
    }
}

/// Captures in a wrapper.
pub trait ViaPathCapture {
    /// What is read.
    type Value;
    /// What is handed on.
    type Whole;

    /// The capture `name`.
    fn __apifrom_capture(&self, name: &'static str) -> Capture<Self::Value, Self::Whole>;
}

impl<T: Captured> ViaPathCapture for &Tag<T> {
    type Value = T::Value;
    type Whole = T;

    fn __apifrom_capture(&self, name: &'static str) -> Capture<T::Value, T> {
        Capture::new(name)
    }
}

/// Captures.
pub trait ViaCapture {
    /// What is read and handed on.
    type Value;

    /// The capture `name`.
    fn __apifrom_capture(&self, name: &'static str) -> Capture<Self::Value, Self::Value>;
}

impl<T> ViaCapture for Tag<T> {
    type Value = T;

    fn __apifrom_capture(&self, name: &'static str) -> Capture<T, T> {
        Capture::new(name)
    }
}

/// Answers about `T` in constants: an inherent constant whose bounds hold hides that of a trait.
pub struct Probe<T>(PhantomData<fn() -> T>);

/// For types that are no extractors.
pub trait NotBuiltIn {
    /// Nothing is built in.
    const BUILT_IN: Option<Kind> = None;
}

/// For types that take nothing from a request's head.
pub trait NotOwn {
    /// It is none.
    const OWN: bool = false;
}

/// For types that no text is read as.
pub trait NotParameter {
    /// It is none.
    const PARAMETER: bool = false;
}

impl<T> NotBuiltIn for Probe<T> {}
impl<T> NotOwn for Probe<T> {}
impl<T> NotParameter for Probe<T> {}

impl<T: BuiltIn> Probe<T> {
    /// Where the extractor takes its value from.
    pub const BUILT_IN: Option<Kind> = Some(T::KIND);
}

impl<T: FromRequest> Probe<T> {
    /// It is one.
    pub const OWN: bool = true;
}

impl<T: FromParameters> Probe<T> {
    /// It is one.
    pub const PARAMETER: bool = true;
}
