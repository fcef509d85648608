//! The demo's endpoints.

use apifrom::{IntoResponse, Json, Problem, Query, Rejection, Response, State, api, public};
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, LOCATION};

use crate::models::{Index, Listing, NewNote, Note};
use crate::store::{NoteStore, StoreError};

/// Why there is no other answer.
pub(crate) enum Failure {
    NoSuchNote(i64),
    /// Its text reaches the log and never the client.
    Internal(StoreError),
}

impl<E: Into<StoreError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Internal(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Result<Response, Rejection> {
        match self {
            Self::NoSuchNote(note_id) => Problem::new(404)
                .detail(format!("there is no note {note_id}"))
                .into_response(),
            Self::Internal(error) => Err(Rejection::internal().caused_by(error)),
        }
    }
}

/// Says what there is.
#[api(route = "/", method = "GET")]
#[public(reason = "the demo has no users, and its notes are nobody's secret")]
pub(crate) fn index() -> Index {
    Index {
        notes: "/notes",
        one_note: "/notes/{note_id}",
    }
}

/// Lists the newest notes that hold `q`.
#[api(route = "/notes", method = "GET")]
#[public(reason = "the demo has no users, and its notes are nobody's secret")]
pub(crate) async fn list_notes(
    listing: Query<Listing>,
    store: State<NoteStore>,
) -> Result<Vec<Note>, Failure> {
    let Query(Listing { q, limit }) = listing;
    Ok(store.search(q, limit).await?)
}

/// Keeps a note.
#[api(route = "/notes", method = "POST")]
#[public(reason = "the demo has no users, and its notes are nobody's secret")]
pub(crate) async fn add_note(
    note: NewNote,
    store: State<NoteStore>,
) -> Result<(StatusCode, HeaderMap, Json<Note>), Failure> {
    let kept = store.add(note.title, note.text).await?;
    let location = HeaderValue::try_from(format!("/notes/{}", kept.id))?;
    let headers = HeaderMap::from_iter([(LOCATION, location)]);
    Ok((StatusCode::CREATED, headers, Json(kept)))
}

/// Gives one note.
#[api(route = "/notes/{note_id}", method = "GET")]
#[public(reason = "the demo has no users, and its notes are nobody's secret")]
pub(crate) async fn get_note(note_id: i64, store: State<NoteStore>) -> Result<Note, Failure> {
    let note = store.find(note_id).await?;
    note.ok_or(Failure::NoSuchNote(note_id))
}

/// Marks a note as done.
#[api(route = "/notes/{note_id}/done", method = "PUT")]
#[public(reason = "the demo has no users, and its notes are nobody's secret")]
pub(crate) async fn finish_note(note_id: i64, store: State<NoteStore>) -> Result<(), Failure> {
    found(note_id, store.finish(note_id).await?)
}

/// Removes a note.
#[api(route = "/notes/{note_id}", method = "DELETE")]
#[public(reason = "the demo has no users, and its notes are nobody's secret")]
pub(crate) async fn remove_note(note_id: i64, store: State<NoteStore>) -> Result<(), Failure> {
    found(note_id, store.remove(note_id).await?)
}

fn found(note_id: i64, is_there: bool) -> Result<(), Failure> {
    if is_there {
        Ok(())
    } else {
        Err(Failure::NoSuchNote(note_id))
    }
}
