"""Turns any function into a REST API that is secure by construction.

```python
from apifrom import API, api

app = API()


@api(route="/hello/{name}", method="GET")
def hello(name: str) -> dict:
    return {"message": f"Hello, {name}!"}


if __name__ == "__main__":
    app.run()
```
"""

# With the package, because it notes where the program began.
from apifrom import _program as _program
from apifrom.api import API, api
from apifrom.exceptions import ConfigurationError, HTTPException
from apifrom.parameters import Body, Cookie, Depends, File, Form, Header, Query
from apifrom.requests import Request, SyncRequest
from apifrom.responses import Response
from apifrom.routing import Router
from apifrom.security import Secret, public, secret
from apifrom.uploads import SyncUploadFile, UploadFile

__all__ = [
    "API",
    "Body",
    "ConfigurationError",
    "Cookie",
    "Depends",
    "File",
    "Form",
    "HTTPException",
    "Header",
    "Query",
    "Request",
    "Response",
    "Router",
    "Secret",
    "SyncRequest",
    "SyncUploadFile",
    "UploadFile",
    "api",
    "public",
    "secret",
]
