"""The API as an ASGI 3 application: for foreign servers, and for clients that ask in process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from apifrom import _apifrom
from apifrom.exceptions import ConfigurationError

if TYPE_CHECKING:
    from types import TracebackType

    from apifrom.api import API

__all__ = ["Application", "Message", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Application:
    """One API under a foreign server.

    An API whose configuration is wrong, or whose start-up failed, answers 503 to everything.
    """

    def __init__(self, api: API) -> None:
        """Keeps the API; it is frozen with the first scope."""
        self._api = api
        self._engine: _apifrom.Engine | None = None
        self._is_ready = False
        self._failure = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one scope: `http`, `lifespan`, and `websocket` with a refusal.

        Raises:
            ValueError: The scope is of another kind, or malformed.
        """
        kind = scope["type"]
        if kind == "http":
            await self._answer(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)
        elif kind == "websocket":
            # Before it was accepted, closing is a refusal of the handshake.
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            raise ValueError(f"expected an ASGI scope of http or lifespan, found {kind!r}")

    def _freeze(self) -> _apifrom.Engine:
        if self._engine is not None:
            return self._engine
        try:
            engine = self._api.freeze()
            self._is_ready = True
        except ConfigurationError as error:
            self._failure = str(error)
            # An API without anything, which gives its refusals the form that all of them have.
            empty, _ = _apifrom.freeze({}, [], [], None)
            if empty is None:
                raise
            engine = empty
        self._engine = engine
        return engine

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._freeze()
        lifespan = self._api.lifespan()
        if self._is_ready:
            try:
                await lifespan.start()
            except Exception as error:  # noqa: BLE001 - the server is told, and ends
                self._failure = f"start-up failed: {error}"
                self._is_ready = False
        if not self._is_ready:
            await send({"type": "lifespan.startup.failed", "message": self._failure})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await _apifrom.Exchange.settled()
        try:
            await lifespan.stop()
        except Exception as error:  # noqa: BLE001 - the server is told
            await send({"type": "lifespan.shutdown.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})
        finally:
            _apifrom.flush_logs(5_000)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        engine = self._freeze()
        exchange = _apifrom.Exchange(engine, scope, self._is_ready)
        answer = exchange.answer()
        made = await answer if answer.ready() else None
        if made is not None and made[2] is not None:
            # Nothing has to be waited for, so nobody has to listen.
            await _send(exchange, made, send)
            return
        with _Listener(exchange, receive):
            await _send(exchange, made or await answer, send)


class _Listener:
    """Hands on what the client sends, and gives the request up when the client has gone.

    A client that goes, and a `receive` that fails, cancel this request and nothing beyond it.
    """

    def __init__(self, exchange: _apifrom.Exchange, receive: Receive) -> None:
        handler = asyncio.current_task()
        if handler is None:
            raise RuntimeError("an ASGI application is awaited in a task")
        self._exchange = exchange
        self._handler = handler
        self._cancelling = handler.cancelling()
        self._has_cancelled = False
        self._failure: Exception | None = None
        self._task = asyncio.ensure_future(self._listen(receive))

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._exchange.close()
        self._task.cancel()
        if not self._has_cancelled:
            return False
        is_cancelled_besides = self._handler.uncancel() > self._cancelling
        if is_cancelled_besides or not isinstance(error, asyncio.CancelledError):
            return False
        if self._failure is not None:
            raise self._failure from None
        return True

    async def _listen(self, receive: Receive) -> None:
        exchange = self._exchange
        more = True
        try:
            while True:
                await exchange.demand()
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                if not more:
                    # Who says the body again, as some middleware does, never says anything else.
                    return
                more = message.get("more_body", False)
                exchange.feed(message.get("body", b""), more)
        except Exception as error:  # noqa: BLE001 - the request ends with it
            self._failure = error
        exchange.disconnect()
        self._has_cancelled = self._handler.cancel()


async def _send(
    exchange: _apifrom.Exchange, answer: tuple[int, list[Any], bytes | None], send: Send
) -> None:
    status, headers, body = answer
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if body is not None:
        await send({"type": "http.response.body", "body": body})
        return
    while (piece := await exchange.piece()) is not None:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
