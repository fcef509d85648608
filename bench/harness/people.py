"""The SQLite file that every contender of `people` reads."""

import sqlite3
from contextlib import closing

from harness import places

COUNT = 1_000


def person(number: int) -> dict[str, object]:
    """A row of the table."""
    return {
        "id": number,
        "name": f"Person {number}",
        "email": f"person.{number}@example.com",
        "age": 18 + number % 60,
    }


def file() -> str:
    """The path of the file, which is made when it is missing."""
    path = places.RESULTS / "people.db"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        half = path.with_suffix(".half")
        half.unlink(missing_ok=True)
        with closing(sqlite3.connect(half)) as made, made:
            made.execute(
                "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, "
                "email TEXT NOT NULL, age INTEGER NOT NULL)"
            )
            rows = map(person, range(1, COUNT + 1))
            made.executemany("INSERT INTO people VALUES (:id, :name, :email, :age)", rows)
        with closing(sqlite3.connect(half)) as made:
            # As ours leaves a file; all contenders read under the same mode.
            made.execute("PRAGMA journal_mode = WAL")
        half.rename(path)
    return str(path)
