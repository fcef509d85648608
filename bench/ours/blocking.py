"""Handlers that compute or sleep for long, and others that must not suffer from it."""

import os
import time

from apifrom import API, api

app = API(title="bench", max_body_size=1024)
computing: list[int] = []


@api(route="/hello/{name}", method="GET")
def hello(name: str) -> dict[str, str]:
    """Greet by name."""
    return {"message": f"Hello, {name}!"}


@api(route="/ahello/{name}", method="GET")
async def hello_async(name: str) -> dict[str, str]:
    """Greet by name from the loop."""
    return {"message": f"Hello, {name}!"}


@api(route="/echo", method="POST")
def echo(text: dict[str, str]) -> dict[str, str]:
    """Return the body; one that is too long is refused before it is read."""
    return text


@api(route="/compute/{seconds}", method="GET")
def compute(seconds: int) -> dict[str, int]:
    """Compute in pure Python for as long as a run may last."""
    computing.append(seconds)
    end = time.monotonic() + seconds
    steps = 0
    while time.monotonic() < end:
        for number in range(10_000):
            steps += number & 1
    computing.pop()
    return {"steps": steps}


@api(route="/computing", method="GET")
async def computing_calls() -> dict[str, int]:
    """Tell how many calls are computing."""
    return {"running": len(computing)}


@api(route="/sleep/{milliseconds}", method="GET")
def sleep(milliseconds: int) -> dict[str, int]:
    """Block a thread without computing."""
    time.sleep(milliseconds / 1000)
    return {"slept": milliseconds}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False)
