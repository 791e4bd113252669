"""What only a teacher may ask of a room."""

from __future__ import annotations

from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from app import lessons
from app.access import language, part
from app.rooms import asking
from app.service import engine, rooms
from components.rooms import messages
from engine.rooms import archive as archives
from engine.rooms import ending, permission
from engine.rooms.records import Allowed, Room
from errors import BadSetting

SWITCHES = ("frozen", "hide_names", "judging")


async def open_room(request: Request) -> Response:
    """POST ``{"title": ..., "allowed": {...}}``: open a room; the answer has its code and its key."""
    asked = await asking.plain(request)
    allowed = _allowed(asked.get("allowed", {}))
    title = asking.text(asked, "title")
    opened = await anyio.to_thread.run_sync(lambda: rooms().open(title, allowed))
    return JSONResponse({"code": opened.room.code, "key": opened.key})


async def change(request: Request) -> Response:
    """POST any of ``{"frozen", "hide_names", "judging", "title", "question", "allowed", "broadcast"}``."""
    room, asked = await asking.teacher(request), await asking.plain(request)
    spoken = language(request)
    answer = await anyio.to_thread.run_sync(lambda: messages.room(_change(room, asked), spoken))
    return JSONResponse(answer)


async def remove(request: Request) -> Response:
    """POST nothing: send a member out, whose id the address has."""
    room, member = await asking.teacher(request), part(request, "member")
    await anyio.to_thread.run_sync(lambda: rooms().remove(room.code, member))
    return JSONResponse({})


async def end(request: Request) -> Response:
    """POST nothing: end the room; everything of it is deleted."""
    room = await asking.teacher(request)
    await anyio.to_thread.run_sync(lambda: ending.end(engine(), rooms(), room.code))
    return JSONResponse({})


async def archive(request: Request) -> Response:
    """GET all of the room as a ZIP archive, written while it is sent: ``?names=0`` for numbers instead."""
    room, anonymous = await asking.teacher(request), request.query_params.get("names") == "0"
    archived = await anyio.to_thread.run_sync(lambda: archives.pieces(engine(), rooms(), room, anonymous))
    headers = {
        "Content-Disposition": f'attachment; filename="room-{room.code}.zip"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(archived, media_type="application/zip", headers=headers)


def _change(room: Room, asked: dict[str, Any]) -> Room:
    parts: dict[str, Any] = {
        name: asking.text(asked, name) for name in ("title", "question") if name in asked
    }
    if question := parts.get("question"):
        lessons.check_asks(question)
    for name in SWITCHES:
        if name in asked and not isinstance(asked[name], bool):
            raise BadSetting("Expected {name} to be true or false.", name=name)
    parts |= {name: asked[name] for name in SWITCHES if name in asked}
    if "allowed" in asked:
        parts |= {"allowed": _allowed(room.allowed.plain() | _object(asked.get("allowed")))}
    changed = rooms().change(room.code, **parts)
    if "broadcast" not in asked:
        return changed
    wanted = asked.get("broadcast")
    query = None if wanted is None else {str(k): str(v) for k, v in _object(wanted).items()}
    if query is not None:  # everybody would be refused what cannot be run
        permission.recipe_of(engine(), changed, query, ())
    return rooms().broadcast(room.code, query, asking.text(asked, "words"))


def _allowed(plain: object) -> Allowed:
    return Allowed.read(_object(plain))


def _object(plain: object) -> dict[str, Any]:
    if not isinstance(plain, dict):
        raise BadSetting("Expected a JSON object.")
    return plain
