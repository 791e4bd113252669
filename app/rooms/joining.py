"""Join a room, and what a member may know of it."""

from __future__ import annotations

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import models
from app.access import language
from app.rooms import asking
from app.service import engine, rooms
from components.i18n.text import named
from components.rooms import messages
from engine.rooms.permission import NOT_HERE
from errors import NotAllowed


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


async def classes(request: Request) -> Response:
    """GET the classes of one of the room's networks: ``?model=``, in the reader's language, by index."""
    room, _ = await asking.member(request)
    name, spoken = request.query_params.get("model", ""), language(request)
    if room.allowed.models and name not in room.allowed.models:
        raise NotAllowed(NOT_HERE, kind="network", name=name[:40], known=", ".join(room.allowed.models))
    labels = models.card(name).labels
    return JSONResponse({"labels": labels, "names": [named(label, spoken) for label in labels]})
