//! How a generated handler answers with what its function returned.
//!
//! As in `extract::argument::via`, method look-up decides: what is an [`IntoResponse`] says itself
//! how it is sent; of a `Result` or an `Option` the value may be a `Serialize`, and so may
//! anything else.

#![allow(
    clippy::unused_self,
    reason = "the type of `self` is what was looked up"
)]

use std::marker::PhantomData;

use serde::Serialize;

use super::into_response::{failed, json, nothing};
use super::{IntoResponse, Response};
use crate::rejection::Rejection;

/// Stands for what a handler returned.
pub struct Answer<T>(PhantomData<fn() -> T>);

impl<T> Answer<T> {
    /// Stands for what a handler will return.
    #[expect(clippy::new_without_default, reason = "generated code names it")]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

/// The type of `value`, to look methods up by.
pub fn answer_of<T>(_: &T) -> Answer<T> {
    Answer(PhantomData)
}

/// What says itself how it is sent.
pub trait RespondSelf {
    /// The way to answer.
    fn __apifrom_respond(&self) -> Itself {
        Itself
    }

    /// Whether it may be a file.
    fn __apifrom_may_be_file(&self) -> bool;
}

/// A `Result` of what is written as JSON.
pub trait RespondResultJson {
    /// The way to answer.
    fn __apifrom_respond(&self) -> ResultOfJson {
        ResultOfJson
    }

    /// Whether it may be a file.
    fn __apifrom_may_be_file(&self) -> bool {
        false
    }
}

/// An `Option` of what is written as JSON.
pub trait RespondMaybeJson {
    /// The way to answer.
    fn __apifrom_respond(&self) -> MaybeJson {
        MaybeJson
    }

    /// Whether it may be a file.
    fn __apifrom_may_be_file(&self) -> bool {
        false
    }
}

/// What is written as JSON.
pub trait RespondJson {
    /// The way to answer.
    fn __apifrom_respond(&self) -> AsJson {
        AsJson
    }

    /// Whether it may be a file.
    fn __apifrom_may_be_file(&self) -> bool {
        false
    }
}

impl<T: IntoResponse> RespondSelf for &&&Answer<T> {
    fn __apifrom_may_be_file(&self) -> bool {
        T::MAY_BE_FILE
    }
}
impl<T, E> RespondResultJson for &&Answer<Result<T, E>> {}
impl<T> RespondMaybeJson for &Answer<Option<T>> {}
impl<T> RespondJson for Answer<T> {}

/// See [`RespondSelf`].
pub struct Itself;

/// See [`RespondResultJson`].
pub struct ResultOfJson;

/// See [`RespondMaybeJson`].
pub struct MaybeJson;

/// See [`RespondJson`].
pub struct AsJson;

impl Itself {
    /// The answer.
    ///
    /// # Errors
    /// What `value` itself refuses with.
    pub fn with<T: IntoResponse>(self, value: T) -> Result<Response, Rejection> {
        value.into_response()
    }
}

impl ResultOfJson {
    /// The answer.
    ///
    /// # Errors
    /// What the error refuses with, or 500 when the value cannot be written.
    pub fn with<T: Serialize, E: IntoResponse>(
        self,
        value: Result<T, E>,
    ) -> Result<Response, Rejection> {
        value.map_or_else(failed, |value| json(&value))
    }
}

impl MaybeJson {
    /// The answer.
    ///
    /// # Errors
    /// 404 when there is no value, 500 when it cannot be written.
    pub fn with<T: Serialize>(self, value: Option<T>) -> Result<Response, Rejection> {
        value.map_or_else(|| Err(nothing()), |value| json(&value))
    }
}

impl AsJson {
    /// The answer.
    ///
    /// # Errors
    /// 500 when the value cannot be written.
    pub fn with<T: Serialize>(self, value: T) -> Result<Response, Rejection> {
        json(&value)
    }
}
