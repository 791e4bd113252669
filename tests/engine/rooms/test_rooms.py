"""Rooms in a real database: opened, joined, changed, ended, and there after a restart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.history.database import Database
from engine.recipe import Recipe
from engine.rooms import ending
from engine.rooms.records import Allowed
from engine.rooms.rooms import CODE, LETTERS, Rooms
from errors import BadSetting, NotAllowed, UnknownName
from settings import ROOT
from tests.support import small_model
from tests.support.postgresql import both


@pytest.fixture
def rooms(address: str) -> Iterator[Rooms]:
    database = Database(address)
    yield Rooms(database)
    database.close()


@both
def test_a_room_is_opened_by_a_teacher_and_joined_by_a_code(rooms: Rooms) -> None:
    opened = rooms.open("Friday", Allowed(steps=40, camera=False))
    code = opened.room.code
    assert len(code) == CODE and set(code) <= set(LETTERS)
    spelt = f" {code[:3].lower()}-{code[3:].lower()}"
    first, second = rooms.join(spelt, "  Anna\n"), rooms.join(code, "Anna")
    assert [m.name for m in rooms.members(code)] == ["Anna", "Anna 2"]
    assert rooms.member(code, first.token) == first.member != second.member
    assert rooms.room(code).allowed == Allowed(steps=40, camera=False)


@both
def test_the_key_opens_and_nothing_else_does(rooms: Rooms) -> None:
    opened, other = rooms.open(), rooms.open()
    code = opened.room.code
    assert rooms.teacher(code, opened.key) == opened.room
    joined = rooms.join(code, "Anna")
    for wrong in ("", other.key, joined.token, opened.key[:-1]):
        with pytest.raises(NotAllowed):
            rooms.teacher(code, wrong)
    for wrong in ("", opened.key, joined.token + "x"):
        with pytest.raises(NotAllowed):
            rooms.member(code, wrong)
    with pytest.raises(NotAllowed):
        rooms.member(other.room.code, joined.token)
    with pytest.raises(UnknownName):
        rooms.join("nowhere", "Anna")
    with pytest.raises(BadSetting):
        rooms.join(code, " \t ")


DAY = 86_400.0


def test_a_room_that_nobody_uses_goes_with_everything_and_the_others_stay(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    now = [1000 * DAY]
    with small_model.engine(small_model.Gate()) as engine:
        rooms = Rooms(engine.history.database, clock=lambda: now[0])
        assert ending.sweep(engine, rooms, 30) == [] and not list(tmp_path.iterdir()), "nothing is made"
        old, joined, used = (rooms.open(title).room.code for title in ("Old", "Joined", "Used"))
        anna, ben = rooms.join(old, "Anna").member, rooms.join(used, "Ben").member
        recipe = Recipe("small", "cat", "bim", {"steps": 3, "step_size": 1 / 255})
        runs = [engine.submit(recipe, owner=one.owner) for one in (anna, ben)]
        for one, run in zip((anna, ben), runs, strict=True):
            *_, _ = engine.follow(run)
            rooms.note_run(one, run.id)
        now[0] += 20 * DAY
        rooms.join(joined, "Chen")
        rooms.note_run(ben, "another")
        assert ending.sweep(engine, rooms, 30) == []
        now[0] += 11 * DAY
        assert ending.sweep(engine, rooms, 30) == [old]
        assert rooms.room(joined).title == "Joined" and rooms.room(used).title == "Used"
        with pytest.raises(UnknownName):
            rooms.room(old)
        assert engine.look_up(runs[0].id) is None and engine.look_up(runs[1].id) is not None
        now[0] += 20 * DAY
        assert sorted(ending.sweep(engine, rooms, 30)) == sorted([joined, used])


@both
def test_a_member_who_was_sent_out_stays_out(rooms: Rooms) -> None:
    code = rooms.open().room.code
    joined = rooms.join(code, "Anna")
    rooms.remove(code, joined.member.id)
    with pytest.raises(NotAllowed):
        rooms.member(code, joined.token)
    assert rooms.members(code) == []


@both
def test_what_a_teacher_changes_and_asks_for(rooms: Rooms) -> None:
    code = rooms.open().room.code
    assert rooms.change(code, frozen=True, hide_names=True, allowed=Allowed(runs=3)).frozen
    first = rooms.broadcast(code, {"image": "panda"}, "everyone, now").broadcast
    second = rooms.broadcast(code, {"image": "cat"}).broadcast
    assert first and second and (first.number, second.number) == (1, 2)
    assert dict(second.query) == {"image": "cat"} and first.words == "everyone, now"
    room = rooms.room(code)
    assert room.frozen and room.hide_names and room.allowed.runs == 3 and room.broadcast == second


@both
def test_runs_and_rooms_are_there_after_a_restart_and_gone_after_the_end(address: str) -> None:
    before = Rooms(Database(address))
    code = before.open("Friday").room.code
    member = before.join(code, "Anna").member
    before.note_run(member, "run-1")
    before.note_run(member, "run-2", broadcast=1)
    before.note_upload(member, "upload:x")
    before.database.close()

    after = Rooms(Database(address))
    assert [(run.run, run.number, run.broadcast) for run in after.runs(code)] == [
        ("run-1", 1, 0),
        ("run-2", 2, 1),
    ]
    assert after.uploads(member) == ["upload:x"]
    assert after.end(code) == [member]
    with pytest.raises(UnknownName):
        after.room(code)
    assert after.runs(code) == [] and after.members(code, removed=True) == []
    after.database.close()


def test_whoever_opens_the_database_first_makes_the_tables_of_rooms() -> None:
    program = "from engine.history import database; assert 'rooms' in database.metadata.tables"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": "many"}, "steps"),
        ({"models": ["no_such"]}, "no_such"),
        ({"images": ["no_such"]}, "no_such"),
        ({"epsilon": 2}, "epsilon"),
        ({"camera": 1}, "camera"),
        ({"colour": 1}, "colour"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], word: str) -> None:
    with pytest.raises((BadSetting, UnknownName), match=word):
        Allowed.read(settings)
