"""Text from every place of a request in a statement, where it belongs: beside it."""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import BaseModel

from apifrom import API, Cookie, Header
from apifrom.database import Database, ident, sql

app = API(title="bound")
db = Database(os.environ["SQLMAP_DATABASE"])
db.migrate([("people", "CREATE TABLE people (name TEXT NOT NULL, town TEXT NOT NULL)")])
if not db.query("SELECT name FROM people"):
    people = [("ann", "Ulm"), ("bob", "Jena"), ("eve", "Ulm")]
    db.execute_many("INSERT INTO people (name, town) VALUES (?, ?)", people)


class Search(BaseModel):
    name: str


def named(name: str) -> list[dict[str, Any]]:
    rows = db.query("SELECT name, town FROM people WHERE name = ?", [name])
    return [dict(row) for row in rows]


@app.get("/by-path/{name}")
def by_path(name: str) -> list:
    return named(name)


@app.get("/by-query")
def by_query(name: str) -> list:
    return named(name)


@app.get("/in-order")
def in_order(by: str) -> list:
    order = ident(by, allowed=["name", "town"])
    return db.query(sql("SELECT name, town FROM people ORDER BY {}", order))


@app.get("/in-list")
def in_list(name: list[str]) -> list:
    return db.query("SELECT name, town FROM people WHERE name IN (:names)", {"names": name})


@app.post("/by-body")
def by_body(search: Search) -> list:
    return named(search.name)


@app.get("/by-header")
def by_header(name: Annotated[str, Header(alias="X-Name")]) -> list:
    return named(name)


@app.get("/by-cookie")
def by_cookie(name: Annotated[str, Cookie()]) -> list:
    return named(name)
