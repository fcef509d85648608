"""What must be found: a statement that is put together from what was sent."""

from __future__ import annotations

import os

from apifrom import API
from apifrom.database import Database

app = API(title="concatenated")
db = Database(os.environ["SQLMAP_DATABASE"])
db.migrate([("towns", "CREATE TABLE towns (name TEXT NOT NULL)")])
if not db.query("SELECT name FROM towns"):
    db.execute_many("INSERT INTO towns (name) VALUES (?)", [["Ulm"], ["Jena"]])


@app.get("/towns")
def towns(name: str) -> list:
    return db.query("SELECT name FROM towns WHERE name = '" + name + "'")
