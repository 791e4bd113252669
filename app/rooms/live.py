"""The socket over which a member's page hears what changes in a room."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.access import foreign, language, refusal, same_origin
from app.rooms import asking
from app.service import rooms
from components.rooms import messages
from errors import FoolscopeError, NotAllowed

PERIOD = 0.5
"""Seconds between two looks at a room, which all its sockets share."""
HELLO = 15.0
"""Seconds in which a socket must say who it is."""
_states: dict[tuple[str, str], tuple[float, str]] = {}


async def live(socket: WebSocket) -> None:
    """Send ``{"type": "room", ...}`` whenever the room changes, after the socket's ``{"token": ...}``."""
    await socket.accept()
    try:
        if not same_origin(socket):
            raise NotAllowed(foreign(socket))
        await _enter(socket)
        await _talk(socket)
    except FoolscopeError as error:
        await _say(socket, {"type": "error", "sentence": refusal(socket, error)})
        await _close(socket)
    except (WebSocketDisconnect, RuntimeError):
        return  # the reader left
    except TimeoutError:
        await _close(socket)


async def _enter(socket: WebSocket) -> None:
    """Let a member in who says its token."""
    hello = await asyncio.wait_for(socket.receive_text(), HELLO)
    try:
        asked = json.loads(hello[: asking.MOST_JSON])
    except (ValueError, RecursionError):
        asked = None
    token = asked.get("token") if isinstance(asked, dict) else None
    who = token if isinstance(token, str) else ""
    await anyio.to_thread.run_sync(lambda: rooms().member(asking.code(socket), who))


async def _talk(socket: WebSocket) -> None:
    gone = asyncio.create_task(_until_gone(socket))
    shown = ""
    try:
        while not gone.done():
            state = await _state(asking.code(socket), language(socket))
            if state != shown:
                shown = state
                await socket.send_text(state)
            await asyncio.wait([gone], timeout=PERIOD)
    finally:
        gone.cancel()


async def _state(code: str, spoken: str) -> str:
    """Return what members hear of a room, looked up once for all of them."""
    at, state = _states.get((code, spoken), (0.0, ""))
    if time.monotonic() - at < PERIOD:
        return state
    _states[code, spoken] = (time.monotonic(), state)
    room = await anyio.to_thread.run_sync(lambda: rooms().room(code))
    state = json.dumps({"type": "room", "room": messages.room(room, spoken)})
    _states[code, spoken] = (time.monotonic(), state)
    return state


async def _until_gone(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _say(socket: WebSocket, message: dict[str, Any]) -> None:
    try:
        await socket.send_text(json.dumps(message))
    except (RuntimeError, WebSocketDisconnect):
        return


async def _close(socket: WebSocket) -> None:
    try:
        await socket.close(4403)
    except RuntimeError:
        return
