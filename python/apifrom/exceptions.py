"""What a handler raises to answer with an error, and what a wrong configuration raises.

```python
from apifrom import HTTPException


def find(item_id: int) -> dict:
    raise HTTPException(404, f"there is no item {item_id}")
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = [
    "ConfigurationError",
    "DatabaseError",
    "DatabaseUnavailable",
    "HTTPException",
    "IntegrityError",
    "StatementError",
    "UnknownName",
    "UnreadableRequest",
    "UnstorableValue",
]


class HTTPException(Exception):
    """Answers the request with `application/problem+json` (RFC 9457).

    Attributes:
        status: The status of the answer.
        detail: What happened, for people; sent to the client as it is.
        headers: Headers of the answer, beside those that the engine adds.
    """

    status: int
    detail: str | None
    headers: dict[str, str]

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Describes the answer.

        Args:
            status: 400 to 599.
            detail: What happened, for people. Without one the status speaks for itself.
            headers: Headers of the answer, such as `Retry-After`.

        Raises:
            ValueError: For a status that is no error's.
        """
        if not 400 <= status <= 599:
            raise ValueError(f"expected a status from 400 to 599, found {status}")
        super().__init__(status, detail)
        self.status = int(status)
        self.detail = detail
        self.headers = dict(headers or {})

    def __str__(self) -> str:
        return str(self.status) if self.detail is None else f"{self.status}: {self.detail}"


class UnreadableRequest(HTTPException):
    """What the client sent cannot be read: too large, too slow, malformed, of another type.

    Raised by `body()`, `json()`, `form()`, `stream()` and `query_params` of a request. A handler
    that lets it pass answers with what the engine itself would have said.

    Attributes:
        code: The reason, for programs; never changes.
    """

    code: str

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        code: str = "unreadable",
    ) -> None:
        """Describes the answer.

        Args:
            status: 400 to 599.
            detail: What is wrong, for people.
            headers: Headers of the answer.
            code: The reason, for programs.
        """
        super().__init__(status, detail, headers)
        self.code = code


class ConfigurationError(Exception):
    """Everything that is wrong with an API, found in one go before it answers anything.

    Attributes:
        errors: The field and what is wrong with it, for each.
    """

    errors: list[tuple[str, str]]

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        """Keeps what was found.

        Args:
            errors: The field and what is wrong with it, for each.
        """
        super().__init__(errors)
        self.errors = list(errors)

    def __str__(self) -> str:
        noun = "error" if len(self.errors) == 1 else "errors"
        lines = [f"{len(self.errors)} configuration {noun}"]
        lines += [f"  {path}: {message}" for path, message in self.errors]
        return "\n".join(lines)


class DatabaseError(Exception):
    """A database did not do what it was asked. The text shows no parameter and no row."""


class StatementError(DatabaseError):
    """A statement, or what it was given, is wrong: a mistake of the program."""


class UnstorableValue(DatabaseError):
    """A value is one that no column holds: a whole number of more than 64 bits, or not finite.

    A handler that lets it pass answers 422: a request may have sent it where the types allow it.
    """


class UnknownName(DatabaseError):
    """A name is none of those that `ident` allows.

    A handler that lets it pass answers 422: a request chose it.
    """


class IntegrityError(DatabaseError):
    """The data would break a rule of the database: unique, not null, a reference, a check."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be asked now: locked, busy, full, unreadable or not there.

    A handler that lets it pass answers 503 with `Retry-After`.
    """
