"""Statements that are put together are found: by `check`, and by a type checker."""

from __future__ import annotations

import json
import subprocess
import sys

# `# found` stands where a fault must be found; everywhere else none may be.
PROGRAM = """
from apifrom import API
from apifrom.database import Database, ident, insecure_raw, sql

app = API()
db = Database("sqlite://:memory:")
COLUMNS = "id, name"
town = "Ulm"


@app.get("/good/{name}")
async def good(name: str, by: str) -> list:
    db.query("SELECT " + COLUMNS + " FROM users WHERE name = ?", [name])
    db.execute(f"DELETE FROM users WHERE {'id' if len(name) > 3 else 'name'} = ?", [name])
    db.execute_many("INSERT INTO users VALUES (?, ?)", [[1, name]])
    db.query(sql("SELECT * FROM users ORDER BY {}", ident(by, allowed=["id", "name"])))
    db.query(insecure_raw("SELECT * FROM " + name))
    await db.aquery_one("SELECT name FROM users WHERE name = :name", {"name": name})
    db.migrate([("users", "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")])
    with db.transaction() as transaction:
        transaction.execute("DELETE FROM users WHERE name = ?", [name])
    return []


@app.get("/bad/{name}")
async def bad(name: str, town: str) -> list:
    db.query("SELECT id FROM users WHERE name = '" + name + "'")  # found
    db.query("SELECT id FROM users WHERE town = '" + town + "'")  # found
    db.query_one(f"SELECT id FROM users WHERE name = '{name}'")  # found
    db.execute("DELETE FROM users WHERE name = '%s'" % name)  # found
    db.execute_many("INSERT INTO {} VALUES (?)".format(name), [[1]])  # found
    await db.aquery("SELECT id FROM users ORDER BY " + name)  # found
    await db.aquery_one("SELECT id FROM users LIMIT ".join([name, name]))  # found
    await db.aexecute(name)  # found
    await db.aexecute_many(f"INSERT INTO {name} VALUES (?)", [[1]])  # found
    db.query(sql("SELECT * FROM users ORDER BY " + name))  # found
    db.migrate([("users", "CREATE TABLE " + name)])  # found
    with db.transaction() as transaction:
        transaction.query("SELECT id FROM users WHERE name = '" + name + "'")  # found
    async with db.atransaction() as transaction:
        await transaction.execute(f"DELETE FROM {name}")  # found
    return []
"""


def marked():
    lines = PROGRAM.splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# found")}


def test_check_finds_what_is_put_together(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "apifrom", "check", "program:app", "--format", "json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    findings = json.loads(done.stdout)["findings"]
    lines = {finding["line"] for finding in findings if finding["rule"] == "AF802"}
    assert lines == marked()


def test_a_type_checker_finds_it_and_lets_literals_be(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    # What is judged here is the kind of a statement, and nothing else that this checker can.
    settings = {"typeCheckingMode": "off", "reportArgumentType": "error"}
    settings |= {"reportCallIssue": "error", "reportAttributeAccessIssue": "error"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    found = {fault["range"]["start"]["line"] + 1 for fault in report["generalDiagnostics"]}
    assert found == marked()
    messages = [fault["message"] for fault in report["generalDiagnostics"]]
    assert all("LiteralString" in message for message in messages), messages
