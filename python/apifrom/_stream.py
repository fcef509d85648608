"""What the engine runs on an asyncio loop for streams.

Internal. One task drives the whole of a stream, which is what time-outs, task groups and context
variables of the generator rely on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable

__all__ = ["drive", "resolve"]


async def drive(
    pieces: AsyncIterable[object], put: Callable[[object], Awaitable[None] | None]
) -> None:
    """Hands the pieces over one by one, no faster than the client reads.

    Args:
        pieces: What is streamed. Closed in any case, also when the client goes away.
        put: Takes a piece; what it returns is waited for before the next one is asked for.
    """
    try:
        async for piece in pieces:
            room = put(piece)
            if room is not None:
                await room
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


def resolve(future: asyncio.Future[None]) -> None:
    """Ends a future, unless whoever waited for it has given up meanwhile.

    Args:
        future: A future of the loop that runs.
    """
    if not future.done():
        future.set_result(None)
