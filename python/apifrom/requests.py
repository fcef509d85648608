"""The request, as handlers and own middleware may look at it.

A handler asks for it by name (`request`) or by type. `async def` handlers are given a `Request`,
`def` handlers a `SyncRequest`, whose `body()`, `json()` and `form()` return at once:

```python
from apifrom import Request, SyncRequest, api


@api(route="/echo", method="POST")
async def echo(request: Request) -> dict:
    return {"agent": request.headers.get("user-agent"), "sent": await request.json()}


@api(route="/size", method="POST")
def size(request: SyncRequest) -> dict:
    return {"bytes": len(request.body())}
```

Nothing of it is built before it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from apifrom._apifrom import (
    URL,
    BaseRequest,
    Client,
    FormData,
    Headers,
    Params,
    Request,
    SyncRequest,
)

__all__ = [
    "URL",
    "BaseRequest",
    "Client",
    "FormData",
    "Headers",
    "Params",
    "Request",
    "State",
    "SyncRequest",
]


class State:
    """The attributes of one request: what authentication and own middleware leave for handlers.

    `hasattr(request.state, name)` is true for what was set, and for nothing else.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

        def __delattr__(self, name: str) -> None: ...


Mapping.register(Headers)
Mapping.register(Params)
