"""A room as one archive, and its end, after which nothing of it is left in the bytes of a real database."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from attacks.contract import Stop
from engine.engine import Engine
from engine.history import tables as history
from engine.history.database import FILE
from engine.recipe import Recipe
from engine.rooms import archive, ending, tables, teachers
from engine.rooms.records import Joined, Opened
from engine.rooms.rooms import Rooms
from engine.run import Run
from errors import NotAllowed, UnknownName
from tests.engine.history.test_history import counted, finish, home, photo
from tests.support import small_model
from tests.support.postgresql import SQLITE, both

__all__ = ["home"]

EVIL = '=HYPERLINK("http://x/")'
PNG = b"\x89PNG what was handed in"


class Class(NamedTuple):
    """A room with what happened in it."""

    engine: Engine
    rooms: Rooms
    opened: Opened
    anna: Joined
    evil: Joined
    runs: list[Run]
    upload: str


@pytest.fixture
def room(home: Path) -> Iterator[Class]:
    with small_model.engine(small_model.Gate()) as engine:
        rooms = Rooms(engine.history.database)
        opened = rooms.open("Friday")
        anna, evil = rooms.join(opened.room.code, "Annabella"), rooms.join(opened.room.code, EVIL)
        upload = engine.uploads.add(photo())
        rooms.note_upload(evil.member, upload)
        runs = [start(engine, rooms, anna, "cat"), start(engine, rooms, evil, upload)]
        hand_in(rooms, anna, evil, runs[0])
        yield Class(engine, rooms, opened, anna, evil, runs, upload)


def start(engine: Engine, rooms: Rooms, who: Joined, image: str) -> Run:
    recipe = Recipe("small", image, "bim", {"steps": 4, "step_size": 1 / 255}, stop=Stop("steps"))
    run = finish(engine, engine.submit(recipe, owner=who.member.owner))
    rooms.note_run(who.member, run.id)
    return run


def hand_in(rooms: Rooms, anna: Joined, evil: Joined, run: Run) -> None:
    """Fill the tables of challenges, submissions, votes and bets."""
    code, member = anna.member.room, anna.member.id
    challenge = {"id": "c1", "room": code, "kind": "l2", "title": "Least l2", "settings": {}, "number": 1}
    submission = {"id": "s1", "room": code, "challenge": "c1", "member": member, "run": run.id, "number": 1}
    submission |= {"at": 2e9, "pixels": "p", "png": PNG, "counts": True, "score": 0.5, "label": "class 1"}
    submission |= {"template": "It says {label}.", "facts": {"label": "class 1"}}
    vote = {"submission": "s1", "member": evil.member.id, "room": code, "choice": "=class", "right": False}
    bet = {"room": code, "question": "one_step", "member": member, "answer": "2", "at": 2e9}
    with rooms.database.writing() as connection:
        connection.execute(sa.insert(tables.challenges).values(challenge | {"open": True}))
        connection.execute(sa.insert(tables.submissions).values(submission))
        connection.execute(sa.insert(tables.votes).values(vote | {"at": 2e9}))
        connection.execute(sa.insert(tables.bets).values(bet))


def packed(room: Class, anonymous: bool = False) -> zipfile.ZipFile:
    pieces = list(archive.pieces(room.engine, room.rooms, room.opened.room, anonymous))
    assert len(pieces) > 5, "piece by piece"
    opened = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert opened.testzip() is None
    return opened


def rows(opened: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(opened.read(name).decode("utf-8-sig"), newline="")))


@both
def test_an_archive_has_all_of_a_room(room: Class) -> None:
    opened = packed(room)
    first, second = rows(opened, "runs.csv")
    assert (first["name"], first["network"], first["attack"], first["steps"]) == (
        "Annabella",
        "small",
        "bim",
        "4",
    )
    run = room.runs[0]
    assert first["label"] == run.top(4, 1)[0].label and first["fooled"] == str(int(run.succeeded(4)))
    curve = list(csv.reader(io.StringIO(opened.read(f"{first['folder']}/trajectory.csv").decode())))
    assert len(curve) == 6, "a head and steps 0 to 4"
    recipe = json.loads(opened.read(f"{first['folder']}/recipe.json"))
    assert Recipe.from_json(recipe) == run.recipe
    last = np.asarray(Image.open(io.BytesIO(opened.read(f"{first['folder']}/last.png"))))
    assert np.abs(last.transpose(2, 0, 1) / 255 - run.picture(4)).max() <= 0.5 / 255 + 1e-6
    assert f"{second['folder']}/first.png" in opened.namelist(), "an own picture comes along"
    (submission,) = rows(opened, "submissions.csv")
    assert (submission["verdict"], submission["score"]) == ("It says class 1.", "0.5")
    assert opened.read(submission["file"]) == PNG
    assert [(vote["submission"], vote["right"]) for vote in rows(opened, "votes.csv")] == [("1", "0")]
    assert [(bet["question"], bet["answer"]) for bet in rows(opened, "bets.csv")] == [("one_step", "2")]
    told = json.loads(opened.read("room.json"))
    assert told["title"] == "Friday" and [m["name"] for m in told["members"]] == ["Annabella", EVIL]
    assert told["allowed"] == room.opened.room.allowed.plain() | {
        name: list(getattr(room.opened.room.allowed, name)) for name in ("images", "models", "attacks")
    }


def test_names_are_harmless_in_paths_and_spreadsheets(room: Class) -> None:
    opened = packed(room)
    for name in ("runs.csv", "submissions.csv", "votes.csv", "bets.csv"):
        for row in rows(opened, name):
            assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]
    assert rows(opened, "runs.csv")[1]["name"] == f"'{EVIL}"
    assert [name for name in opened.namelist() if not re.fullmatch(r"[\w/.-]+", name) or ".." in name] == []


def test_nothing_in_an_archive_opens_anything_on_the_server(room: Class) -> None:
    opened = packed(room)
    everything = b"".join(opened.read(name) for name in opened.namelist())
    secrets = [room.opened.key, room.upload, *(run.id for run in room.runs)]
    secrets += [
        text for who in (room.anna, room.evil) for text in (who.token, who.member.owner, who.member.id)
    ]
    assert not [secret for secret in secrets if secret.encode() in everything]


def test_numbers_take_the_place_of_names_where_that_is_asked_for(room: Class) -> None:
    opened = packed(room, anonymous=True)
    everything = b"".join(
        [*(opened.read(name) for name in opened.namelist()), *map(str.encode, opened.namelist())]
    )
    assert b"Annabella" not in everything and b"HYPERLINK" not in everything
    assert [row["member"] for row in rows(opened, "runs.csv")] == ["1", "2"]


def test_a_run_that_is_gone_is_a_row_that_says_so(room: Class) -> None:
    room.engine.delete_runs(room.anna.member.owner, [room.runs[0].id])
    first, second = rows(packed(room), "runs.csv")
    assert first["standing"] == "It is no longer kept." and first["folder"] == ""
    assert second["folder"] and second["standing"] != first["standing"]


def test_packing_a_room_remembers_no_run(room: Class) -> None:
    key = room.runs[0].id
    room.engine.store.drop(key)
    assert packed(room).read("runs/001-Annabella/001/last.png")
    assert not room.engine.store.holds(key)


@both
def test_after_the_end_nothing_is_left_in_memory_or_on_the_disk(
    room: Class, tmp_path: Path, address: str
) -> None:
    engine, rooms, code = room.engine, room.rooms, room.opened.room.code
    other = rooms.join(rooms.open("Another").room.code, "Zacharias")
    others = start(engine, rooms, other, "cat")
    recipe = Recipe("small", "cat", "bim", {"steps": 10_000}, stop=Stop("steps"))
    going_on = engine.submit(recipe, owner=room.anna.member.owner)
    waiting = engine.enqueue(recipe, "anna", owner=room.anna.member.owner)
    for run in (going_on, waiting):
        rooms.note_run(room.anna.member, run.id)
    teachers.remember(rooms, code, room.opened.key, "c" * 43)
    png = engine.uploads.packed(room.upload)
    written = address.startswith(SQLITE)  # what another server's files hold is its own to clean
    traces = [b"Annabella", b"HYPERLINK", PNG, code.encode(), room.runs[0].id.encode(), png[200:264]]

    def on_the_disk() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.glob(f"{FILE}*"))

    assert not written or all(trace in on_the_disk() for trace in traces), "all of it was there"
    ending.end(engine, rooms, code)
    assert not [trace for trace in traces if trace in on_the_disk()]
    assert not engine.uploads.holds(room.upload)
    assert going_on.status == waiting.status == "cancelled"
    for key in (going_on.id, waiting.id, *(run.id for run in room.runs)):
        with pytest.raises(UnknownName):
            engine.run(key)
    with pytest.raises(UnknownName):
        rooms.room(code)
    assert teachers.remembered(rooms, "c" * 43) == []
    for table in (*tables.DEPENDENT, history.runs, history.uploads, history.originals):
        stays = table in (tables.rooms, tables.members, tables.runs, history.runs)
        assert counted(address, table.name) == stays, table.name
    assert engine.run(others.id) is others and len(rooms.members(other.member.room)) == 1, (
        "another room stays"
    )


@both
def test_a_browser_gets_back_in_by_its_cookie_alone(room: Class) -> None:
    mine, yours = "c" * 43, "d" * 43
    teachers.remember(room.rooms, room.opened.room.code, room.opened.key, mine)
    (back,) = teachers.remembered(room.rooms, mine)
    assert (back.room.code, back.key) == (room.opened.room.code, room.opened.key)
    assert teachers.remembered(room.rooms, yours) == []
    with pytest.raises(NotAllowed):
        teachers.remember(room.rooms, room.opened.room.code, "guess", yours)
    with room.rooms.database.reading() as connection:
        stored = str(connection.execute(sa.select(tables.teachers)).all())
    assert room.opened.key not in stored and mine not in stored
    teachers.forget(room.rooms, room.opened.room.code, mine)
    assert teachers.remembered(room.rooms, mine) == []
