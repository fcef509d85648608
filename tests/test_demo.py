"""The demo, asked as its Rust twin is in `crates/apifrom/tests/it/examples.rs`."""

from __future__ import annotations

import importlib
import sys

import pytest

from apifrom.testing import TestClient


@pytest.fixture(params=["sqlite", "postgres_url", "mariadb_url"])
def client(request, tmp_path, monkeypatch):
    place = str(tmp_path / "demo.db")
    if request.param != "sqlite":
        place = request.getfixturevalue(request.param)
    monkeypatch.setenv("DEMO_DATABASE", place)
    for name in [name for name in sys.modules if name.startswith("examples.python.demo")]:
        del sys.modules[name]
    with TestClient(importlib.import_module("examples.python.demo.app").app) as client:
        yield client


def places(answer):
    assert answer.status_code == 422
    return [error["loc"] for error in answer.json()["errors"]]


def test_notes_are_kept_listed_finished_and_removed(client):
    assert client.get("/").json() == {"notes": "/notes", "one note": "/notes/{note_id}"}
    assert client.get("/notes").json() == []
    added = client.post("/notes", json={"title": "Milk"})
    milk = {"id": 1, "title": "Milk", "text": "", "is_done": False}
    assert (added.status_code, added.json()) == (201, milk)
    assert added.headers["location"] == "/notes/1"
    assert client.post("/notes", json={"title": "Eggs", "text": "a dozen"}).status_code == 201
    assert client.get("/notes/1").json() == milk
    assert [note["title"] for note in client.get("/notes?limit=1").json()] == ["Eggs"]
    assert client.get("/notes?q=Mil").json() == [milk]
    assert client.get("/notes?q=%27%20OR%20%271%27%3D%271").json() == []
    assert [note["id"] for note in client.get("/notes?q=").json()] == [2, 1]
    assert client.put("/notes/1/done").status_code == 204
    assert client.get("/notes/1").json() == {**milk, "is_done": True}
    assert client.delete("/notes/1").status_code == 204


@pytest.mark.parametrize("note_id", [1, 0, -1, 2**63 - 1, 2**63, 10**30])
def test_a_note_that_cannot_be_there_is_not_found(client, note_id):
    for answer in (
        client.get(f"/notes/{note_id}"),
        client.delete(f"/notes/{note_id}"),
        client.put(f"/notes/{note_id}/done"),
    ):
        assert answer.status_code == 404
        assert answer.json()["detail"] == f"there is no note {note_id}"


def test_what_does_not_fit_is_refused(client):
    assert places(client.get("/notes?limit=0")) == [["query", "limit"]]
    assert places(client.get("/notes?limit=101")) == [["query", "limit"]]
    wrong = client.get(f"/notes?limit=x&q={'x' * 101}")
    assert places(wrong) == [["query", "q"], ["query", "limit"]]
    assert places(client.get("/notes/x")) == [["path", "note_id"]]
    wrong = client.post("/notes", json={"title": "", "text": 1})
    assert places(wrong) == [["body", "title"], ["body", "text"]]
    assert places(client.post("/notes", json={})) == [["body", "title"]]
    assert client.get("/notes").json() == []
