"""Answers that say more than their body: status, headers, cookies, files, work afterwards.

```python
from apifrom import api
from apifrom.responses import BackgroundTask, FileResponse, JSONResponse


@api(route="/login", method="POST")
def login() -> JSONResponse:
    response = JSONResponse({"ok": True}, background=BackgroundTask(print, "logged in"))
    response.set_cookie("__Host-session", "3f0c…")
    return response


@api(route="/report", method="GET")
def report() -> FileResponse:
    return FileResponse("report.pdf", filename="résumé.pdf")
```

What else a handler may return:

| returned | answer |
|---|---|
| `dict`, `list`, dataclass, Pydantic model, … | JSON |
| `str` | `text/plain; charset=utf-8` |
| `bytes` | `application/octet-stream` |
| `None` | 204 where the handler is annotated `-> None`, else `null` in JSON |
| a generator, `def` or `async def` | streamed; text where the annotation says `str`, else octets |
| `(body, status)`, `(body, status, headers)` | that body, with these |

A tuple is a body with its status when its second element is an `int`; any other is a list in JSON.
The return annotation filters the JSON bodies of 2xx answers: what it does not declare does not
leave, and a body that does not fit it is answered with 500. A `Response` passes as it is.

In JSON, times are RFC 3339, durations ISO 8601, `Decimal` and `UUID` strings, and the members of
Pydantic models named by their aliases. `nan`, `inf` and whatever JSON has no form for are errors:
500 for the client, the type and its place for the log.
"""

from __future__ import annotations

from collections.abc import Mapping

from apifrom._apifrom import (
    BackgroundTask,
    BackgroundTasks,
    FileResponse,
    HTMLResponse,
    JSONResponse,
    MutableHeaders,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
    static_file,
)

__all__ = [
    "BackgroundTask",
    "BackgroundTasks",
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "MutableHeaders",
    "PlainTextResponse",
    "RedirectResponse",
    "Response",
    "StreamingResponse",
    "static_file",
]

Mapping.register(MutableHeaders)
