"""Databases: statements with placeholders, and nothing spliced into them.

```python
from apifrom import API, api
from apifrom.database import Database

app = API()
db = Database("sqlite:///app.db")


@api(route="/users/{user_id}", method="GET")
def get_user(user_id: int) -> dict:
    return db.query("SELECT id, name FROM users WHERE id = ?", [user_id])
```

A handler that is annotated for one object and returns rows answers with the one row, 404 where
there is none, and 500 where there are several. Any other one answers with the list.

A statement that would leave something on its connection, which others have as well (`SET`,
`LISTEN`, `ATTACH`, a `PRAGMA` that sets something), is refused; where one may leave something and
has its uses, nobody else gets the connection as it is then.

Placeholders are `?` for a list of parameters and `:name` for a dictionary. A list for one
placeholder stands for its members (`WHERE id IN (?)`), and nothing is a member of an empty one.

Do not open the same file with `sqlite3` in the same process meanwhile: that is another SQLite, and
the locks of a process do not hold against itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from apifrom import _threads
from apifrom._apifrom import (
    BaseDatabase,
    DatabaseStats,
    Executed,
    Identifier,
    Row,
    Rows,
    Sql,
    Transaction,
    ident,
    insecure_raw,
    sql,
)
from apifrom.exceptions import (
    DatabaseError,
    DatabaseUnavailable,
    IntegrityError,
    StatementError,
    UnknownName,
    UnstorableValue,
)

if TYPE_CHECKING:
    from typing import LiteralString, TypeAlias

    Statement: TypeAlias = LiteralString | Sql
    Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any] | None

__all__ = [
    "AsyncTransaction",
    "Database",
    "DatabaseError",
    "DatabaseStats",
    "DatabaseUnavailable",
    "Executed",
    "Identifier",
    "IntegrityError",
    "Row",
    "Rows",
    "Sql",
    "StatementError",
    "Transaction",
    "UnknownName",
    "UnstorableValue",
    "ident",
    "insecure_raw",
    "sql",
]

Sequence.register(Rows)
Mapping.register(Row)


class Database(BaseDatabase):
    """A database, by its URL; nothing is opened before it is used.

    The awaited forms do the same on threads of their own, for `async def` handlers.
    """

    async def aquery(self, sql: Statement, parameters: Parameters = None, /) -> Rows:
        """`query`, awaited."""
        return await _threads.WAITING.run(self.query, sql, parameters)

    async def aquery_one(self, sql: Statement, parameters: Parameters = None, /) -> Row | None:
        """`query_one`, awaited."""
        return await _threads.WAITING.run(self.query_one, sql, parameters)

    async def aexecute(self, sql: Statement, parameters: Parameters = None, /) -> Executed:
        """`execute`, awaited."""
        return await _threads.WAITING.run(self.execute, sql, parameters)

    async def aexecute_many(self, sql: Statement, parameters: Iterable[Parameters], /) -> int:
        """`execute_many`, awaited."""
        return await _threads.WAITING.run(self.execute_many, sql, parameters)

    async def amigrate(self, migrations: Sequence[tuple[str, LiteralString]]) -> int:
        """`migrate`, awaited."""
        return await _threads.WAITING.run(self.migrate, migrations)

    async def aping(self) -> None:
        """`ping`, awaited."""
        await _threads.WAITING.run(self.ping)

    @asynccontextmanager
    async def atransaction(self) -> AsyncIterator[AsyncTransaction]:
        """`transaction`, for `async with`."""
        transaction = await _threads.WAITING.run(self.transaction)
        try:
            yield AsyncTransaction(transaction)
        except BaseException:
            # A caller that is cancelled still gets its connection back into the pool.
            await asyncio.shield(_threads.HOLDING.run(transaction.rollback))
            raise
        await asyncio.shield(_threads.HOLDING.run(transaction.commit))


class AsyncTransaction:
    """A transaction whose calls are awaited."""

    def __init__(self, transaction: Transaction) -> None:
        """Wraps the transaction that does the work."""
        self._transaction = transaction

    async def query(self, sql: Statement, parameters: Parameters = None, /) -> Rows:
        """The rows that a statement gives."""
        return await _threads.HOLDING.run(self._transaction.query, sql, parameters)

    async def query_one(self, sql: Statement, parameters: Parameters = None, /) -> Row | None:
        """The one row that a statement gives, or `None`."""
        return await _threads.HOLDING.run(self._transaction.query_one, sql, parameters)

    async def execute(self, sql: Statement, parameters: Parameters = None, /) -> Executed:
        """Runs a statement that gives no rows."""
        return await _threads.HOLDING.run(self._transaction.execute, sql, parameters)

    async def execute_many(self, sql: Statement, parameters: Iterable[Parameters], /) -> int:
        """Runs a statement once for each of many: all of it is done, or nothing."""
        return await _threads.HOLDING.run(self._transaction.execute_many, sql, parameters)
