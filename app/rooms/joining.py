"""Join a room, and what a member may know of it."""

from __future__ import annotations

from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.access import language
from app.rooms import asking
from app.service import engine, rooms
from components.rooms import messages
from engine.rooms import permission

FOR_A_DAY = {"Cache-Control": "private, max-age=86400"}


async def join(request: Request) -> Response:
    """POST ``{"name": ...}``: join; the answer has the token that only this browser gets."""
    asked = await asking.plain(request)
    room = await asking.room(request)
    joined = await anyio.to_thread.run_sync(lambda: rooms().join(room.code, asking.text(asked, "name")))
    return JSONResponse({"token": joined.token, "member": messages.member(joined.member)})


async def me(request: Request) -> Response:
    """GET all that a member's page shows: the room, and what the member did."""
    room, member = await asking.member(request)
    spoken = language(request)
    answer = await anyio.to_thread.run_sync(
        lambda: messages.member_state(engine(), rooms(), room, member, spoken)
    )
    return JSONResponse(answer)


async def runs(request: Request) -> Response:
    """GET the member's own runs, the newest first."""
    room, member = await asking.member(request)
    spoken = language(request)
    shown = await anyio.to_thread.run_sync(lambda: messages.own_runs(engine(), rooms(), room, member, spoken))
    return JSONResponse({"runs": shown})


async def seen(request: Request) -> Response:
    """GET what one of the room's networks sees and says of one of its pictures: ``?model=&image=``."""
    room, member = await asking.member(request)
    model, image = (request.query_params.get(name, "") for name in ("model", "image"))
    spoken = language(request)

    def look() -> dict[str, Any]:
        permission.check_sight(room.allowed, model, image, rooms().uploads(member))
        return messages.seen(engine(), model, image, spoken)

    return JSONResponse(await anyio.to_thread.run_sync(look), headers=FOR_A_DAY)


async def classes(request: Request) -> Response:
    """GET the classes of one of the room's networks: ``?model=``, in the reader's language, by index."""
    room, _ = await asking.member(request)
    name = request.query_params.get("model", "")
    permission.check_network(room.allowed, name)
    return JSONResponse(messages.classes(name, language(request)), headers=FOR_A_DAY)
