"""What members start: uploads and runs."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.access import language
from app.rooms import asking
from app.service import engine, rooms
from components.rooms import messages
from engine.images.sources import MAX_BYTES
from engine.rooms import permission
from engine.rooms.records import Member, Room
from engine.run import Run
from errors import BadSetting, HistoryFailed, NotAllowed


async def upload(request: Request) -> Response:
    """POST the bytes of a picture: the answer is what it is called from now on."""
    room, member = await asking.member(request)
    if room.frozen:
        raise NotAllowed(permission.FROZEN)
    if not room.allowed.uploads:
        raise NotAllowed(permission.OWN)
    data = await asking.body(request, MAX_BYTES + 1)

    def keep() -> str:
        name = engine().uploads.add(data, unquote(request.headers.get("x-file-name", ""))[:200])
        try:
            rooms().note_upload(member, name)
        except HistoryFailed:  # as when the room has just ended
            engine().uploads.drop(name)
            raise
        return name

    return JSONResponse({"image": await anyio.to_thread.run_sync(keep)})


async def start(request: Request) -> Response:
    """POST ``{"query": {...}, "broadcast": number}``: start a run of what a link's query says."""
    room, member = await asking.member(request)
    asked = await asking.plain(request)
    query, broadcast = asked.get("query"), asked.get("broadcast", 0)
    if not isinstance(query, dict) or not all(isinstance(text, str) for text in query.values()):
        raise BadSetting("Expected a query, an object of texts.")
    if not isinstance(broadcast, int):
        raise BadSetting("Expected {name} to be a number.", name="broadcast")
    run = await anyio.to_thread.run_sync(submit, room, member, query, broadcast)
    return JSONResponse(messages.run(run, language(request)))


def submit(room: Room, member: Member, query: dict[str, Any], broadcast: int) -> Run:
    """Start a member's run; raises `errors.FoolscopeError` where the room or the engine refuses it."""
    if room.frozen:
        raise NotAllowed(permission.FROZEN)
    recipe = permission.recipe_of(engine(), room, query, rooms().uploads(member))
    allowed = room.allowed
    run = engine().enqueue(recipe, member.owner, allowed.seconds, member.owner, allowed.runs)
    try:
        rooms().note_run(member, run.id, broadcast)
    except HistoryFailed:
        engine().cancel(run)  # nobody would find it again
        engine().delete_runs(member.owner, [run.id])
        raise
    return run
