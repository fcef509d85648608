"""A body that is counted as it arrives, and one that is made as it leaves."""

import os
from collections.abc import Iterator

from apifrom import API, Request, api

MEBIBYTE = 1 << 20

app = API(title="bench", max_body_size=64 * MEBIBYTE)


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


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False)
