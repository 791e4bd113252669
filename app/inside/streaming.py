"""Lines of JSON that are sent while they are computed; a connection that closes ends the computing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from errors import FoolscopeError

LENGTH = "content-length"
Lines = Iterator[dict[str, Any]]
THREADS = anyio.CapacityLimiter(16)
"""Threads that wait for answers; the other routes have threads of their own."""


class Turns:
    """Lets at most ``most`` at a time in for each key; whoever comes later waits."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[str, anyio.Semaphore] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it inside the ``with`` block."""
        place = self._places.setdefault(key, anyio.Semaphore(self._most))
        self._users[key] += 1
        try:
            async with place:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._places[key]


class LinesResponse(Response):
    """Sends each line as it comes, then one of type "end", or one of type "error" with the sentence."""

    media_type = "application/x-ndjson"

    def __init__(
        self, lines: Callable[[], Lines], key: str, turns: Turns, refusal: Callable[[FoolscopeError], str]
    ) -> None:
        """``lines`` are begun, and each is waited for, in a thread; ``key``: whose `turns` they take."""
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers[LENGTH]  # it is not known yet
        self._lines, self._key, self._turns, self._refusal = lines, key, turns, refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the lines end or nobody listens any more."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._end_with, receive, group.cancel_scope)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with self._turns.turn(self._key):
                await self._send_lines(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            group.cancel_scope.cancel()

    async def _send_lines(self, send: Send) -> None:
        lines = self._lines()
        try:
            while True:
                line = await anyio.to_thread.run_sync(partial(self._next, lines), limiter=THREADS)
                await send({"type": "http.response.body", "body": encoded(line), "more_body": True})
                if line.get("type") in ("end", "error"):
                    return
        finally:
            close = getattr(lines, "close", None)
            with anyio.CancelScope(shield=True):
                if close:
                    await anyio.to_thread.run_sync(close)

    def _next(self, lines: Lines) -> dict[str, Any]:
        try:
            return next(lines, {"type": "end"})
        except FoolscopeError as error:
            return {"type": "error", "sentence": self._refusal(error)}

    @staticmethod
    async def _end_with(receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive()).get("type") != "http.disconnect":
            pass
        scope.cancel()


def encoded(line: dict[str, Any]) -> bytes:
    """Return a line as JSON with its end; raises ValueError for a number that is none."""
    return json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n"
