"""The API as an ASGI 3 application: for foreign servers, and for clients that ask in process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from apifrom import _apifrom
from apifrom.exceptions import ConfigurationError

if TYPE_CHECKING:
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
        if answer.ready():
            # Nothing had to be waited for, so nobody has to listen.
            await _send(exchange, await answer, send)
            return
        listener = _Listener(exchange, receive)
        try:
            await _send(exchange, await answer, send)
        except asyncio.CancelledError:
            if not listener.is_gone:
                raise
            # The client's going cancels this request and nothing beyond it.
            listener.handler.uncancel()
        finally:
            exchange.close()
            listener.task.cancel()


class _Listener:
    """Hands on what the client sends, and gives the request up when the client has gone."""

    def __init__(self, exchange: _apifrom.Exchange, receive: Receive) -> None:
        handler = asyncio.current_task()
        if handler is None:
            raise RuntimeError("an ASGI application is awaited in a task")
        self.handler = handler
        self.is_gone = False
        self.task = asyncio.ensure_future(self._listen(exchange, receive))

    async def _listen(self, exchange: _apifrom.Exchange, receive: Receive) -> None:
        while True:
            await exchange.demand()
            message = await receive()
            if message["type"] == "http.disconnect":
                exchange.disconnect()
                self.is_gone = True
                self.handler.cancel()
                return
            exchange.feed(message.get("body", b""), message.get("more_body", False))


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
