"""Keeps notes in a database."""

from __future__ import annotations

from apifrom.database import Database, Row
from examples.python.demo.models import Note

# What numbers the rows has no one spelling.
_SQLITE = [
    (
        "notes",
        """
        CREATE TABLE IF NOT EXISTS notes (
            id INTEGER PRIMARY KEY,
            title TEXT NOT NULL,
            text TEXT NOT NULL,
            is_done INTEGER NOT NULL DEFAULT 0
        )
        """,
    ),
]
_POSTGRESQL = [
    (
        "notes",
        """
        CREATE TABLE IF NOT EXISTS notes (
            id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            title TEXT NOT NULL,
            text TEXT NOT NULL,
            is_done INTEGER NOT NULL DEFAULT 0
        )
        """,
    ),
]
_MYSQL = [
    (
        "notes",
        """
        CREATE TABLE IF NOT EXISTS notes (
            id BIGINT AUTO_INCREMENT PRIMARY KEY,
            title TEXT NOT NULL,
            text TEXT NOT NULL,
            is_done INTEGER NOT NULL DEFAULT 0
        )
        """,
    ),
]
_MIGRATIONS = {
    "sqlite": _SQLITE,
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
}
_LARGEST_ID = 2**63 - 1


class NoteStore:
    """Notes in a database. Safe to use from several threads."""

    def __init__(self, place: str) -> None:
        """Opens the database.

        Args:
            place: The path of an SQLite file, which is made when it is missing, or the URL of a
                database, `postgresql://…` or `mariadb://…`.
        """
        url = place if "://" in place else f"sqlite:///{place}"
        self._db = Database(url)
        self._db.migrate(_MIGRATIONS[url.partition(":")[0]])

    def add(self, title: str, text: str) -> Note:
        """Adds a note."""
        statement = "INSERT INTO notes (title, text) VALUES (?, ?) RETURNING id"
        done = self._db.execute(statement, [title, text])
        return Note(id=done.last_id, title=title, text=text, is_done=False)

    def find(self, note_id: int) -> Note | None:
        """The note with this id."""
        if not _can_be_kept(note_id):
            return None
        query = "SELECT id, title, text, is_done FROM notes WHERE id = ?"
        row = self._db.query_one(query, [note_id])
        return None if row is None else _note(row)

    def search(self, text: str, limit: int) -> list[Note]:
        """The newest notes that hold `text`, at most `limit`."""
        query = (
            "SELECT id, title, text, is_done FROM notes "
            "WHERE :text = '' OR replace(title, :text, '') <> title OR "
            "replace(text, :text, '') <> text ORDER BY id DESC LIMIT :limit"
        )
        return [_note(row) for row in self._db.query(query, {"text": text, "limit": limit})]

    def finish(self, note_id: int) -> bool:
        """Marks a note as done; False when there is none."""
        if not _can_be_kept(note_id):
            return False
        return self._db.execute("UPDATE notes SET is_done = 1 WHERE id = ?", [note_id]).rows == 1

    def remove(self, note_id: int) -> bool:
        """Removes a note; False when there is none."""
        if not _can_be_kept(note_id):
            return False
        return self._db.execute("DELETE FROM notes WHERE id = ?", [note_id]).rows == 1


def _can_be_kept(note_id: int) -> bool:
    # Python's integers have no bounds; a column's have.
    return 0 < note_id <= _LARGEST_ID


def _note(row: Row) -> Note:
    return Note(id=row.id, title=row.title, text=row.text, is_done=bool(row.is_done))
