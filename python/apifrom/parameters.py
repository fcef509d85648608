"""Markers that say where a parameter comes from and what it must be.

They stand in `Annotated`, or as a parameter's default value:

```python
from typing import Annotated

from apifrom import Depends, Header, Query


def search(
    q: Annotated[str, Query(min_length=2)],
    agent: Annotated[str, Header(alias="User-Agent")] = "",
    limit: int = Query(10, ge=1, le=100),
) -> list: ...
```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = ["Body", "Cookie", "Depends", "File", "Form", "Header", "Query"]


class _Missing:
    """The type of `MISSING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""Stands for «no default»; `None` is a default like others."""


class _Source:
    """What all markers share: a default, another wire name, and bounds on the value."""

    __slots__ = ("alias", "constraints", "default")
    source = ""

    def __init__(
        self,
        default: Any = MISSING,
        *,
        alias: str | None = None,
        gt: float | None = None,
        ge: float | None = None,
        lt: float | None = None,
        le: float | None = None,
        multiple_of: float | None = None,
        min_length: int | None = None,
        max_length: int | None = None,
        pattern: str | None = None,
    ) -> None:
        """Describes a parameter.

        Args:
            default: The value where nothing was sent. Without one the parameter is required.
            alias: The name on the wire. Defaults to the parameter's own.
            gt: The value must be greater than this.
            ge: The value must be this or greater.
            lt: The value must be less than this.
            le: The value must be this or less.
            multiple_of: The value must be a multiple of this.
            min_length: The fewest characters, or items of a list or a set.
            max_length: The most characters, or items of a list or a set.
            pattern: A regular expression that must be found in the value.

        But for the lengths, bounds of a list are those of each item. A bound that says nothing of
        the parameter's type is an error at the start.
        """
        self.default = default
        self.alias = alias
        given = {
            "gt": gt,
            "ge": ge,
            "lt": lt,
            "le": le,
            "multiple_of": multiple_of,
            "min_length": min_length,
            "max_length": max_length,
            "pattern": pattern,
        }
        self.constraints = {name: value for name, value in given.items() if value is not None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alias={self.alias!r}, constraints={self.constraints!r})"


class Query(_Source):
    """A parameter of the query string."""

    __slots__ = ()
    source = "query"


class Header(_Source):
    """A header. `_` in the parameter's name reads `-` on the wire, in any case."""

    __slots__ = ()
    source = "header"


class Cookie(_Source):
    """A cookie."""

    __slots__ = ()
    source = "cookie"


class Form(_Source):
    """A field of a form, urlencoded or multipart."""

    __slots__ = ()
    source = "form"


class File(_Source):
    """A file of a multipart form: `UploadFile`, `SyncUploadFile`, `bytes`, or a list of these."""

    __slots__ = ()
    source = "file"

    def __init__(self, default: Any = MISSING, *, alias: str | None = None) -> None:
        """Describes a file. How large it may be is the route's `max_body_size` to say.

        Args:
            default: The value where none was sent. Without one the file is required.
            alias: The name of the field. Defaults to the parameter's own.
        """
        super().__init__(default, alias=alias)


class Body(_Source):
    """The whole JSON body, also where the type alone would make it a query parameter."""

    __slots__ = ()
    source = "body"


class Depends:
    """A value that another function makes from the request.

    The function's own parameters are bound like a handler's; one function is called once for a
    request, however many parameters ask for it. A generator function yields the value once and
    goes on after the handler returned, or, where the handler is a generator or returns one, when
    its stream has ended or the client has gone; it hears of an exception where it yielded. What
    goes into a `StreamingResponse` outlives it.
    """

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        """Depends on `function`.

        Args:
            function: A `def`, an `async def`, a generator function of either kind, or an object
                that is called like one.
        """
        self.function = function

    def __repr__(self) -> str:
        return f"Depends({getattr(self.function, '__qualname__', self.function)!r})"
