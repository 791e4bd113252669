"""What a room's members compete in, and what they handed in: kept in the database of runs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import sqlalchemy as sa

from engine.base import EngineBase
from engine.history import tables as history
from engine.recipe import Recipe
from engine.rooms import tables
from engine.rooms.challenges import build
from engine.rooms.challenges.contract import Kind
from engine.rooms.records import TITLE, Allowed, Challenge, Room
from engine.rooms.rooms import NO_ROOM, Rooms
from engine.sentences import Said
from errors import BadSetting, UnknownName

MOST_CHALLENGES = 20
REPLAY = "It does not count: you handed in this very picture before, as number {number}."
NO_CHALLENGE = "Expected a challenge of this room, got “{name}”."


@dataclass(frozen=True)
class Submission:
    """What was handed in.

    ``run``: of which it is a picture, "" where it is of none; ``number``: in the order in which the room's
    came; ``at``: in seconds since 1970; ``pixels``: sha256 of the decoded pixels, "" where there are none;
    ``score``: None where it does not count; ``label``: what the fooled network says; ``template`` and
    ``facts``: the verdict in words.
    """

    id: str
    room: str
    challenge: str
    member: str
    run: str
    number: int
    at: float
    pixels: str
    counts: bool
    score: float | None
    label: str
    template: str
    facts: Mapping[str, str | int]

    @property
    def said(self) -> Said:
        """Return the verdict in words."""
        return self.template, self.facts


COLUMNS = [tables.submissions.c[field.name] for field in fields(Submission)]


class Competition:
    """The challenges and the submissions of the rooms. Safe to share between threads."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms, self.database = rooms, rooms.database

    # ---- challenges ----------------------------------------------------------------------

    def add(
        self, engine: EngineBase, room: Room, kind: str, settings: Mapping[str, Any], title: str = ""
    ) -> Challenge:
        """Set a challenge, which takes pictures at once; the room allows from now on what it needs.

        Raises `errors.FoolscopeError` where the settings make no challenge.
        """
        if len(room.challenges) >= MOST_CHALLENGES:
            raise BadSetting("Expected at most {most} challenges in a room.", most=MOST_CHALLENGES)
        built = build(kind, settings)
        if built.hidden_model and built.hidden_model in (*room.allowed.models, *_used(room)):
            raise BadSetting("Expected a hidden network that the room does not allow.")
        built.check(engine.classify(built.model, built.image)[0])
        challenge = Challenge(
            id=secrets.token_urlsafe(16),
            room=room.code,
            kind=kind,
            title=" ".join(title.split())[:TITLE] or built.title,
            settings=built.plain(),
            number=max((one.number for one in room.challenges), default=0) + 1,
            open=True,
        )
        with self.database.writing(room.code) as connection:
            connection.execute(sa.insert(tables.challenges).values(asdict(challenge)))
        self.rooms.change(room.code, allowed=widened(room.allowed, built))
        return challenge

    def switch(self, room: Room, challenge: str, open: bool) -> None:
        """Let a challenge take pictures, or no more."""
        self.find(room, challenge)
        mine = (tables.challenges.c.room == room.code) & (tables.challenges.c.id == challenge)
        with self.database.writing(room.code) as connection:
            connection.execute(sa.update(tables.challenges).where(mine).values(open=open))

    def remove(self, room: Room, challenge: str) -> None:
        """Delete a challenge with all that was handed in for it."""
        self.find(room, challenge)
        theirs = sa.select(tables.submissions.c.id).where(tables.submissions.c.challenge == challenge)
        with self.database.reading() as connection:
            gone = list(connection.scalars(theirs))
        self.rooms.handed_in.delete(gone)
        with self.database.writing(room.code) as connection:
            connection.execute(sa.delete(tables.votes).where(tables.votes.c.submission.in_(theirs)))
            connection.execute(
                sa.delete(tables.submissions).where(tables.submissions.c.challenge == challenge)
            )
            connection.execute(sa.delete(tables.challenges).where(tables.challenges.c.id == challenge))

    def find(self, room: Room, challenge: str) -> Challenge:
        """Return a challenge of a room; raises `errors.UnknownName`."""
        for one in room.challenges:
            if one.id == challenge:
                return one
        raise UnknownName(NO_CHALLENGE, name=challenge[:40])

    # ---- submissions ---------------------------------------------------------------------

    def number(self, room: Room) -> int:
        """Return the number of a submission that has just come; the room's next one has a greater one, on
        whichever server it comes. Raises `errors.UnknownName` where the room has ended."""
        rooms, here = tables.rooms, tables.rooms.c.code == room.code
        with self.database.writing(room.code) as connection:
            connection.execute(sa.update(rooms).where(here).values(received=rooms.c.received + 1))
            number = connection.scalar(sa.select(rooms.c.received).where(here))
        if number is None:
            raise UnknownName(NO_ROOM, code=room.code)
        return int(number)

    def keep(self, submission: Submission, png: bytes) -> Submission:
        """Keep a submission, and return it; one whose member handed in the same picture meanwhile does not
        count."""
        stored = self.rooms.handed_in.put(submission.id, png)
        with self.database.writing(submission.room) as connection:
            before = _before(connection, submission) if submission.run else None
            if before:
                submission, stored = replayed(submission, before.number), b""
            row = asdict(submission) | {"png": stored}
            connection.execute(sa.insert(tables.submissions).values(row))
        if before:
            self.rooms.handed_in.delete([submission.id])
        return submission

    def before(self, submission: Submission) -> Submission | None:
        """Return the submission with which a member handed in the same picture for the same challenge."""
        with self.database.reading() as connection:
            return _before(connection, submission)

    def with_pixels(self, room: str, pixels: str) -> list[Submission]:
        """Return a room's submissions of runs that have these pixels, the first first."""
        return self._submissions(_with_pixels(room, pixels))

    def submissions(self, room: str, counting: bool = False) -> list[Submission]:
        """Return a room's submissions in the order in which they came; ``counting``: those alone that
        count."""
        column = tables.submissions.c
        own = column.room == room
        return self._submissions(own & column.counts if counting else own)

    def png(self, submission: str) -> bytes:
        """Return the picture of a submission that counts; raises `errors.UnknownName`,
        `errors.HistoryFailed`."""
        return self.rooms.handed_in.get(submission)

    def _submissions(self, wanted: sa.ColumnElement[bool]) -> list[Submission]:
        with self.database.reading() as connection:
            return _read(connection, wanted)

    # ---- whose pictures they are -----------------------------------------------------------

    def runs_with(self, room: str, recipe: str, besides: str) -> list[str]:
        """Return a room's runs of a recipe, by its key, but for those of the member ``besides``."""
        noted, runs = tables.runs.c, history.runs.c
        theirs = (noted.room == room) & (noted.member != besides) & (noted.run == runs.id)
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(runs.id, runs.recipe).where(theirs)).all()
        return [row.id for row in rows if Recipe.from_json(row.recipe).key() == recipe]

    def note_file(self, run: str, pixels: str, finished: bool) -> None:
        """Note the pixels of a picture that was saved of a run, if the run is one of a room."""
        runs, files = tables.runs.c, tables.files.c
        key = (files.run == run) & (files.pixels == pixels) & (files.finished == finished)
        with self.database.writing(run) as connection:
            noted = connection.execute(sa.select(runs.room, runs.member).where(runs.run == run)).one_or_none()
            if noted and not connection.execute(sa.select(files.run).where(key)).first():
                row = {"run": run, "pixels": pixels, "finished": finished, **noted._mapping}
                connection.execute(sa.insert(tables.files).values(row))

    def files(self, room: str, pixels: str) -> Sequence[Any]:
        """Return of which runs of a room a picture with these pixels was saved: run, member, finished."""
        files = tables.files.c
        wanted = (files.room == room) & (files.pixels == pixels)
        with self.database.reading() as connection:
            return connection.execute(
                sa.select(files.run, files.member, files.finished).where(wanted).order_by(files.finished)
            ).all()


def _read(connection: sa.Connection, wanted: sa.ColumnElement[bool]) -> list[Submission]:
    query = sa.select(*COLUMNS).where(wanted).order_by(tables.submissions.c.number)
    return [Submission(**row._mapping) for row in connection.execute(query)]


def _with_pixels(room: str, pixels: str) -> sa.ColumnElement[bool]:
    column = tables.submissions.c
    return (column.room == room) & (column.pixels == pixels) & (column.run != "")


def _before(connection: sa.Connection, submission: Submission) -> Submission | None:
    column = tables.submissions.c
    same = (column.member == submission.member) & (column.challenge == submission.challenge)
    earlier = _read(connection, _with_pixels(submission.room, submission.pixels) & same)
    return earlier[0] if earlier else None


def replayed(submission: Submission, number: int) -> Submission:
    """Return a submission that does not count, as its picture was handed in before as ``number``."""
    facts = {"number": number}
    return replace(submission, run="", counts=False, score=None, label="", template=REPLAY, facts=facts)


def kind_of(challenge: Challenge) -> Kind:
    """Return what a challenge asks for."""
    return build(challenge.kind, challenge.settings)


def widened(allowed: Allowed, kind: Kind) -> Allowed:
    """Return what a room allows with what a challenge needs: its network, its picture, the best attack."""
    return replace(
        allowed,
        models=_with(allowed.models, kind.model),
        images=_with(allowed.images, kind.image),
        attacks=_with(allowed.attacks, kind.suits[0]),
    )


def _used(room: Room) -> set[str]:
    """Return the networks that a room's challenges are about."""
    return {kind_of(challenge).model for challenge in room.challenges}


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return ``names`` with ``name``; no names are all."""
    return names if not names or name in names else (*names, name)
