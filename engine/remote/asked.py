"""What is asked of a replica over a socket of its own: a question that looks into a model (`engine.probes`),
or a piece of work (`engine.work`)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import closing
from functools import cache
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.engine import Engine
from engine.remote import values
from engine.remote.answering import RESTARTING, Prepare, model_of, refused
from engine.remote.client import LAST
from engine.remote.wire import Array, Head, Message, pack, plain, unpack
from errors import BadSetting, EngineClosed

AT_ONCE = 64
"""So many questions and pieces of work have a thread at the same time."""


class Asked:
    """What is asked, and its socket."""

    def __init__(self, engine: Engine, opened: WebSocket) -> None:
        self._engine, self._opened, self._gone = engine, opened, threading.Event()

    async def answer(self, prepare: Prepare) -> None:
        """Take the question, and send its answers, or why there are none, until nobody listens any more."""
        last: Head | None = {LAST: True}
        try:
            message = unpack(await self._opened.receive_bytes())
            listening = asyncio.create_task(self._listen())
            try:
                if message.head.get("model"):
                    await prepare(model_of(message.head))
                await anyio.to_thread.run_sync(self._pass_on, message, limiter=_threads())
            finally:
                listening.cancel()
        except WebSocketDisconnect:
            return
        except EngineClosed:
            last = None
        except Exception as error:
            last = {"error": plain(refused(error))}
        if not self._gone.is_set():
            await self._end(last)

    async def _end(self, last: Head | None) -> None:
        """Close the socket after a last message, None where another replica is to be asked."""
        if last is not None:
            await self._opened.send_bytes(pack(Message(last)))
        await self._opened.close(RESTARTING if last is None else 1000)

    async def _listen(self) -> None:
        """Note when the socket closes; nothing else is to come."""
        while (await self._opened.receive())["type"] != "websocket.disconnect":
            pass
        self._gone.set()

    def _pass_on(self, message: Message) -> None:
        """Send the answers, in a thread of its own; raises what the question raises."""
        with closing(self._answers(message)) as answers:
            for answer in answers:
                if self._gone.is_set():
                    return
                arrays: dict[str, Array] = {}
                data = pack(Message({"answer": values.write(answer, arrays)}, arrays))
                anyio.from_thread.run(self._opened.send_bytes, data)

    def _answers(self, message: Message) -> Generator[Any]:
        question = values.read(message.head.get("question"), message.arrays)
        if callable(getattr(type(question), "pieces", None)):
            return self._engine.probe(model_of(message.head), question)
        if callable(getattr(type(question), "carry_out", None)):
            return self._engine.carry_out(question)
        raise BadSetting("Expected a question or a piece of work, got {got}.", got=type(question).__name__)


@cache
def _threads() -> anyio.CapacityLimiter:
    """Return how many questions and pieces of work have a thread at the same time; others wait."""
    return anyio.CapacityLimiter(AT_ONCE)
