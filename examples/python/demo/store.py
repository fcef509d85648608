"""Keeps notes in an SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from examples.python.demo.models import Note

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    is_done INTEGER NOT NULL DEFAULT 0
)
"""
_LARGEST_ID = 2**63 - 1


class NoteStore:
    """Notes in a file. Safe to use from several threads: each has its own connection."""

    def __init__(self, path: Path) -> None:
        """Opens the file at `path`, which is made when it is missing."""
        self._path = path
        self._local = threading.local()
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(_SCHEMA)

    def add(self, title: str, text: str) -> Note:
        """Adds a note."""
        with self._connection() as connection:
            cursor = connection.execute(
                "INSERT INTO notes (title, text) VALUES (?, ?)", (title, text)
            )
        return Note(id=cursor.lastrowid or 0, title=title, text=text, is_done=False)

    def find(self, note_id: int) -> Note | None:
        """The note with this id."""
        if not _can_be_kept(note_id):
            return None
        query = "SELECT id, title, text, is_done FROM notes WHERE id = ?"
        row = self._connection().execute(query, (note_id,)).fetchone()
        return None if row is None else _note(row)

    def search(self, text: str, limit: int) -> list[Note]:
        """The newest notes that hold `text`, at most `limit`."""
        query = (
            "SELECT id, title, text, is_done FROM notes "
            "WHERE instr(title, :text) OR instr(text, :text) ORDER BY id DESC LIMIT :limit"
        )
        return [
            _note(row) for row in self._connection().execute(query, {"text": text, "limit": limit})
        ]

    def finish(self, note_id: int) -> bool:
        """Marks a note as done; False when there is none."""
        if not _can_be_kept(note_id):
            return False
        with self._connection() as connection:
            cursor = connection.execute("UPDATE notes SET is_done = 1 WHERE id = ?", (note_id,))
        return cursor.rowcount == 1

    def remove(self, note_id: int) -> bool:
        """Removes a note; False when there is none."""
        if not _can_be_kept(note_id):
            return False
        with self._connection() as connection:
            cursor = connection.execute("DELETE FROM notes WHERE id = ?", (note_id,))
        return cursor.rowcount == 1

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, timeout=5.0)
            self._local.connection = connection
        return connection


def _can_be_kept(note_id: int) -> bool:
    # Python's integers have no bounds; SQLite's do, and the driver raises at them.
    return 0 < note_id <= _LARGEST_ID


def _note(row: tuple[int, str, str, int]) -> Note:
    note_id, title, text, is_done = row
    return Note(id=note_id, title=title, text=text, is_done=bool(is_done))
