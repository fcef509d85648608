//! Keeps notes in an SQLite file.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row};

use crate::models::Note;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    is_done INTEGER NOT NULL DEFAULT 0
)
";

/// Whatever kept the store from answering.
pub(crate) type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// Notes in a file. Each call runs on a thread that may block, so no connection waits for another.
pub(crate) struct NoteStore {
    connection: Arc<Mutex<Connection>>,
}

impl NoteStore {
    /// Opens the file at `path`, which is made when it is missing.
    pub(crate) fn open(path: PathBuf) -> Result<Self, rusqlite::Error> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Adds a note.
    pub(crate) async fn add(&self, title: String, text: String) -> Result<Note, StoreError> {
        self.run(move |connection| {
            let insert = "INSERT INTO notes (title, text) VALUES (?, ?)";
            connection.execute(insert, (&title, &text))?;
            Ok(Note {
                id: connection.last_insert_rowid(),
                title,
                text,
                is_done: false,
            })
        })
        .await
    }

    /// The note with this id.
    pub(crate) async fn find(&self, note_id: i64) -> Result<Option<Note>, StoreError> {
        self.run(move |connection| {
            let query = "SELECT id, title, text, is_done FROM notes WHERE id = ?";
            connection.query_row(query, [note_id], note).optional()
        })
        .await
    }

    /// The newest notes that hold `text`, at most `limit`.
    pub(crate) async fn search(&self, text: String, limit: i64) -> Result<Vec<Note>, StoreError> {
        self.run(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT id, title, text, is_done FROM notes \
                 WHERE instr(title, ?1) OR instr(text, ?1) ORDER BY id DESC LIMIT ?2",
            )?;
            query.query_map((text, limit), note)?.collect()
        })
        .await
    }

    /// Marks a note as done; false when there is none.
    pub(crate) async fn finish(&self, note_id: i64) -> Result<bool, StoreError> {
        self.run(move |connection| {
            let update = "UPDATE notes SET is_done = 1 WHERE id = ?";
            Ok(connection.execute(update, [note_id])? == 1)
        })
        .await
    }

    /// Removes a note; false when there is none.
    pub(crate) async fn remove(&self, note_id: i64) -> Result<bool, StoreError> {
        self.run(move |connection| {
            Ok(connection.execute("DELETE FROM notes WHERE id = ?", [note_id])? == 1)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.connection);
        let done = tokio::task::spawn_blocking(move || {
            // Work that panicked left a statement unfinished, which SQLite has rolled back.
            work(&connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Ok(done.await??)
    }
}

fn note(row: &Row<'_>) -> Result<Note, rusqlite::Error> {
    Ok(Note {
        id: row.get(0)?,
        title: row.get(1)?,
        text: row.get(2)?,
        is_done: row.get(3)?,
    })
}
