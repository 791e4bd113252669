"""All of a room in one ZIP archive, written piece by piece: no more than one run of it is in memory.

| file | what it holds |
|---|---|
| ``room.json`` | title, times, settings, members, challenges |
| ``runs.csv`` | a row for every run: who, network, picture, attack, target, steps, result |
| ``runs/MEMBER/NUMBER/`` | ``recipe.json``, ``trajectory.csv``, ``last.png``; ``first.png`` of an upload |
| ``submissions.csv``, ``submissions/NUMBER.png`` | what was handed in, with the verdict |
| ``votes.csv``, ``bets.csv`` | what people saw in others' pictures; what they bet on |

Tables are UTF-8 with a mark that spreadsheets look for; times are UTC. Nothing in it opens anything on the
server: neither keys and tokens nor the ids of runs and uploads.
"""

from __future__ import annotations

import csv
import io
import json
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from engine.base import EngineBase
from engine.images.sources import PREPARED, UPLOAD
from engine.render import encode, to_image
from engine.rooms import tables
from engine.rooms.records import Member, MemberRun, Room
from engine.rooms.rooms import Rooms
from engine.run import Run
from engine.sharing import data
from errors import FoolscopeError, UnknownName

OWN_PICTURE = "upload"
"""What takes the place of an upload's name, by which anybody could open it."""
OLDEST = datetime(1980, 1, 1, tzinfo=UTC).timestamp()
"""The earliest date that an archive can have."""
PACKED = (".png",)
"""What is compressed already."""
FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""
LENGTHS = ("linf", "l2")
RUN_COLUMNS = (
    *("member", "name", "run", "broadcast", "started", "network", "picture", "attack", "settings", "target"),
    *("seed", "standing", "steps", "original", "label", "probability", "fooled", *LENGTHS, "folder"),
)


class File(NamedTuple):
    """A file of an archive. ``at``: its time in seconds since 1970."""

    name: str
    content: bytes
    at: float


class People:
    """The members of a room as an archive calls them: by name and number, or by number alone."""

    def __init__(self, members: Sequence[Member], anonymous: bool) -> None:
        self._by_id = {member.id: member for member in members}
        self._anonymous = anonymous

    def cells(self, member: str) -> list[object]:
        """Return a member's number and name, "" for the name where it stays out."""
        known = self._by_id[member]
        return [known.number, "" if self._anonymous else known.name]

    def folder(self, member: str) -> str:
        """Return what a member's folder is called: its number and what is safe in a path of its name."""
        number, name = self.cells(member)
        safe = "".join(sign for sign in str(name) if sign.isalnum())
        return f"{number:03d}-{safe}" if safe else f"{number:03d}"

    def plain(self) -> list[dict[str, object]]:
        """Return all members for JSON."""
        return [
            {"number": m.number, "name": self.cells(m.id)[1], "joined": _when(m.joined), "removed": m.removed}
            for m in self._by_id.values()
        ]


class _Sink(io.RawIOBase):
    """Takes what an archive writes until it is fetched."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def fetch(self) -> bytes:
        written, self._written = b"".join(self._written), []
        return written


def pieces(engine: EngineBase, rooms: Rooms, room: Room, anonymous: bool = False) -> Iterator[bytes]:
    """Return the bytes of a room's archive, piece by piece. ``anonymous``: with numbers in place of names.

    A run that can no longer be read is a row that says so. Raises `errors.HistoryFailed`, as a rule before
    the first piece.
    """
    archive = Archive(engine, rooms, room, anonymous)
    return _zipped(archive.files())


class Archive:
    """The files of a room's archive."""

    def __init__(self, engine: EngineBase, rooms: Rooms, room: Room, anonymous: bool) -> None:
        self._engine, self._rooms, self._room = engine, rooms, room
        self._people = People(rooms.members(room.code, removed=True), anonymous)
        self._runs = rooms.runs(room.code)
        self._challenges = {row.id: row for row in self._all(tables.challenges, "number")}
        self._submissions = self._all(tables.submissions, "number", "png")
        self._votes, self._bets = self._all(tables.votes, "at"), self._all(tables.bets, "at")
        self._now = rooms.clock()

    def files(self) -> Iterator[File]:
        """Yield all files; the table of runs comes after the runs."""
        yield File("room.json", self._description(), self._now)
        yield File("submissions.csv", self._table_of_submissions(), self._now)
        yield File("votes.csv", self._table_of_votes(), self._now)
        yield File("bets.csv", self._table_of_bets(), self._now)
        yield from self._handed_in()
        rows: list[Sequence[object]] = []
        for noted in self._runs:
            row, files = self._run(noted)
            rows.append(row)
            yield from files
        yield File("runs.csv", _table(RUN_COLUMNS, rows), self._now)

    def _description(self) -> bytes:
        room, broadcast = self._room, self._room.broadcast
        plain = {
            "code": room.code,
            "title": room.title,
            "opened": _when(room.opened),
            "exported": _when(self._now),
            "allowed": room.allowed.plain(),
            "frozen": room.frozen,
            "judging": room.judging,
            "question": room.question,
            "broadcast": None if broadcast is None else asdict(broadcast),
            "members": self._people.plain(),
            "challenges": [
                {"number": row.number, "kind": row.kind, "title": row.title, "settings": row.settings}
                for row in self._challenges.values()
            ],
        }
        return (json.dumps(plain, ensure_ascii=False, indent=1) + "\n").encode()

    def _run(self, noted: MemberRun) -> tuple[Sequence[object], list[File]]:
        """Return a run's row and its files."""
        who = self._people.cells(noted.member)
        before = [*who, noted.number, noted.broadcast or "", _when(noted.started)]
        try:
            run, reason = self._engine.look_up(noted.run), "It is no longer kept."
        except FoolscopeError as error:
            run, reason = None, str(error)
        if run is None or not len(run):
            standing = reason if run is None else run.sentence()
            blank = [""] * RUN_COLUMNS.index("standing")
            row = [*before, *blank[len(before) :], standing]
            return [*row, *[""] * (len(RUN_COLUMNS) - len(row))], []
        folder = f"runs/{self._people.folder(noted.member)}/{noted.number:03d}"
        files = [File(f"{folder}/{name}", content, noted.started) for name, content in _contents(run).items()]
        return [*before, *_facts(run), folder], files

    def _table_of_submissions(self) -> bytes:
        columns = ("number", "challenge", "member", "name", "at", "counts", "score", "verdict", "file")
        rows = [
            [
                row.number,
                self._challenges[row.challenge].title,
                *self._people.cells(row.member),
                _when(row.at),
                int(row.counts),
                "" if row.score is None else row.score,
                row.template.format(**row.facts) if row.facts else row.template,
                _submission(row.number) if row.counts else "",
            ]
            for row in self._submissions
        ]
        return _table(columns, rows)

    def _table_of_votes(self) -> bytes:
        numbers = {row.id: row.number for row in self._submissions}
        rows = [
            [
                numbers[row.submission],
                *self._people.cells(row.member),
                row.choice,
                int(row.right),
                _when(row.at),
            ]
            for row in self._votes
            if row.submission in numbers
        ]
        return _table(("submission", "member", "name", "choice", "right", "at"), rows)

    def _table_of_bets(self) -> bytes:
        rows = [
            [row.question, *self._people.cells(row.member), row.answer, _when(row.at)] for row in self._bets
        ]
        return _table(("question", "member", "name", "answer", "at"), rows)

    def _handed_in(self) -> Iterator[File]:
        for row in self._submissions:
            png = self._picture(row.id) if row.counts else None
            if png is not None:
                yield File(_submission(row.number), png, row.at)

    def _picture(self, submission: str) -> bytes | None:
        """Return a picture that was handed in, None where it is gone."""
        try:
            return self._rooms.handed_in.get(submission)
        except UnknownName:
            return None

    def _all(self, table: sa.Table, order: str, *left_out: str) -> Sequence[sa.Row[Any]]:
        """Return a table's rows of this room, without the columns ``left_out``."""
        columns = [column for column in table.c if column.name not in left_out]
        query = sa.select(*columns).where(table.c.room == self._room.code).order_by(table.c[order])
        with self._rooms.database.reading() as connection:
            return connection.execute(query).all()


def _zipped(files: Iterable[File]) -> Iterator[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.name, time.gmtime(max(file.at, OLDEST))[:6])
            packed = file.name.endswith(PACKED)
            entry.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.content)
            yield sink.fetch()
    yield sink.fetch()


def _contents(run: Run) -> dict[str, bytes]:
    """Return the files of a run by name."""
    plain = json.dumps(run.recipe.to_json() | {"image": _picture(run)}, ensure_ascii=False, indent=1)
    pictures = {"last.png": len(run) - 1} | ({"first.png": 0} if own(run) else {})
    return {
        "recipe.json": (plain + "\n").encode(),
        "trajectory.csv": data.table(run).encode(),
        **{name: encode(to_image(run.picture(step)), "png") for name, step in pictures.items()},
    }


def own(run: Run) -> bool:
    """Say whether a run began with somebody's own picture."""
    return run.recipe.image.removeprefix(PREPARED).startswith(UPLOAD)


def _picture(run: Run) -> str:
    return OWN_PICTURE if own(run) else run.recipe.image


def _facts(run: Run) -> list[object]:
    """Return the columns of a run from ``network`` to ``l2``."""
    recipe, last = run.recipe, len(run) - 1
    top, figures = run.top(last, 1)[0], run.figures(last)
    return [
        *(recipe.model, _picture(run), recipe.attack, json.dumps(dict(recipe.params))),
        *("" if recipe.target is None else run.labels[recipe.target], recipe.seed, run.sentence(), last),
        *(run.labels[run.original], top.label, round(top.probability, 6), int(run.succeeded(last))),
        *(figures[name] for name in LENGTHS),
    ]


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table as CSV, with nothing in it that a spreadsheet would carry out."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return file.getvalue().encode("utf-8-sig")


def _harmless(cell: object) -> object:
    """Return a cell with a quote before a text that a spreadsheet would take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip().startswith(FORMULA) else cell


def _submission(number: int) -> str:
    return f"submissions/{number:04d}.png"


def _when(seconds: float) -> str:
    """Return a time in seconds since 1970 as people and spreadsheets read it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
