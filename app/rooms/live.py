"""The socket over which a member's page and the wall hear what changes in a room."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.access import foreign, language, refusal, same_origin
from app.rooms import asking
from app.service import engine, rooms
from app.sockets import send
from components.rooms import messages
from components.rooms.board import Board
from engine.rooms.rooms import NO_TOKEN
from errors import FoolscopeError, HistoryFailed, NotAllowed, UnknownName

PERIOD = 0.5
"""Seconds between two looks at a room, which all its sockets share."""
HELLO = 15.0
"""Seconds in which a socket must say who it is."""
TRY_AGAIN = 1013
"""Closes a socket while the database does not answer (RFC 6455's registry)."""
News = Callable[[], Awaitable[str]]
"""Gives the next message as JSON, "" where there is nothing new."""


class State(NamedTuple):
    """What members hear of a room, "" before it was looked up; who is in it; when that was looked up, by the
    monotonic clock."""

    text: str = ""
    members: frozenset[str] = frozenset()
    at: float = -math.inf


_states: dict[tuple[str, str], tuple[float, State]] = {}
_boards: WeakValueDictionary[tuple[str, str], Board] = WeakValueDictionary()


async def live(socket: WebSocket) -> None:
    """Send ``{"type": "room", ...}`` whenever the room changes, after the socket's ``{"token": ...}``, and
    ``{"type": "wall", ...}`` after the teacher's ``{"key": ...}``."""
    await socket.accept()
    try:
        if not same_origin(socket):
            raise NotAllowed(foreign(socket))
        await _talk(socket, await _enter(socket))
    except HistoryFailed:  # the page tries again by itself
        await _close(socket, TRY_AGAIN)
    except FoolscopeError as error:
        status = 404 if isinstance(error, UnknownName) else 403
        await _say(socket, {"type": "error", "sentence": refusal(socket, error), "status": status})
        await _close(socket)
    except WebSocketDisconnect:
        return  # the reader left
    except TimeoutError:
        await _close(socket)


async def _enter(socket: WebSocket) -> News:
    """Let a member in who says its token, or a teacher with the key; return what each is to hear."""
    hello = await asyncio.wait_for(socket.receive_text(), HELLO)
    try:
        asked = json.loads(hello[: asking.MOST_JSON])
    except (ValueError, RecursionError):
        asked = None
    shown = asked if isinstance(asked, dict) else {}
    if "key" in shown:
        room = await asking.teacher(socket, asking.text(shown, "key"))
        return _wall(room.code, language(socket))
    room, member = await asking.member(socket, asking.text(shown, "token"))
    return _member(room.code, language(socket), member.id)


async def _talk(socket: WebSocket, news: News) -> None:
    gone = asyncio.create_task(_until_gone(socket))
    try:
        while not gone.done():
            text = await news()
            if text:
                await send(socket, text)
            await asyncio.wait([gone], timeout=PERIOD)
    finally:
        gone.cancel()


def _member(code: str, spoken: str, member: str) -> News:
    """Return what a member hears: the room, whenever it changed, until the member is sent out."""
    shown, entered = "", time.monotonic()

    async def news() -> str:
        nonlocal shown
        state = await _state(code, spoken)
        if state.at > entered and member not in state.members:  # what is older may not know who just came
            raise NotAllowed(NO_TOKEN)
        changed = state.text != shown
        shown = state.text
        return state.text if changed else ""

    return news


def _wall(code: str, spoken: str) -> News:
    """Return what a wall hears: what changed on the board that all walls of its language share."""
    place = (code, spoken)
    board = _boards.get(place) or Board(engine(), rooms(), *place)
    _boards[place] = board
    since = 0

    def look() -> str:
        nonlocal since
        answer = board.message(since)
        if answer is None:
            return ""
        since, message = answer
        return json.dumps(message, separators=(",", ":"))

    async def news() -> str:
        return await anyio.to_thread.run_sync(look)

    return news


async def _state(code: str, spoken: str) -> State:
    """Return what members hear of a room, looked up once for all of them."""
    at, state = _states.get((code, spoken), (0.0, State()))
    if time.monotonic() - at < PERIOD:
        return state
    _states[code, spoken] = (time.monotonic(), state)

    def look() -> State:
        now = time.monotonic()
        room = messages.room(rooms().room(code), spoken)
        here = frozenset(member.id for member in rooms().members(code))
        return State(json.dumps({"type": "room", "room": room}), here, now)

    try:
        state = await anyio.to_thread.run_sync(look)
    except HistoryFailed:  # the database is busy or full: what is known stays, and the next look may succeed
        return state
    except UnknownName:
        _states.pop((code, spoken), None)
        raise
    _states[code, spoken] = (time.monotonic(), state)
    return state


async def _until_gone(socket: WebSocket) -> None:
    while (await socket.receive()).get("type") != "websocket.disconnect":
        pass


async def _say(socket: WebSocket, message: dict[str, Any]) -> None:
    try:
        await send(socket, json.dumps(message))
    except WebSocketDisconnect:
        return


async def _close(socket: WebSocket, code: int = 4403) -> None:
    try:
        await socket.close(code)
    except RuntimeError:
        return
