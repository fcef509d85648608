"""What the demo takes and answers."""

from __future__ import annotations

from pydantic import BaseModel, Field


class NewNote(BaseModel):
    """A note to keep."""

    title: str = Field(min_length=1, max_length=100)
    text: str = Field(default="", max_length=10_000)


class Note(BaseModel):
    """A note that is kept."""

    id: int
    title: str
    text: str
    is_done: bool
