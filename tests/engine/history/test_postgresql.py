"""Servers that share a PostgreSQL: it stops and comes back; they write at once, and delete others' runs."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from engine.history.database import Database
from engine.history.tables import chunks, pictures
from engine.rooms.competition import Competition
from engine.rooms.rooms import Rooms
from errors import HistoryFailed, NotAllowed, UnknownName
from tests.engine.history.test_history import RECIPE, counted, finish, home, photo, until
from tests.support import small_model
from tests.support.postgresql import POSTGRESQL

__all__ = ["home"]
pytestmark = pytest.mark.parametrize("address", [POSTGRESQL], indirect=True)
LONG = replace(RECIPE, params={"steps": 10_000, "step_size": 1 / 2550})


def test_a_database_that_stops_in_mid_run(home, address, postgresql_server) -> None:
    """Runs go on while it is away; what could not be written is there afterwards, and once."""
    gate = small_model.Gate()
    gate.hook = lambda _: time.sleep(0.001)
    with small_model.engine(gate) as engine:
        token = engine.uploads.add(photo())
        going_on = engine.submit(replace(LONG, image=token, target=None), owner="me")
        until(lambda: sum(record.steps for record in engine.own_runs("me", 1)) > 20)
        postgresql_server.stop()
        try:
            reached = len(going_on)
            meanwhile = engine.submit(RECIPE, owner="me")
            assert len(list(engine.follow(meanwhile))) == 41
            until(lambda: len(going_on) > reached + 200)
            until(lambda: any("cannot be reached" in str(one) for one in engine.history.problems()))
            with pytest.raises(HistoryFailed, match="test_.* to answer"):
                engine.own_runs("me", 5)
            assert not any("socket" in str(one) or "/tmp" in str(one) for one in engine.history.problems())
        finally:
            postgresql_server.start()
        until(lambda: engine.history.problems() == [])
        engine.cancel(going_on)
        until(lambda: engine.history.going_on(going_on.id) is None)
        steps = len(going_on)
    with small_model.engine(small_model.Gate()) as engine:
        assert {record.id for record in engine.own_runs("me", 9)} == {going_on.id, meanwhile.id}
        back = engine.run(going_on.id)
        assert len(back) == steps and back.scalars(0, steps)[:, 7].tolist() == list(range(1, steps + 1))
        assert len(engine.run(meanwhile.id)) == 41
    assert counted(address, "originals") == 1


def test_what_was_written_though_nobody_heard_so_is_not_written_twice(home, address, monkeypatch) -> None:
    """The connection breaks when the transaction is over and its answer is not here yet."""
    with small_model.engine(small_model.Gate()) as engine:
        run = engine.submit(LONG, owner="me")
        until(lambda: sum(record.steps for record in engine.own_runs("me", 1)) > 5)
        written, lost = engine.history._write, list[bool]()

        def unheard() -> bool:
            answers = {key: vars(one).copy() for key, one in engine.history._recordings.items()}
            over = written()
            if len(lost) < 3:
                lost.append(over)
                for key, before in answers.items():
                    vars(engine.history._recordings[key]).update(before)
                raise HistoryFailed("Expected an answer.")
            return over

        monkeypatch.setattr(engine.history, "_write", unheard)
        until(lambda: len(lost) == 3 and engine.history.problems() == [])
        engine.pause(run)
        until(lambda: sum(record.steps for record in engine.own_runs("me", 1)) == len(run) - 1)
        count = len(run)
        engine.store.drop(run.id)
        with engine.history.database.reading() as connection:
            starts = list(connection.scalars(sa.select(chunks.c.first_step).order_by(chunks.c.first_step)))
        assert len(starts) == len(set(starts)) and count > 5
        engine.resume(run)
        engine.cancel(run)
        until(lambda: engine.history.going_on(run.id) is None)
    with small_model.engine(small_model.Gate()) as engine:
        back = engine.run(run.id)
        assert back.scalars(0, len(back))[:, 7].tolist() == list(range(1, len(back) + 1))
        with engine.history.database.reading() as connection:
            assert len(connection.execute(sa.select(pictures.c.step)).all()) <= 10


def test_a_run_that_goes_on_here_is_seen_and_deleted_there(home, address) -> None:
    with (
        small_model.engine(small_model.Gate()) as here,
        small_model.engine(small_model.Gate()) as there,
    ):
        run, other = here.submit(LONG, owner="me"), here.submit(LONG, paused=True, owner="you")
        until(lambda: [record.steps > 20 for record in there.own_runs("me", 5)] == [True])
        seen = there.look_up(run.id)
        assert seen is not None and len(seen) > 20 and not there.own_runs("me", 5)[0].over
        there.delete_runs("me", [run.id])
        until(lambda: here.history.going_on(run.id) is None)
        assert here.history.problems() == [] and here.history.going_on(other.id) is other
        here.cancel(run)
        assert here.own_runs("me", 5) == []
    assert counted(address, "chunks") == 0


def test_a_run_that_goes_on_here_is_followed_there(home, address) -> None:
    with (
        small_model.engine(small_model.Gate()) as here,
        small_model.engine(small_model.Gate()) as there,
    ):
        run = here.submit(LONG, owner="me")
        until(lambda: sum(record.steps for record in there.own_runs("me", 1)) > 20)
        seen = there.run(run.id)
        first = len(seen)
        assert first > 20 and seen.status == "running" and there.run(run.id) is seen
        until(lambda: len(seen) > first + 100 or run.over)
        for order in (there.pause, there.step, there.resume, there.cancel):
            with pytest.raises(NotAllowed, match="another server"):
                order(seen)
        assert not seen.over and run.status == "running"
        here.pause(run)
        until(lambda: seen.status == "paused" and len(seen) == len(run))
        here.cancel(run)
        until(lambda: seen.over)
        assert (seen.status, len(seen)) == ("cancelled", len(run))
        whole = there.run(run.id)
        assert whole.scalars(0, len(run))[:, 7].tolist() == run.scalars(0, len(run))[:, 7].tolist()
        assert np.array_equal(whole.picture(len(run) - 1), run.picture(len(run) - 1))


def test_an_upload_that_two_servers_share_and_one_deletes(home, address) -> None:
    with (
        small_model.engine(small_model.Gate()) as here,
        small_model.engine(small_model.Gate()) as there,
    ):
        for _ in range(3):
            runs = []
            with ThreadPoolExecutor(2) as pool:
                for engine in (here, there):
                    recipe = replace(RECIPE, image=engine.uploads.add(photo()), target=None)
                    runs.append(pool.submit(finish, engine, engine.submit(recipe, owner="me")))
                mine, yours = (run.result() for run in runs)
            here.delete_runs("me", [mine.id])
            assert counted(address, "originals") == 1
            there.store.drop(yours.id)
            there.uploads.drop(yours.recipe.image)
            assert there.run(yours.id).start.shape == yours.start.shape
            there.delete_runs("me")
            assert counted(address, "originals") == 0
            with pytest.raises(UnknownName):
                there.run(yours.id)


def test_two_servers_write_in_one_room_at_once(address) -> None:
    servers = [Rooms(Database(address)) for _ in range(2)]
    code = servers[0].open("Friday").room.code
    start, faults = threading.Barrier(8), list[BaseException]()
    numbers, names = list[int](), list[str]()

    def member(number: int) -> None:
        rooms = servers[number % 2]
        competition = Competition(rooms)
        try:
            start.wait()
            joined = rooms.join(code, "Anna").member
            names.append(joined.name)
            for one in range(5):
                rooms.note_run(joined, f"run-{number}-{one}")
                numbers.append(competition.number(rooms.room(code)))
            rooms.broadcast(code, {"image": "cat"})
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=member, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert sorted(numbers) == list(range(1, 41)) and len(set(names)) == 8
    broadcast = servers[1].room(code).broadcast
    assert broadcast and broadcast.number == 8
    assert sorted(one.number for one in servers[1].members(code)) == list(range(1, 9))
    assert sorted(run.number for run in servers[0].runs(code)) == sorted([*range(1, 6)] * 8)
    for rooms in servers:
        rooms.database.close()
