"""The socket over which a browser follows a run: it translates, and decides nothing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.access import cursor, do, find, foreign, language, same_origin
from app.sockets import send
from components.live.protocol import Feed, enlarged, picture_frames, run_message
from engine.run import Run
from errors import BadSetting, FoolscopeError, UnknownName

FRAME, STILL = 1 / 30, 0.5
"""Seconds between two looks at a run that goes on, and at one that waits or is paused, where a change of the
status and whatever the reader asks are seen to at once: of hundreds of people most wait, and looking at all
of them thirty times a second would take more than a core."""
SLOWEST = 2.0
"""Seconds between two looks at a run that goes on that a reader may ask for, at most."""


@dataclass
class _Reader:
    """What a reader has asked for. ``picture``: gain and view of the next one, None for no picture;
    ``pace``: seconds between two looks at a run that goes on; ``woken``: there is something to see to."""

    picture: tuple[float, str] | None = None
    pace: float = FRAME
    woken: asyncio.Event = field(default_factory=asyncio.Event)


async def live(socket: WebSocket) -> None:
    """Send a run to one reader as it grows, and do what the reader asks."""
    await socket.accept()
    try:
        if not same_origin(socket):
            raise UnknownName(foreign(socket))
        run = await find(socket)
        start = cursor(socket)
    except FoolscopeError as error:
        await socket.send_text(json.dumps({"type": "error", "sentence": str(error)}))
        await socket.close(4404)
        return
    reader = _Reader()
    listener = asyncio.create_task(_listen(socket, run, reader))
    listener.add_done_callback(lambda _: reader.woken.set())
    wake = partial(asyncio.get_running_loop().call_soon_threadsafe, reader.woken.set)
    run.listen(wake)
    try:
        await _talk(socket, run, start, reader, listener)
    except WebSocketDisconnect:
        return  # the reader left in the middle of a frame
    finally:
        run.unlisten(wake)
        listener.cancel()


async def _talk(
    socket: WebSocket, run: Run, start: int, reader: _Reader, listener: asyncio.Task[None]
) -> None:

    spoken = language(socket)
    await send(socket, json.dumps(run_message(run, spoken)))
    feed, shown = Feed(run, start, spoken), (-1, 0.0, "")
    while not listener.done():
        reader.woken.clear()
        for frame in feed.frames():
            await send(socket, frame)
        if reader.picture and len(run):
            newest = (run.picture_step(len(run) - 1), *reader.picture)
            if newest != shown:
                reader.picture = None
                shown = newest
                for data in await anyio.to_thread.run_sync(picture_frames, run, *newest):
                    await send(socket, data)
        if feed.ended:
            await socket.close(1000)
            return
        with anyio.move_on_after(reader.pace if run.status == "running" else STILL):
            await reader.woken.wait()
    listener.result()  # raises what the listener broke of


async def _listen(socket: WebSocket, run: Run, reader: _Reader) -> None:
    while True:
        message = await socket.receive()
        if message.get("type") == "websocket.disconnect":
            return
        try:
            _obey(run, message.get("text") or "", reader)
        except FoolscopeError as error:
            await send(socket, json.dumps({"type": "error", "sentence": str(error)}))
        if run.status != "running":  # where the reader's pace holds
            reader.woken.set()


def _obey(run: Run, text: str, reader: _Reader) -> None:
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise BadSetting('Expected a message such as {"do": "pause"}.')
    if asked.get("do") == "look":
        reader.picture = enlarged(asked.get("gain", 10), asked.get("view", "signed"))
    elif asked.get("do") == "pace":
        reader.pace = _pace(asked.get("seconds"))
    else:
        do(run, str(asked.get("do")))


def _pace(seconds: Any) -> float:
    """Return seconds between two looks as a reader asks for them; raises `errors.BadSetting` for others."""
    if isinstance(seconds, int | float) and 0 < seconds <= SLOWEST:
        return max(FRAME, float(seconds))
    raise BadSetting(f"Expected seconds above 0 and up to {SLOWEST:g}, got “{str(seconds)[:40]}”.")
