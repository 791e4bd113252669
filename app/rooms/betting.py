"""Questions that everybody in a room is asked, and the members' bets on them."""

from __future__ import annotations

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app import lessons
from app.access import language
from app.rooms import asking
from app.service import rooms
from components.i18n.text import texts
from components.lesson.questions import plain, question
from components.rooms import messages
from components.rooms.answers import answers
from engine.rooms import bets
from engine.rooms.records import Member, Revealed, Room
from errors import BadSetting


async def bet(request: Request) -> Response:
    """POST ``{"question": ..., "answer": number}``: bet, in place of an earlier bet on the same question."""
    _, member = await asking.member(request)
    asked = await asking.plain(request)
    name, answer = asking.text(asked, "question"), asked.get("answer")
    if not isinstance(answer, int) or isinstance(answer, bool):
        raise BadSetting("Expected {name} to be a number.", name="answer")

    def note(member: Member = member, answer: int = answer) -> None:
        lessons.check_asks(name)
        bets.bet(rooms(), member, bets.Question(name, len(question(name).answers)), answer)

    await anyio.to_thread.run_sync(note)
    return JSONResponse({"question": name, "answer": answer})


async def own(request: Request) -> Response:
    """GET the member's bets: ``{"bets": {question: number}}``."""
    _, member = await asking.member(request)
    return JSONResponse({"bets": await anyio.to_thread.run_sync(lambda: bets.own(rooms(), member))})


async def questions(request: Request) -> Response:
    """GET, as the teacher, all questions that there are: their names, chapters and words."""
    await asking.teacher(request)
    spoken = language(request)
    known = [
        {
            "question": name,
            "chapter": texts(name, spoken).get("title"),
            "asks": plain(question(name, spoken).asks),
        }
        for name in lessons.asking()
    ]
    return JSONResponse({"questions": known})


async def answered(request: Request) -> Response:
    """GET, as the teacher, what the wall shows of the answers: ``{"answers": ...}``."""
    room, spoken = await asking.teacher(request), language(request)
    shown = await anyio.to_thread.run_sync(lambda: answers(rooms(), room, spoken))
    return JSONResponse({"answers": shown})


async def reveal(request: Request) -> Response:
    """POST, as the teacher: reveal the right answer to the question that is asked."""
    room = await asking.teacher(request)
    answer = await anyio.to_thread.run_sync(revealed, room)
    return JSONResponse(messages.room(answer, language(request)))


def revealed(room: Room) -> Room:
    """Reveal the right answer to the question of a room, worked out from what ships; return the room.

    Raises `errors.UnknownName` where nothing is asked.
    """
    right = lessons.answer(room.question)
    return bets.reveal(rooms(), room.code, room.question, Revealed(right.number, dict(right.facts)))
