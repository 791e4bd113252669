"""What people see in the pictures that others handed in."""

from __future__ import annotations

from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.access import language, part
from app.rooms import asking
from app.service import rooms, votes
from components.i18n.text import named
from components.rooms import challenges as shown
from engine.rooms.votes import NO_PICTURE, SECONDS
from errors import NotAllowed, UnknownName


async def next_picture(request: Request) -> Response:
    """GET what the member is to look at next, ``"picture": null`` where there is nothing."""
    room, member = await asking.member(request)
    spoken = language(request)

    def ask() -> dict[str, Any]:
        ballot, judged = votes().next(room, member), votes().judged(member)
        if ballot is None:
            return {"picture": None, "judged": judged}
        names = [{"choice": label, "name": named(label, spoken)} for label in ballot.names]
        ballots = {"picture": ballot.picture, "seen": ballot.seen, "seconds": SECONDS}
        return ballots | {"names": names, "judged": judged}

    return JSONResponse(await anyio.to_thread.run_sync(ask))


async def picture(request: Request) -> Response:
    """GET the pixels of a picture: by the name that the member was given for it, or, with the teacher's key,
    by the submission's. No file name, nothing of the recipe, and nothing is kept by the browser; a
    member gets it for a few seconds, once."""
    name = part(request, "picture")
    png = await anyio.to_thread.run_sync(_png, request, name)
    return Response(png, media_type="image/png", headers={"Cache-Control": "no-store"})


async def vote(request: Request) -> Response:
    """POST ``{"picture": name, "choice": label}``: what the member sees in it."""
    room, member = await asking.member(request)
    asked, spoken = await asking.plain(request), language(request)
    name, choice = asking.text(asked, "picture"), asking.text(asked, "choice")

    def keep() -> dict[str, Any]:
        answer = votes().vote(room, member, name, choice)
        return shown.answered(answer, votes().judged(member), spoken)

    return JSONResponse(await anyio.to_thread.run_sync(keep))


def _png(request: Request, name: str) -> bytes:
    known, code, token = rooms(), asking.code(request), asking.token(request)
    room, competition = known.room(code), votes().competition
    try:
        member = known.member(code, token)
    except NotAllowed:
        known.teacher(code, token)
    else:
        return votes().show(room, member, name)
    if name not in {submission.id for submission in competition.submissions(room.code, counting=True)}:
        raise UnknownName(NO_PICTURE)
    return competition.png(name)
