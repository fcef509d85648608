"""The BlackSheep contender: its router and binding, and the standard sqlite3 module."""

import os
import sqlite3
from dataclasses import dataclass

from blacksheep import Application, get, json, not_found

app = Application()
people = sqlite3.connect(os.environ["BENCH_DATABASE"])


@dataclass
class Person:
    """What ``/people`` answers."""

    id: int
    name: str
    email: str
    age: int


@get("/")
async def root():
    """Say that the server is up."""
    return json({"status": "ok"})


@get("/people/{id}")
async def person(id: int):  # noqa: A002 - the name of the field
    """Look a person up."""
    query = "SELECT id, name, email, age FROM people WHERE id = ?"
    row = people.execute(query, (id,)).fetchone()
    return not_found() if row is None else json(Person(*row))
