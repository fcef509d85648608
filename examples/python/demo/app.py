"""The demo's endpoints."""

from __future__ import annotations

import os
from typing import Annotated

from apifrom import API, HTTPException, Query, api, public
from apifrom.middleware import SecurityHeadersMiddleware
from examples.python.demo.models import NewNote, Note
from examples.python.demo.store import NoteStore

app = API(title="Notes", description="Keeps notes in a database.", default="deny")
app.add_middleware(SecurityHeadersMiddleware())
OPEN = "the demo has no users, and its notes are nobody's secret"
store = NoteStore(os.environ.get("DEMO_DATABASE", "demo.db"))


@api(route="/", method="GET")
@public(reason=OPEN)
def index() -> dict[str, str]:
    """Says what there is."""
    return {"notes": "/notes", "one note": "/notes/{note_id}"}


@api(route="/notes", method="GET")
@public(reason=OPEN)
def list_notes(
    q: Annotated[str, Query(max_length=100)] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[Note]:
    """Lists the newest notes that hold `q`."""
    return store.search(q, limit)


@api(route="/notes", method="POST")
@public(reason=OPEN)
def add_note(note: NewNote) -> tuple[Note, int, dict[str, str]]:
    """Keeps a note."""
    kept = store.add(note.title, note.text)
    return kept, 201, {"Location": f"/notes/{kept.id}"}


@api(route="/notes/{note_id}", method="GET")
@public(reason=OPEN)
def get_note(note_id: int) -> Note:
    """Gives one note."""
    note = store.find(note_id)
    if note is None:
        raise HTTPException(404, f"there is no note {note_id}")
    return note


@api(route="/notes/{note_id}/done", method="PUT")
@public(reason=OPEN)
def finish_note(note_id: int) -> None:
    """Marks a note as done."""
    if not store.finish(note_id):
        raise HTTPException(404, f"there is no note {note_id}")


@api(route="/notes/{note_id}", method="DELETE")
@public(reason=OPEN)
def remove_note(note_id: int) -> None:
    """Removes a note."""
    if not store.remove(note_id):
        raise HTTPException(404, f"there is no note {note_id}")
