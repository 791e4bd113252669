"""A question that looks into a model (`engine.probes`), asked of a replica over a socket of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from functools import cache

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


class Probing:
    """One question that looks into a model, and its socket."""

    def __init__(self, engine: Engine, opened: WebSocket) -> None:
        self._engine, self._opened, self._gone = engine, opened, threading.Event()

    async def answer(self, prepare: Prepare) -> None:
        """Take the question, and send its answers, or why there are none, until nobody listens any more."""
        last: Head = {LAST: True}
        try:
            message = unpack(await self._opened.receive_bytes())
            listening = asyncio.create_task(self._listen())
            try:
                await prepare(model_of(message.head))
                await anyio.to_thread.run_sync(self._pass_on, message, limiter=threads())
            finally:
                listening.cancel()
        except WebSocketDisconnect:
            return
        except EngineClosed:
            await self._opened.close(RESTARTING)
            return
        except Exception as error:
            last = {"error": plain(refused(error))}
        if not self._gone.is_set():
            await self._opened.send_bytes(pack(Message(last)))
            await self._opened.close(1000)

    async def _listen(self) -> None:
        """Note when the socket closes; nothing else is to come."""
        while (await self._opened.receive())["type"] != "websocket.disconnect":
            pass
        self._gone.set()

    def _pass_on(self, message: Message) -> None:
        """Send the answers, in a thread of its own; raises what the question raises."""
        question = values.read(message.head.get("question"), message.arrays)
        if not callable(getattr(type(question), "pieces", None)):
            raise BadSetting("Expected a question about a model, got {got}.", got=type(question).__name__)
        with closing(self._engine.probe(str(message.head["model"]), question)) as answers:
            for answer in answers:
                if self._gone.is_set():
                    return
                arrays: dict[str, Array] = {}
                data = pack(Message({"answer": values.write(answer, arrays)}, arrays))
                anyio.from_thread.run(self._opened.send_bytes, data)


@cache
def threads() -> anyio.CapacityLimiter:
    """Return how many questions and pieces of work have a thread at the same time; others wait."""
    return anyio.CapacityLimiter(AT_ONCE)
