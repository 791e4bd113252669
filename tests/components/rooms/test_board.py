"""The wall of a room over a real engine and database: what is sent, what it costs, what never leaves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from attacks.contract import Stop
from components.rooms.board import PERIOD, Board
from engine.engine import Engine
from engine.history import tables
from engine.history.database import Database
from engine.housekeeping import UNWATCHED_AFTER
from engine.recipe import Recipe
from engine.rooms import tables as room_tables
from engine.rooms.records import Member, Opened
from engine.rooms.rooms import Rooms
from engine.rooms.summaries import POINTS, thinned
from engine.run import Run
from errors import HistoryFailed, UnknownName
from tests.support import small_model

FOOLS = Recipe("small", "cat", "bim", {"steps": 12, "epsilon": 0.5, "step_size": 0.05}, stop=Stop("steps"))
HARMLESS = Recipe("small", "cat", "random_noise", {"steps": 3, "epsilon": 1e-4}, stop=Stop("steps"))


class Clock:
    """Moves on when it is asked to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now

    def forward(self) -> None:
        self.now += PERIOD


@pytest.fixture
def gate() -> small_model.Gate:
    return small_model.Gate()


@pytest.fixture
def engine(gate: small_model.Gate) -> Iterator[Engine]:
    with small_model.engine(gate) as made:
        yield made


@pytest.fixture
def rooms(engine: Engine) -> Rooms:
    return Rooms(engine.history.database)


@pytest.fixture
def opened(rooms: Rooms) -> Opened:
    return rooms.open("Friday")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(engine: Engine, rooms: Rooms, opened: Opened, clock: Clock) -> Board:
    return Board(engine, rooms, opened.room.code, "en", clock)


@pytest.fixture
def hear(board: Board, clock: Clock) -> Callable[[], dict[str, Any] | None]:
    """Return a function that says what a wall is sent when a period has passed."""
    since = 0

    def heard() -> dict[str, Any] | None:
        nonlocal since
        clock.forward()
        answer = board.message(since)
        since = answer[0] if answer else since
        return answer and answer[1]

    return heard


def start(engine: Engine, rooms: Rooms, member: Member, recipe: Recipe, broadcast: int = 0) -> Run:
    run = engine.submit(recipe, owner=member.owner)
    rooms.note_run(member, run.id, broadcast)
    return run


def finish(engine: Engine, run: Run) -> Run:
    assert len(list(engine.follow(run))) > 1
    return run


def sent(board: Board, since: int = 0) -> tuple[int, dict[str, Any]]:
    """Return what a wall is sent now, which is something."""
    message = board.message(since)
    assert message is not None
    return message


def forget(engine: Engine, runs: list[Run]) -> None:
    """Leave these runs to the database, as a new server finds them."""
    deadline = time.monotonic() + 60
    while any(engine.history.going_on(run.id) for run in runs):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for run in runs:
        engine.store.drop(run.id)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Note every statement that this thread asks of a database; the history's own thread writes meanwhile."""
    asked: list[str] = []
    here = threading.get_ident()

    def note(*args: Any) -> None:
        if threading.get_ident() == here:
            asked.append(args[2])

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_only_what_changed_is_sent(engine, rooms, opened, hear, gate):
    code = opened.room.code
    anna, ben = (rooms.join(code, name).member for name in ("Anna", "Ben"))
    first = hear()
    assert first["all"] and (first["people"], first["fooled"]) == (2, 0)
    assert [(tile["name"], tile["state"]) for tile in first["tiles"]] == [("Anna", "none"), ("Ben", "none")]
    assert first["room"]["title"] == "Friday" and hear() is None

    run = finish(engine, start(engine, rooms, ben, FOOLS))
    second = hear()
    (tile,) = second["tiles"]
    assert not second["all"] and second["fooled"] == 1 and "room" not in second and "people" not in second
    assert (tile["id"], tile["run"], tile["state"]) == (ben.id, run.id, "over")
    assert tile["fooled"] and tile["ever"] and tile["step"] == tile["total"] == 12
    best = run.top(12, 1)[0]
    assert tile["label"] == best.label == tile["other"] and tile["probability"] == round(best.probability, 4)
    original, other = np.exp(run.log_p(0, 13, [run.original, best.index])).T * 1000
    assert tile["at"] == list(range(13))
    assert np.abs(np.array(tile["curves"]) - [original, other]).max() < 0.501

    gate.open.clear()
    start(engine, rooms, anna, HARMLESS)
    (going,) = hear()["tiles"]
    assert (going["id"], going["state"], going["step"], going["at"]) == (anna.id, "running", 0, [])
    gate.open.set()
    rooms.remove(code, ben.id)
    third = hear()
    assert third["gone"] == [ben.id] and (third["people"], third["fooled"]) == (1, 0)


def test_walls_share_a_look_and_each_is_sent_what_it_has_not_heard(board, rooms, opened, clock):
    code = opened.room.code
    rooms.join(code, "Anna")
    version, _ = sent(board)
    rooms.join(code, "Ben")
    with statements() as asked:
        assert board.message(version) is None and len(sent(board)[1]["tiles"]) == 1
    assert asked == []  # within the period nobody looks again
    clock.forward()
    (later,) = sent(board, version)[1]["tiles"]
    assert later["name"] == "Ben" and len(sent(board)[1]["tiles"]) == 2


def test_hidden_names_are_not_in_the_bytes(rooms, opened, hear):
    code = opened.room.code
    rooms.join(code, "Anna Karenina")
    assert "Anna Karenina" in json.dumps(hear())
    rooms.change(code, hide_names=True)
    hidden = hear()
    assert "Karenina" not in json.dumps(hidden) and hidden["room"]["hide_names"]
    assert [(tile["name"], tile["number"]) for tile in hidden["tiles"]] == [("", 1)]
    rooms.change(code, hide_names=False)
    assert "Anna Karenina" in json.dumps(hear())


def test_who_fooled_it_counts_after_a_later_run_and_after_a_restart(engine, rooms, opened, hear):
    code = opened.room.code
    anna, ben, cleo = (rooms.join(code, name).member for name in ("Anna", "Ben", "Cleo"))
    number = rooms.broadcast(code, {"image": "cat"}, "now").broadcast.number
    first = hear()
    assert first["broadcast"] == {"number": number, "ran": 0, "fooled": 0}
    runs = [
        start(engine, rooms, anna, FOOLS, number),
        start(engine, rooms, anna, HARMLESS),
        start(engine, rooms, ben, HARMLESS, number),
        start(engine, rooms, cleo, FOOLS),
    ]
    for run in runs:
        finish(engine, run)
    heard = hear()
    assert heard["fooled"] == 2 and heard["broadcast"] == {"number": number, "ran": 2, "fooled": 1}
    tiles = {tile["id"]: tile for tile in heard["tiles"]}
    assert (tiles[anna.id]["fooled"], tiles[anna.id]["ever"], tiles[ben.id]["ever"]) == (False, True, False)

    forget(engine, runs)
    again = sent(Board(engine, rooms, code, "en"))[1]
    assert (again["fooled"], again["broadcast"]) == (heard["fooled"], heard["broadcast"])
    assert {tile["id"]: tile for tile in again["tiles"]} == tiles


def copies(database: Database, key: str, code: str, number: int) -> list[str]:
    """Put a written run into the database again, under other ids."""
    keys = [f"{code}-{key}-{i}" for i in range(number)]
    with database.writing() as connection:
        for table, column in ((tables.runs, "id"), (tables.chunks, "run")):
            rows = connection.execute(sa.select(table).where(table.c[column] == key)).mappings().all()
            connection.execute(sa.insert(table), [{**row, column: other} for row in rows for other in keys])
    return keys


def crowd(rooms: Rooms, run: str, people: int) -> str:
    """Return the code of a room in which so many people have a copy of a run that was written."""
    code = rooms.open().room.code
    joined = asdict(rooms.join(code, "Member").member)
    others = [
        joined | {"id": f"{code}-{i}", "owner": f"{code}-{i}", "number": i} for i in range(2, people + 1)
    ]
    keys = copies(rooms.database, run, code, people)
    noted = [
        {"run": key, "room": code, "member": member["id"], "number": 1, "started": 1.0, "broadcast": 0}
        for key, member in zip(keys, [joined, *others], strict=True)
    ]
    with rooms.database.writing() as connection:
        connection.execute(sa.insert(room_tables.members), others)
        connection.execute(sa.insert(room_tables.runs), noted)
    return code


def test_the_board_of_three_hundred_costs_as_many_queries_as_that_of_three(engine, rooms):
    counts = {}
    run = finish(engine, engine.submit(HARMLESS, owner="somebody"))
    forget(engine, [run])
    for people in (3, 300):
        clock = Clock()
        board = Board(engine, rooms, crowd(rooms, run.id, people), "en", clock)
        with statements() as first:
            version, message = sent(board)
        clock.forward()
        with statements() as later:
            assert board.message(version) is None
        assert len(message["tiles"]) == people and all(
            tile["at"] == list(range(len(run))) for tile in message["tiles"]
        )
        counts[people] = (len(first), len(later))
    assert counts[3] == counts[300] and counts[300][1] <= 10, counts


def test_a_database_that_fails_is_told_and_what_was_known_stays(board, rooms, opened, hear, monkeypatch):
    rooms.join(opened.room.code, "Anna")
    assert hear()["problem"] == ""

    def broken(self: Database) -> None:
        raise HistoryFailed("Expected {file} to work.", file="it")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "reading", broken)
        assert hear() == {
            "type": "wall",
            "all": False,
            "tiles": [],
            "gone": [],
            "problem": "Expected it to work.",
        }
    assert hear()["problem"] == ""
    rooms.end(opened.room.code)
    with pytest.raises(UnknownName):
        hear()


@pytest.mark.parametrize("count", [1, 2, POINTS, POINTS + 1, 500, 10_001])
def test_a_thinned_curve_has_its_ends_and_its_extremes(count):
    rng = np.random.default_rng(count)
    curves = rng.random((2, count), np.float32)
    at = thinned(curves)
    assert at[0] == 0 and at[-1] == count - 1 and np.all(np.diff(at) > 0) and len(at) <= POINTS + 5
    for curve in curves:
        assert curve[at].max() == curve.max() and curve[at].min() == curve.min()
    if count > 2 * POINTS:  # what was drawn of a run that goes on stays, or every other point of it
        every = np.diff(thinned(np.zeros((2, count), np.float32)))[0]
        before = np.diff(thinned(np.zeros((2, count // 2), np.float32)))[0]
        assert every % before == 0


def test_what_the_wall_shows_is_read_and_goes_on(engine, rooms, opened, hear):
    anna = rooms.join(opened.room.code, "Anna").member
    run = start(engine, rooms, anna, replace(HARMLESS, params={"steps": 10_000, "epsilon": 1e-4}))
    hear()
    run.read_at -= 3600
    hear()
    assert run.clock() - run.read_at < UNWATCHED_AFTER
    engine.cancel(run)
