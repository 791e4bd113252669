"""The rooms of this server: opened, joined, changed and ended; kept in the database of runs."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import sqlalchemy as sa

from engine.history import tables as history
from engine.history.database import Database
from engine.rooms import tables
from engine.rooms.handed_in import HandedIn
from engine.rooms.records import (
    NAME,
    TITLE,
    Allowed,
    Broadcast,
    Challenge,
    Joined,
    Member,
    MemberRun,
    Opened,
    Revealed,
    Room,
)
from errors import BadSetting, NotAllowed, UnknownName

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Of codes: without those that look alike."""
CODE = 6
MOST_MEMBERS = 1_000
NO_ROOM = "Expected the code of a room that is open, got “{code}”."
NO_KEY = "Expected the key of this room's teacher."
NO_TOKEN = "Expected a member of this room: join it again by its code."
CHANGEABLE = ("title", "allowed", "frozen", "hide_names", "judging", "broadcast", "question")


class Rooms:
    """Rooms in a database. ``clock`` gives seconds since 1970."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        """Open nothing yet; raises `errors.BadSetting`."""
        self.database, self.clock = database, clock
        self.handed_in = HandedIn(database, database.pictures)

    def open(self, title: str = "", allowed: Allowed | None = None) -> Opened:
        """Open a room; raises `errors.HistoryFailed`."""
        key, code = secrets.token_urlsafe(16), "".join(secrets.choice(LETTERS) for _ in range(CODE))
        row = {
            "code": code,
            "key": digest(key),
            "title": _plain(title, TITLE),
            "opened": self.clock(),
            "settings": (allowed or Allowed()).plain(),
            "frozen": False,
            "hide_names": False,
            "judging": False,
            "broadcast": None,
            "question": "",
            "revealed": {},
            "received": 0,
        }
        with self.database.writing(code) as connection:
            connection.execute(sa.insert(tables.rooms).values(row))
        return Opened(self.room(code), key)

    def room(self, code: str) -> Room:
        """Return an open room by its code, however it is spelt; raises `errors.UnknownName`."""
        return self._whole(self._row(code))

    def teacher(self, code: str, key: str) -> Room:
        """Return a room to whoever holds its key; raises `errors.UnknownName`, `errors.NotAllowed`."""
        row = self._row(code)
        if not secrets.compare_digest(row.key, digest(key)):
            raise NotAllowed(NO_KEY)
        return self._whole(row)

    def change(self, code: str, **parts: Any) -> Room:
        """Change parts of a room (`CHANGEABLE`), as `records.Room` has them; return what it is then."""
        unknown = set(parts) - set(CHANGEABLE)
        if unknown:
            raise BadSetting("Expected {known}, got {names}.", known=", ".join(CHANGEABLE), names=unknown)
        values = {"settings" if name == "allowed" else name: _column(value) for name, value in parts.items()}
        if values:
            here = tables.rooms.c.code == spelt(code)
            with self.database.writing(spelt(code)) as connection:
                connection.execute(sa.update(tables.rooms).where(here).values(values))
        return self.room(code)

    def broadcast(self, code: str, query: dict[str, str] | None, words: str = "") -> Room:
        """Ask everybody to run what the link's ``query`` says, None to end that."""
        column, room = tables.rooms.c, self.room(code)
        here = column.code == room.code
        with self.database.writing(room.code) as connection:
            before = connection.scalar(sa.select(column.broadcast).where(here))
            number = Broadcast(**before).number + 1 if before else 1
            new = None if query is None else Broadcast(number, query, _plain(words, 200))
            connection.execute(sa.update(tables.rooms).where(here).values(broadcast=_column(new)))
        return self.room(room.code)

    def end(self, code: str) -> list[Member]:
        """Delete a room with all that belongs to it; return who was in it, whose runs are to be deleted."""
        room = self.room(code)
        gone = self.members(room.code, removed=True)
        submissions = tables.submissions.c
        self.handed_in.delete(
            row.id for row in self._all(sa.select(submissions.id).where(submissions.room == room.code))
        )
        with self.database.writing(room.code) as connection:
            for table in tables.DEPENDENT:
                column = table.c.code if table is tables.rooms else table.c.room
                connection.execute(sa.delete(table).where(column == room.code))
        return gone

    def unused(self, since: float) -> list[str]:
        """Return the codes of the rooms in which nothing happened from ``since`` on, in seconds since 1970:
        they were opened before, and nobody joined, ran, handed in, judged or bet."""
        code = tables.rooms.c.code
        times = [
            (tables.members, "joined"),
            (tables.runs, "started"),
            *((table, "at") for table in (tables.submissions, tables.votes, tables.bets)),
        ]
        used = [sa.exists().where(table.c.room == code, table.c[name] >= since) for table, name in times]
        query = sa.select(code).where(tables.rooms.c.opened < since, ~sa.or_(*used))
        return [row.code for row in self._all(query)]

    # ---- members -------------------------------------------------------------------------

    def join(self, code: str, name: str) -> Joined:
        """Let somebody in; whose name is taken gets a number after it.

        Raises `errors.UnknownName`, `errors.BadSetting` for no name, `errors.NotAllowed` when it is full.
        """
        room, wanted = self.room(code), _plain(name, NAME - 5)
        if not wanted:
            raise BadSetting("Expected a name.")
        token = secrets.token_urlsafe(16)
        with self.database.writing(room.code) as connection:
            others = connection.execute(
                sa.select(tables.members.c.name).where(tables.members.c.room == room.code)
            )
            names = {row.name for row in others}
            if len(names) >= MOST_MEMBERS:
                raise NotAllowed("Expected at most {most} people in a room.", most=MOST_MEMBERS)
            member = Member(
                id=secrets.token_urlsafe(16),
                room=room.code,
                name=_free(wanted, names),
                owner=digest(token),
                number=len(names) + 1,
                joined=self.clock(),
                removed=False,
            )
            connection.execute(sa.insert(tables.members).values(asdict(member)))
        return Joined(member, token)

    def member(self, code: str, token: str) -> Member:
        """Return who holds ``token`` in a room; raises `errors.NotAllowed`."""
        members = tables.members
        mine = (members.c.room == spelt(code)) & (members.c.owner == digest(token))
        row = self._one(sa.select(members).where(mine))
        if row is None or row.removed:
            raise NotAllowed(NO_TOKEN)
        return Member(**row._mapping)

    def members(self, code: str, removed: bool = False) -> list[Member]:
        """Return who is in a room in the order of joining; ``removed``: those too who were sent out."""
        members = tables.members
        query = sa.select(members).where(members.c.room == spelt(code)).order_by(members.c.number)
        rows = self._all(query if removed else query.where(members.c.removed.is_(False)))
        return [Member(**row._mapping) for row in rows]

    def remove(self, code: str, member: str) -> None:
        """Send a member out: its token no longer counts; what it did stays."""
        members = tables.members
        mine = (members.c.room == spelt(code)) & (members.c.id == member)
        with self.database.writing(spelt(code)) as connection:
            connection.execute(sa.update(members).where(mine).values(removed=True))

    # ---- what members start --------------------------------------------------------------

    def note_run(self, member: Member, run: str, broadcast: int = 0) -> MemberRun:
        """Note that a member has started a run, as an answer to a broadcast if it is one."""
        runs = tables.runs
        with self.database.writing(member.room) as connection:
            before = connection.scalar(sa.select(sa.func.count()).where(runs.c.member == member.id)) or 0
            noted = MemberRun(run, member.id, before + 1, self.clock(), broadcast)
            connection.execute(sa.insert(runs).values(asdict(noted) | {"room": member.room}))
        return noted

    def note_upload(self, member: Member, token: str) -> None:
        """Note that an upload is a member's."""
        with self.database.writing(member.room) as connection:
            row = {"token": token, "room": member.room, "member": member.id}
            connection.execute(sa.insert(tables.uploads).values(row))

    def uploads(self, member: Member) -> list[str]:
        """Return the names of a member's uploads."""
        uploads = tables.uploads
        return [row.token for row in self._all(sa.select(uploads).where(uploads.c.member == member.id))]

    def uploads_of(self, code: str) -> list[str]:
        """Return the names of all uploads of a room."""
        uploads = tables.uploads
        return [row.token for row in self._all(sa.select(uploads).where(uploads.c.room == spelt(code)))]

    def runs(self, code: str, member: str | None = None) -> list[MemberRun]:
        """Return a room's runs, or one member's: everybody's first, everybody's second, and so on."""
        runs = tables.runs
        # By number, not by the time of day, which may be set back.
        query = sa.select(runs).where(runs.c.room == spelt(code)).order_by(runs.c.number, runs.c.started)
        rows = self._all(query if member is None else query.where(runs.c.member == member))
        return [_member_run(row) for row in rows]

    def newest_runs(self, code: str) -> list[MemberRun]:
        """Return the newest run of each of a room's members."""
        runs = tables.runs
        here = sa.select(runs.c.member, sa.func.max(runs.c.number).label("number"))
        newest = here.where(runs.c.room == spelt(code)).group_by(runs.c.member).subquery()
        same = (runs.c.member == newest.c.member) & (runs.c.number == newest.c.number)
        return [_member_run(row) for row in self._all(sa.select(runs).join(newest, same))]

    def outcomes(self, code: str) -> list[tuple[MemberRun, bool]]:
        """Return a room's runs, and for each whether it fooled the network as far as it was written down."""
        runs, written = tables.runs, history.runs
        joined = runs.outerjoin(written, written.c.id == runs.c.run)
        query = sa.select(runs, written.c.success).select_from(joined).where(runs.c.room == spelt(code))
        return [(_member_run(row), bool(row.success)) for row in self._all(query)]

    def run_counts(self, code: str) -> dict[str, int]:
        """Return how many runs the members of a room have started, by their ids; none is not among them."""
        runs = tables.runs
        query = sa.select(runs.c.member, sa.func.count()).where(runs.c.room == spelt(code))
        with self.database.reading() as connection:
            return {member: count for member, count in connection.execute(query.group_by(runs.c.member))}

    # ---- the database --------------------------------------------------------------------

    def _row(self, code: str) -> sa.Row[Any]:
        row = self._one(sa.select(tables.rooms).where(tables.rooms.c.code == spelt(code)))
        if row is None:
            raise UnknownName(NO_ROOM, code=code[:20])
        return row

    def _whole(self, row: sa.Row[Any]) -> Room:
        """Return a room with its challenges."""
        challenges = tables.challenges
        query = sa.select(challenges).where(challenges.c.room == row.code).order_by(challenges.c.number)
        return replace(_room(row), challenges=tuple(Challenge(**c._mapping) for c in self._all(query)))

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self.database.reading() as connection:
            return connection.execute(query).all()

    def _one(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        with self.database.reading() as connection:
            return connection.execute(query).one_or_none()


def spelt(code: str) -> str:
    """Return a code as it is kept: capitals, without what people put between."""
    return "".join(sign for sign in code.upper() if sign in LETTERS)[:CODE]


def digest(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _room(row: sa.Row[Any]) -> Room:
    broadcast = Broadcast(**row.broadcast) if row.broadcast else None
    return Room(
        row.code,
        row.title,
        row.opened,
        Allowed.read(row.settings),
        row.frozen,
        row.hide_names,
        row.judging,
        broadcast,
        row.question,
        {question: Revealed(**answer) for question, answer in row.revealed.items()},
    )


def _member_run(row: sa.Row[Any]) -> MemberRun:
    return MemberRun(**{field.name: getattr(row, field.name) for field in fields(MemberRun)})


def _column(value: object) -> object:
    """Return a part of a room as its column has it."""
    if isinstance(value, Allowed):
        return value.plain()
    return asdict(value) if isinstance(value, Broadcast) else value


def _plain(text: str, most: int) -> str:
    """Return what can be printed of a text, in one line."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:most].strip()


def _free(name: str, taken: set[str]) -> str:
    """Return a name that is not taken: with a number after it if it is."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name} {number}", number + 1
    return free
