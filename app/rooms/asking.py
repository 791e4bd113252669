"""Who asks something of a room, and with what."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
from starlette.requests import HTTPConnection, Request

from app.access import part
from app.rooms.limits import LIMITER, address
from app.service import rooms
from engine.rooms.records import Member, Room
from errors import BadSetting, NotAllowed, UnknownName

Answer = TypeVar("Answer")
MOST_JSON = 64 * 1024
"""Bytes of a request's JSON at most."""


def code(request: HTTPConnection) -> str:
    """Return the code in the address."""
    return part(request, "code")


def token(request: HTTPConnection) -> str:
    """Return the token or key that comes with a request: ``Authorization: Bearer ...``."""
    return request.headers.get("authorization", "").removeprefix("Bearer ").strip()


async def member(request: HTTPConnection, secret: str | None = None) -> tuple[Room, Member]:
    """Return the room and who asks, by the request's token or by ``secret``; raises `errors.UnknownName`,
    `errors.NotAllowed`."""

    def find() -> tuple[Room, Member]:
        known = rooms()
        who = token(request) if secret is None else secret
        return known.room(code(request)), known.member(code(request), who)

    return await _not_guessed(request, find)


async def teacher(request: HTTPConnection, secret: str | None = None) -> Room:
    """Return the room of which the teacher asks, by the request's key or by ``secret``; raises
    `errors.UnknownName`, `errors.NotAllowed`."""
    key = token(request) if secret is None else secret
    return await _not_guessed(request, lambda: rooms().teacher(code(request), key))


async def room(request: HTTPConnection) -> Room:
    """Return the room that the address names; raises `errors.UnknownName`, `errors.TooMany` for guessing."""
    LIMITER.check("wrong", address(request))
    return await _not_guessed(request, lambda: rooms().room(code(request)))


async def _not_guessed(request: HTTPConnection, find: Callable[[], Answer]) -> Answer:
    """Return what is looked up; count it against the address when there is no such thing."""
    try:
        return await anyio.to_thread.run_sync(find)
    except (UnknownName, NotAllowed):
        LIMITER.take("wrong", address(request))
        raise


async def plain(request: Request) -> dict[str, Any]:
    """Return a request's JSON object; raises `errors.BadSetting`."""
    try:
        asked = json.loads(await body(request, MOST_JSON) or b"{}")
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise BadSetting("Expected a JSON object.")
    return asked


async def body(request: Request, most: int) -> bytes:
    """Return a request's body of ``most`` bytes at most; raises `errors.BadSetting` for more."""
    data = await beginning(request, most + 1)
    if len(data) > most:
        raise BadSetting("Expected at most {most} bytes, got more.", most=most)
    return data


async def beginning(request: Request, most: int) -> bytes:
    """Return the first ``most`` bytes of a request's body; what comes after them is left unread."""
    chunks, size = [], 0
    async for chunk in request.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size >= most:
            break
    return b"".join(chunks)[:most]


def text(asked: dict[str, Any], name: str, default: str = "") -> str:
    """Return a text of a JSON object; raises `errors.BadSetting` when it is something else."""
    value = asked.get(name, default)
    if not isinstance(value, str):
        raise BadSetting("Expected {name} to be a text.", name=name)
    return value
