"""What the members of a room bet on: which answer to a question is right, before they see it."""

from __future__ import annotations

from dataclasses import asdict
from typing import NamedTuple

import sqlalchemy as sa

from engine.rooms import tables
from engine.rooms.permission import FROZEN
from engine.rooms.records import Member, Revealed, Room
from engine.rooms.rooms import Rooms
from errors import BadSetting, NotAllowed, UnknownName

NOT_ASKED = "This question is not asked now."
TOO_LATE = "The right answer has been revealed: bets are no longer taken."


class Question(NamedTuple):
    """A question of `room`'s teacher. ``answers``: how many there are to choose from."""

    name: str
    answers: int


def ask(rooms: Rooms, code: str, question: str) -> Room:
    """Ask everybody a question, "" for none; bets on it that there are already stay.

    Raises `errors.UnknownName` for no such room.
    """
    return rooms.change(code, question=question)


def bet(rooms: Rooms, member: Member, question: Question, answer: int) -> None:
    """Note a member's answer to the question that is asked, in place of an earlier one.

    ``answer``: its number, from 0 on. Raises `errors.NotAllowed` where another question is asked, the right
    answer has been revealed or the room is frozen, `errors.BadSetting` for a number that no answer has.
    """
    if not 0 <= answer < question.answers:
        raise BadSetting(
            "Expected the number of an answer, from 0 to {last}, got {number}.",
            last=question.answers - 1,
            number=answer,
        )
    bets, asked = tables.bets, tables.rooms
    mine = {"room": member.room, "question": question.name, "member": member.id}
    own = sa.and_(*(bets.c[name] == value for name, value in mine.items()))
    with rooms.database.writing(member.room) as connection:
        # Written first, which locks the row: whoever reveals at the same moment comes before or after.
        new = {"answer": str(answer), "at": rooms.clock()}
        if not connection.execute(sa.update(bets).where(own).values(new)).rowcount:
            connection.execute(sa.insert(bets).values(mine | new))
        room = connection.execute(sa.select(asked).where(asked.c.code == member.room)).one_or_none()
        if room is None or room.question != question.name:
            raise NotAllowed(NOT_ASKED)
        if question.name in room.revealed:
            raise NotAllowed(TOO_LATE)
        if room.frozen:
            raise NotAllowed(FROZEN)


def own(rooms: Rooms, member: Member) -> dict[str, int]:
    """Return the answers that a member has given, by question."""
    bets = tables.bets
    query = sa.select(bets.c.question, bets.c.answer).where(bets.c.member == member.id)
    with rooms.database.reading() as connection:
        return {row.question: int(row.answer) for row in connection.execute(query)}


def counts(rooms: Rooms, room: Room, question: Question) -> list[int]:
    """Return how many members gave each answer; those who were sent out do not count."""
    bets, members = tables.bets, tables.members
    query = (
        sa.select(bets.c.answer, sa.func.count().label("number"))
        .join(members, members.c.id == bets.c.member)
        .where(bets.c.room == room.code, bets.c.question == question.name, members.c.removed.is_(False))
        .group_by(bets.c.answer)
    )
    with rooms.database.reading() as connection:
        by_answer = {int(row.answer): int(row.number) for row in connection.execute(query)}
    return [by_answer.get(number, 0) for number in range(question.answers)]


def reveal(rooms: Rooms, code: str, question: str, answer: Revealed) -> Room:
    """Reveal the right answer to a question, after which no bet on it is taken; return the room.

    Raises `errors.UnknownName` where no question was named or there is no such room.
    """
    if not question:
        raise UnknownName(NOT_ASKED)
    asked, room = tables.rooms, rooms.room(code)
    with rooms.database.writing(room.code) as connection:
        mine = asked.c.code == room.code
        connection.execute(sa.update(asked).where(mine).values(question=asked.c.question))
        before = connection.execute(sa.select(asked.c.revealed).where(mine)).scalar_one()
        revealed = before | {question: asdict(answer)}
        connection.execute(sa.update(asked).where(mine).values(revealed=revealed))
    return rooms.room(room.code)
