"""One route of each kind that a soak asks: short, long, failing, streaming both ways."""

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, Field

from apifrom import API, Request, api

MEBIBYTE = 1 << 20

app = API(title="soak", max_body_size=8 * MEBIBYTE)


class NewUser(BaseModel):
    """What ``/users`` accepts."""

    name: Annotated[str, Field(min_length=2, max_length=50)]
    age: Annotated[int, Field(ge=18, le=120)]


@api(route="/", method="GET")
def root() -> dict[str, str]:
    """Say that the server is up."""
    return {"status": "ok"}


@api(route="/hello/{name}", method="GET")
def hello(name: str) -> dict[str, str]:
    """Greet by name."""
    return {"message": f"Hello, {name}!"}


@api(route="/ahello/{name}", method="GET")
async def hello_async(name: str) -> dict[str, str]:
    """Greet by name from the loop."""
    return {"message": f"Hello, {name}!"}


@api(route="/users", method="POST")
def create_user(user: NewUser) -> dict[str, object]:
    """Accept a valid user."""
    return {"name": user.name, "age": user.age}


@api(route="/upload", method="POST")
async def upload(request: Request) -> dict[str, int]:
    """Count the bytes of a body without keeping them."""
    count = 0
    async for chunk in request.stream():
        count += len(chunk)
    return {"bytes": count}


@api(route="/download/{mebibytes}", method="GET")
def download(mebibytes: int) -> Iterator[bytes]:
    """Make a body piece by piece."""
    for _ in range(mebibytes * 16):
        yield b"x" * 65_536


@api(route="/wait/{milliseconds}", method="GET")
async def wait(milliseconds: int) -> dict[str, int]:
    """Wait on the loop; mostly cancelled half way."""
    await asyncio.sleep(milliseconds / 1000)
    return {"waited": milliseconds}


@api(route="/block/{milliseconds}", method="GET")
def block(milliseconds: int) -> dict[str, int]:
    """Block a thread of the pool."""
    time.sleep(milliseconds / 1000)
    return {"waited": milliseconds}


@api(route="/fail", method="GET")
def fail() -> None:
    """Fail in a way that nobody foresaw."""
    raise RuntimeError("foreseen by the soak alone")


if __name__ == "__main__":
    app.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        access_log=False,
        # All clients have one address; those that left in good order are waited for a while.
        limit_connections_per_client=16_384,
    )
