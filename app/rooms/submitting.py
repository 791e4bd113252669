"""Challenges: set by the teacher, and what members hand in for them."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.access import language, part
from app.rooms import asking
from app.service import engine, judge, rooms
from components.rooms import challenges as shown
from engine.rooms.challenges import OFFERS
from engine.rooms.competition import Submission, kind_of
from engine.rooms.judge import MOST_BYTES
from engine.rooms.ranking import Standing, standings
from engine.rooms.records import Challenge, Member, Room
from errors import BadSetting, UnknownName

Standings = dict[str, list[Standing]]
PERIOD = 1.0
"""Seconds between two looks at who is ahead, unless somebody hands something in."""
MOST_KNOWN = 200
"""Rooms of which that is remembered."""
_known: dict[str, tuple[float, Standings]] = {}
ACTIONS = ("offer", "add", "open", "close", "remove")


async def challenges(request: Request) -> Response:
    """GET a room's challenges, and how the member who asks stands in each."""
    room, member = await asking.member(request)
    answer = await anyio.to_thread.run_sync(_listed, room, member, language(request))
    return JSONResponse(answer)


async def set_challenges(request: Request) -> Response:
    """POST the teacher's ``{"offer": name}``, ``{"add": {"kind", "title", "settings"}}``, ``{"open": id}``,
    ``{"close": id}`` or ``{"remove": id}``; the answer has the room's challenges and the ready-made ones."""
    room, asked = await asking.teacher(request), await asking.plain(request)
    spoken = language(request)

    def change() -> dict[str, Any]:
        _change(room, asked)
        now = rooms().room(room.code)
        return {"challenges": shown.listed(now, spoken), "offers": shown.offers(spoken)}

    return JSONResponse(await anyio.to_thread.run_sync(change))


async def hand_in(request: Request) -> Response:
    """POST ``{"run": id}``, or the bytes of a PNG file: the answer says whether it counts, and why not."""
    room, member = await asking.member(request)
    spoken, challenge = language(request), part(request, "challenge")
    if request.headers.get("content-type", "").startswith("image/"):
        data = await asking.beginning(request, MOST_BYTES + 1)
        judged = partial(judge().hand_in_file, room, member, challenge, data)
    else:
        run = asking.text(await asking.plain(request), "run")
        judged = partial(judge().hand_in_run, room, member, challenge, run)
    answer = await anyio.to_thread.run_sync(lambda: _verdict(room, member, judged(), spoken))
    return JSONResponse(answer)


def _listed(room: Room, member: Member, spoken: str) -> dict[str, Any]:
    ahead = _own(_standings(room), member)
    mine = {
        challenge.id: shown.own(ahead[challenge.id], kind_of(challenge), spoken)
        for challenge in room.challenges
        if challenge.id in ahead
    }
    return {"challenges": shown.listed(room, spoken), "mine": mine}


def _verdict(room: Room, member: Member, submission: Submission, spoken: str) -> dict[str, Any]:
    challenge: Challenge = judge().competition.find(room, submission.challenge)
    standing = _own(_standings(room, anew=True), member).get(challenge.id)
    return shown.verdict(submission, challenge, standing, spoken)


def _standings(room: Room, anew: bool = False) -> Standings:
    """Return who is ahead in a room, looked up once a `PERIOD` for all who ask, or ``anew``."""
    now = time.monotonic()
    if not anew and room.code in _known and now - _known[room.code][0] < PERIOD:
        return _known[room.code][1]
    members = [one.id for one in rooms().members(room.code)]
    ahead = standings(judge().competition, room, members)
    if len(_known) > MOST_KNOWN:
        _known.clear()
    _known[room.code] = (now, ahead)
    return ahead


def _own(ahead: Standings, member: Member) -> dict[str, Standing]:
    """Return how a member stands, by challenge, where it has something that counts."""
    own = {challenge: [row for row in rows if row.member == member.id] for challenge, rows in ahead.items()}
    return {challenge: rows[0] for challenge, rows in own.items() if rows}


def _change(room: Room, asked: dict[str, Any]) -> None:
    if set(asked) - set(ACTIONS) or len(asked) > 1:
        raise BadSetting("Expected one of {known}.", known=", ".join(ACTIONS))
    competition = judge().competition
    if "offer" in asked:
        name = asking.text(asked, "offer")
        if name not in OFFERS:
            raise UnknownName.of("challenge", name, OFFERS)
        offer = OFFERS[name]
        competition.add(engine(), room, offer.kind, offer.settings, offer.title)
    if "add" in asked:
        wanted = asked.get("add")
        settings = wanted.get("settings") if isinstance(wanted, dict) else None
        if not isinstance(wanted, dict) or not isinstance(settings, dict):
            raise BadSetting("Expected a kind of challenge and its settings.")
        kind, title = asking.text(wanted, "kind"), asking.text(wanted, "title")
        competition.add(engine(), room, kind, settings, title)
    for action in ("open", "close"):
        if action in asked:
            competition.switch(room, asking.text(asked, action), action == "open")
    if "remove" in asked:
        competition.remove(room, asking.text(asked, "remove"))
