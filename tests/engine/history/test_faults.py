"""What goes wrong with a database: one sentence, nothing lost, and runs go on. All of it with real files."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from engine.history import database as databases
from engine.history.database import FILE
from engine.history.tables import VERSION, runs
from engine.run import Run
from errors import HistoryFailed, UnknownName
from settings import ROOT
from tests.engine.history.test_history import RECIPE, finish, home, until
from tests.support import small_model
from tests.support.postgresql import both

__all__ = ["home"]


@pytest.fixture
def engine():
    with small_model.engine(small_model.Gate()) as made:
        yield made


def watched(engine, run: Run) -> Run:
    """Follow a run to its end, which no fault of the database may hinder."""
    assert len(list(engine.follow(run))) == 41 and run.status == "finished"
    return run


def told(engine, words: str) -> None:
    until(lambda: any(words in str(problem) for problem in engine.history.problems()))


def test_a_full_disk(home, monkeypatch, caplog):
    monkeypatch.setattr(databases, "PRAGMAS", (*databases.PRAGMAS, "max_page_count = 24"))
    with small_model.engine(small_model.Gate()) as engine:
        runs = [watched(engine, engine.submit(RECIPE, owner="me")) for _ in range(6)]
        told(engine, "room on the disk for runs.sqlite, but it is full")
        assert all(engine.run(run.id) is run for run in runs)
        assert caplog.text.count("room on the disk") == 1, "the log says it once"
        monkeypatch.setattr(databases, "PRAGMAS", databases.PRAGMAS[:-1])
        engine.history.database.close()  # its connections have the limit
        until(lambda: len(engine.own_runs("me", 9)) == 6 and engine.history.problems() == [])


def test_a_folder_that_is_read_only(home, engine, monkeypatch):
    folder = home / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(folder / "home"))
    rights = os.geteuid()
    if rights == 0:
        os.seteuid(65534)  # to root nothing is read-only
    try:
        run = watched(engine, engine.submit(RECIPE, owner="me"))
        told(engine, "a folder for runs.sqlite that can be written to, got a read-only one")
        with pytest.raises(HistoryFailed, match="read-only"):
            engine.own_runs("me", 5)
        with pytest.raises(UnknownName, match="read-only"):
            engine.run("a-run-that-may-be-there")
    finally:
        os.seteuid(rights)
    folder.chmod(0o755)
    until(lambda: engine.history.problems() == [])
    assert [record.id for record in engine.own_runs("me", 5)] == [run.id]


def test_a_database_that_another_program_locks(home, engine, monkeypatch):
    monkeypatch.setattr(databases, "PATIENCE", 0.1)
    finish(engine, engine.submit(RECIPE, owner="me"))
    other = sqlite3.connect(home / FILE, isolation_level=None)
    other.execute("begin exclusive")
    run = watched(engine, engine.submit(RECIPE, owner="me"))
    told(engine, "another program holds it locked")
    with pytest.raises(HistoryFailed, match="locked"):
        engine.rename_run("me", run.id, "no")
    assert len(engine.own_runs("me", 5)) == 1, "what is there can still be read"
    other.execute("rollback")
    other.close()
    until(lambda: engine.history.problems() == [] and len(engine.own_runs("me", 5)) == 2)


@pytest.mark.parametrize("place", ["header", "middle"])
def test_a_damaged_database_is_set_aside(home, place):
    with small_model.engine(small_model.Gate()) as engine:
        for _ in range(3):
            finish(engine, engine.submit(RECIPE, owner="me"))
    whole = (home / FILE).read_bytes()
    at = 0 if place == "header" else 4096 * 6
    damaged = whole[:at] + b"\xa5" * 4096 * (1 if place == "header" else 8) + whole[at + 4096 * 8 :]
    (home / FILE).write_bytes(damaged)
    with small_model.engine(small_model.Gate()) as engine:
        run = watched(engine, engine.submit(RECIPE, owner="me"))
        told(engine, "got a damaged one: it was set aside as runs.sqlite.damaged-1")
        until(lambda: engine.history.going_on(run.id) is None)
        assert [record.id for record in engine.own_runs("me", 5)] == [run.id]
        assert (home / f"{FILE}.damaged-1").read_bytes() == damaged
    (home / FILE).write_bytes(b"no database at all" * 500)
    with small_model.engine(small_model.Gate()) as engine:
        assert engine.own_runs("me", 5) == []
        told(engine, "damaged-2")


def overwritten(engine, file: Path) -> None:
    """Put nonsense in a database's place, by the thread that writes to it, so that nothing holds it open."""
    engine.history.database.close()
    file.write_bytes(b"no database at all" * 500)
    for ending in ("-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)


def test_a_database_that_is_damaged_while_a_run_goes_on(home):
    with small_model.engine(small_model.Gate()) as engine:
        run = engine.submit(RECIPE, paused=True, owner="me")
        engine.step(run)
        until(lambda: [record.id for record in engine.own_runs("me", 5)] == [run.id])
        engine.history._ask(lambda: overwritten(engine, home / FILE))
        engine.resume(run)
        finish(engine, run)
        told(engine, "damaged-1")
    with small_model.engine(small_model.Gate()) as engine:
        assert len(engine.run(run.id)) == 41, "all its steps are in the new one"


def test_a_database_that_is_removed_while_a_run_goes_on(home):
    with small_model.engine(small_model.Gate()) as engine:
        run = engine.submit(RECIPE, paused=True, owner="me")
        engine.step(run)
        until(lambda: [record.id for record in engine.own_runs("me", 5)] == [run.id])
        for file in home.glob(FILE + "*"):
            file.unlink()
        engine.resume(run)
        finish(engine, run)
        told(engine, "was removed or replaced while in use")
        assert len(engine.history.problems()) == 1
    with small_model.engine(small_model.Gate()) as engine:
        assert len(engine.run(run.id)) == 41 and engine.history.problems() == []


def test_a_database_of_a_newer_version_stays_as_it_is(home):
    with small_model.engine(small_model.Gate()) as engine:
        before = finish(engine, engine.submit(RECIPE, owner="me"))
    with sqlite3.connect(home / FILE) as file:
        file.execute("update foolscope_schema set version = 99")
    file.close()
    content = (home / FILE).read_bytes()
    with small_model.engine(small_model.Gate()) as engine:
        watched(engine, engine.submit(RECIPE, owner="me"))
        told(engine, "a newer Foolscope wrote (version 99)")
        with pytest.raises(HistoryFailed, match=f"version {VERSION} or older"):
            engine.own_runs("me", 5)
        with pytest.raises(UnknownName, match="newer Foolscope"):
            engine.run(before.id)
    assert (home / FILE).read_bytes() == content


def test_an_address_of_no_database(home, monkeypatch):
    for address in ("nonsense", "postgresql+nonesuch://user:secret@host/name"):
        monkeypatch.setenv("FOOLSCOPE_DATABASE", address)
        with small_model.engine(small_model.Gate()) as engine:
            watched(engine, engine.submit(RECIPE, owner="me"))
            told(engine, "Expected FOOLSCOPE_DATABASE to be an address that SQLAlchemy can open")
            assert not any("secret" in str(problem) for problem in engine.history.problems())


CHILD = """
import sys, time
from dataclasses import replace
from tests.engine.history.test_history import RECIPE, photo
from tests.support import small_model

gate = small_model.Gate()
gate.hook = lambda x: time.sleep(0.002)
with small_model.engine(gate) as engine:
    token = engine.uploads.add(photo())
    recipe = replace(RECIPE, image=token, target=None, params={"steps": 10_000, "step_size": 1 / 2550})
    run = engine.submit(recipe, owner="me")
    print(run.id, flush=True)
    while True:
        run.touch()
        time.sleep(0.05)
"""


@both
def test_a_run_whose_server_was_killed(home, address, monkeypatch):
    """A real kill -9 in mid-run: what was written opens, says so, and can be run again."""
    monkeypatch.setattr("engine.history.queries.STALE", 1.0)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        key = child.stdout.readline().strip()
        until(lambda: steps(address, key) > 150)
        reached = steps(address, key)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
    with small_model.engine(small_model.Gate()) as engine:
        until(lambda: engine.own_runs("me", 5)[0].over)
        (record,) = engine.own_runs("me", 5)
        sentence = f"The server stopped while the run was at step {record.steps}."
        assert record.standing[0].format(**record.standing[1]) == sentence
        run = engine.run(key)
        assert (len(run) - 1, run.status, run.sentence()) == (record.steps, "cancelled", sentence)
        assert len(run) >= reached
        assert run.scalars(0, len(run))[-1, 7] >= record.steps, "queries count on"
        assert np.abs(run.picture(record.steps) - run.start).max() > 0
        again = engine.submit(run.recipe, paused=True, owner="me")
        assert np.array_equal(again.start, run.start) and np.array_equal(
            np.asarray(engine.picture(run.recipe.image)).shape, (120, 90, 3)
        )
        finish(engine, engine.submit(RECIPE, owner="me"))  # a sweep leaves it alone
        assert key in [record.id for record in engine.own_runs("me", 9)]


def steps(address: str, key: str) -> int:
    """Return how many steps of a run are written, read beside the server that writes it."""
    engine = sa.create_engine(address)
    try:
        with engine.connect() as connection:
            return int(connection.scalar(sa.select(runs.c.steps).where(runs.c.id == key)) or 0)
    except SQLAlchemyError:  # the tables are not there yet
        return 0
    finally:
        engine.dispose()


@both
def test_a_server_that_is_stopped_in_mid_run(home):
    with small_model.engine(small_model.Gate()) as engine:
        run = engine.submit(RECIPE, paused=True, owner="me")
        engine.step(run)
        until(lambda: run.status == "paused" and len(run) == 1)
    with small_model.engine(small_model.Gate()) as engine:
        (record,) = engine.own_runs("me", 5)
        assert record.over and record.standing[0].startswith("The server stopped")
        assert engine.run(run.id).sentence() == "The server stopped while the run was at step 0."
