"""Runs in a real database: kept across restarts, for their owners alone, within limits, gone when deleted."""

from __future__ import annotations

import io
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from attacks.contract import Stop
from engine.engine import Engine
from engine.history import queries
from engine.history.database import FILE
from engine.history.packing import QUICK, unpack_array
from engine.history.recording import SIGN_OF_LIFE, Recording
from engine.recipe import Recipe
from engine.run import Run
from errors import BadSetting, UnknownName
from tests.support import small_model
from tests.support.postgresql import SQLITE, both

RECIPE = Recipe("small", "cat", "bim", {"steps": 40, "step_size": 1 / 255}, target=2, stop=Stop("steps"))


@pytest.fixture
def home(tmp_path: Path, address: str, monkeypatch) -> Path:
    """A folder of its own, and a database there or on a server."""
    write_soon(monkeypatch)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    if not address.startswith(SQLITE):
        monkeypatch.setenv("FOOLSCOPE_DATABASE", address)
    return tmp_path


def write_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have databases written to as soon as there is something to write, and again soon after a failure."""
    monkeypatch.setattr("engine.history.history.PERIOD", 0.05)
    monkeypatch.setattr("engine.history.history.REST", 0.2)


def counted(address: str, table: str) -> int:
    """Return how many rows a table has, asked beside the server that writes it."""
    engine = sa.create_engine(address)
    try:
        with engine.connect() as connection:
            return int(connection.exec_driver_sql(f"select count(*) from {table}").scalar_one())
    finally:
        engine.dispose()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finish(engine: Engine, run: Run) -> Run:
    """Wait until a run is over and written."""
    *_, _ = engine.follow(run)
    until(lambda: engine.history.going_on(run.id) is None)
    return run


def photo() -> bytes:
    """Return a picture that no other test has, as PNG bytes that do not compress."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (120, 90, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


@both
def test_a_finished_run_is_the_same_after_a_restart(home):
    with small_model.engine(small_model.Gate()) as engine:
        run = finish(engine, engine.submit(RECIPE, owner="me"))
    with small_model.engine(small_model.Gate()) as engine:
        back = engine.run(run.id)
        assert back is not run and engine.run(run.id) is back
        assert (back.recipe, back.status, back.reason, back.total) == (RECIPE, "finished", "steps", 40)
        assert back.sentence() == run.sentence() and back.classes == run.classes
        assert np.array_equal(back.scalars(0, 41), run.scalars(0, 41), equal_nan=True)
        assert np.array_equal(back.log_p(0, 41, run.classes), run.log_p(0, 41, run.classes))
        assert [back.top(step) for step in range(41)] == [run.top(step) for step in range(41)]
        assert np.array_equal(back.picture(40), run.picture(40)), "the last picture is exact"
        step = back.picture_step(20)
        assert step > 0 and np.array_equal(back.delta(step), run.delta(step))
        assert (back.queries, back.gradient_evaluations) == (run.queries, run.gradient_evaluations)
        assert back.answers_again is not None and run.answers_again is not None
        assert np.array_equal(back.answers_again, run.answers_again)


@both
def test_a_run_that_ends_among_many_keeps_the_pictures_that_were_written_before(home):
    with small_model.engine(small_model.Gate()) as engine:
        run = engine.submit(replace(RECIPE, params={"steps": 10_000, "step_size": 1 / 2550}))
        until(lambda: len(run) > 40)
        engine.pause(run)
        recording, database = Recording(run, "me", 0.0, True), engine.history.database
        for end in (lambda: None, lambda: engine.cancel(run)):
            end()
            changes = recording.changes(0.0, QUICK)  # as where many are written at once
            assert changes is not None
            with database.writing() as connection:
                queries.write(connection, run.id, changes, recording.inserted)
            recording.written_down(changes)
        with database.reading() as connection:
            stored = queries.read(connection, run.id, 0.0)
        assert stored is not None
        last = len(run) - 1
        assert last in stored.pictures and len(stored.pictures) > 4
        for step in stored.pictures.keys() - {last}:
            assert np.array_equal(unpack_array(stored.pictures[step]), run.delta(step))


@both
def test_the_list_says_what_became_of_a_run(home):
    with small_model.engine(small_model.Gate()) as engine:
        first = finish(engine, engine.submit(RECIPE, owner="me"))
        second = finish(engine, engine.submit(replace(RECIPE, seed=5), owner="me"))
        newest, older = engine.own_runs("me", 5)
        assert (newest.id, older.id) == (second.id, first.id)
        assert engine.own_runs("me", 1) == [newest]
        best = first.top(40, 1)[0]
        assert (older.first_label, older.last_label) == (first.labels[first.original], best.label)
        assert older.probability == pytest.approx(best.probability) and older.success is first.succeeded(40)
        assert older.steps == 40 and older.over and older.opens and older.recipe == RECIPE
        template, facts = older.standing
        assert template.format(**facts) == first.sentence()
        for data, x in ((older.before, first.start), (older.after, first.picture(40))):
            shown = np.asarray(Image.open(io.BytesIO(data or b""))).transpose(2, 0, 1) / 255
            assert np.abs(shown - x).max() < 0.01


@both
def test_nobody_else_sees_renames_or_deletes_a_run(home):
    with small_model.engine(small_model.Gate()) as engine:
        run = finish(engine, engine.submit(RECIPE, owner="me"))
        assert engine.own_runs("you", 5) == [] and engine.own_runs("", 5) == []
        with pytest.raises(UnknownName, match="one of your own runs"):
            engine.rename_run("you", run.id, "mine now")
        engine.delete_runs("you", [run.id])
        engine.delete_runs("you")
        assert engine.own_runs("me", 5)[0].name == ""
        engine.rename_run("me", run.id, "  the\n panda ")
        assert engine.own_runs("me", 5)[0].name == "the panda"
        assert engine.run(run.id) is run


def test_a_run_of_nobody_is_not_kept(home):
    with small_model.engine(small_model.Gate()) as engine:
        *_, _ = engine.follow(engine.submit(RECIPE))
    assert not (home / FILE).exists()


@both
def test_an_upload_comes_back_with_its_run(home, address):
    with small_model.engine(small_model.Gate()) as engine:
        token = engine.uploads.add(photo())
        run = finish(engine, engine.submit(replace(RECIPE, image=token, target=None), owner="me"))
        same = engine.uploads.add(photo())
        finish(engine, engine.submit(replace(RECIPE, image=same, target=None), owner="me"))
        pixels = np.asarray(engine.picture(token))
    assert counted(address, "originals") == 1, "equal pixels once"
    with small_model.engine(small_model.Gate()) as engine:
        assert np.array_equal(engine.run(run.id).start, run.start)
        assert np.array_equal(np.asarray(engine.picture(token)), pixels) and engine.notes(token) == ()
        again = engine.submit(run.recipe)
        *_, _ = engine.follow(again)
        assert again.top(40, 1)[0].label == run.top(40, 1)[0].label
        with pytest.raises(UnknownName, match="no longer has that upload"):
            engine.picture("upload:another")


@both
def test_what_is_deleted_is_gone(home, address):
    with small_model.engine(small_model.Gate()) as engine:
        token = engine.uploads.add(photo())
        kept = finish(engine, engine.submit(RECIPE, owner="me"))
        run = finish(engine, engine.submit(replace(RECIPE, image=token, target=None), owner="me"))
        going_on = engine.submit(replace(RECIPE, params={"steps": 10_000}), paused=True, owner="me")
        until(lambda: len(engine.own_runs("me", 5)) == 3)
        assert counted(address, "originals") == 1
        engine.delete_runs("me", [run.id, going_on.id])
        assert [record.id for record in engine.own_runs("me", 5)] == [kept.id]
        assert going_on.status == "cancelled"
        for key in (run.id, going_on.id):
            with pytest.raises(UnknownName):
                engine.run(key)
        engine.delete_runs("me")
        assert engine.own_runs("me", 5) == []
    for table in ("runs", "chunks", "pictures", "uploads", "originals"):
        assert counted(address, table) == 0, table


def test_what_is_deleted_is_gone_from_the_disk_too(home):
    with small_model.engine(small_model.Gate()) as engine:
        token = engine.uploads.add(photo())
        png = engine.uploads.packed(token)
        finish(engine, engine.submit(RECIPE, owner="me"))
        engine.history.database.shrink()  # what was written is in the file now, and not in its journal
        size = (home / FILE).stat().st_size
        run = finish(engine, engine.submit(replace(RECIPE, image=token, target=None), owner="me"))
        written = b"".join(path.read_bytes() for path in home.glob(f"{FILE}*"))
        piece = next(png[i : i + 64] for i in range(200, len(png), 64) if png[i : i + 64] in written)
        engine.delete_runs("me", [run.id])
        left = b"".join(path.read_bytes() for path in home.glob(f"{FILE}*"))
        assert piece not in left and png[-200:-136] not in left
        assert (home / FILE).stat().st_size <= size + 2 * 4096


@both
def test_the_oldest_go_first_beyond_the_limit(home, monkeypatch):
    with small_model.engine(small_model.Gate()) as engine:
        finish(engine, engine.submit(RECIPE, owner="me"))
        with engine.history.database.reading() as connection:
            one = queries.size(connection)
    monkeypatch.setenv("FOOLSCOPE_HISTORY_BYTES", str(int(2.5 * one)))
    with small_model.engine(small_model.Gate()) as engine:
        keys = [finish(engine, engine.submit(RECIPE, owner="me")).id for _ in range(3)]
        until(lambda: len(engine.own_runs("me", 9)) == 2)
        assert [record.id for record in engine.own_runs("me", 9)] == [keys[2], keys[1]]


def test_what_is_too_old_goes(home, monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_HISTORY_DAYS", "7")
    with small_model.engine(small_model.Gate()) as engine:
        keys = [finish(engine, engine.submit(RECIPE, owner="me")).id for _ in range(2)]
        with sqlite3.connect(home / FILE) as file:
            for key, days in zip(keys, (8, 6), strict=True):
                file.execute("update runs set seen = ? where id = ?", (time.time() - days * 86_400, key))
        newest = finish(engine, engine.submit(RECIPE, owner="me")).id
        until(lambda: len(engine.own_runs("me", 9)) == 2)
        assert {record.id for record in engine.own_runs("me", 9)} == {keys[1], newest}


@both
def test_without_pictures_the_figures_stay(home, address, monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_KEEP_PICTURES", "0")
    with small_model.engine(small_model.Gate()) as engine:
        token = engine.uploads.add(photo())
        run = finish(engine, engine.submit(replace(RECIPE, image=token, target=None), owner="me"))
        (record,) = engine.own_runs("me", 5)
        assert record.before is None and record.after is None and not record.opens
        assert record.last_label == run.top(40, 1)[0].label
    for table, count in (("pictures", 0), ("originals", 0), ("uploads", 0), ("chunks", 1)):
        assert counted(address, table) == count
    with (
        small_model.engine(small_model.Gate()) as engine,
        pytest.raises(UnknownName, match="keeps none"),
    ):
        engine.run(run.id)


def test_a_setting_that_says_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_KEEP_PICTURES", "perhaps")
    with pytest.raises(BadSetting, match="0 or 1, got “perhaps”"):
        Engine()


@both
def test_a_long_run_is_written_as_it_goes_and_shortly_at_its_end(home):
    """Mid-run all classes are there in half precision; few pictures are kept of however many steps."""
    gate = small_model.Gate()
    gate.hook = lambda _: time.sleep(0.004)  # for longer than the database takes to be written to once
    with small_model.engine(gate) as engine:
        run = engine.submit(replace(RECIPE, params={"steps": 800, "step_size": 0.1 / 255}), owner="me")

        def written() -> int:
            return sum(record.steps for record in engine.own_runs("me", 1))

        until(lambda: written() > 50)
        engine.pause(run)
        until(lambda: written() == len(run) - 1)
        engine.store.drop(run.id)
        stored = engine.history.stored(run.id)
        assert stored is not None and len(stored.rows) > 1 and 2 <= len(stored.pictures) <= 10
        assert max(stored.pictures) == len(run) - 1
        gate.hook = None
        engine.resume(run)
        finish(engine, run)
        stored = engine.history.stored(run.id)
        assert stored is not None and len(stored.rows) == 1 and len(stored.pictures) <= 10
        assert len(engine.run(run.id)) == 801


@pytest.mark.parametrize("crowd", [0, 100])
def test_in_a_crowd_nothing_but_the_size_differs_and_few_are_written_at_once(home, monkeypatch, crowd):
    monkeypatch.setattr("engine.history.history.CROWD", crowd)
    monkeypatch.setattr("engine.history.history.AT_ONCE", 1)  # each run in a transaction of its own
    with small_model.engine(small_model.Gate()) as engine:
        runs = [finish(engine, engine.submit(replace(RECIPE, seed=seed), owner="me")) for seed in range(3)]
    with small_model.engine(small_model.Gate()) as engine:
        for run in runs:
            back = engine.run(run.id)
            assert np.array_equal(back.picture(40), run.picture(40)), "the last picture is exact"
            steps = {back.picture_step(step) for step in range(41)}
            assert 2 < len(steps) <= 9 and all(np.array_equal(back.delta(s), run.delta(s)) for s in steps)
            stored = engine.history.stored(run.id)
            assert stored is not None and len(stored.rows) == 1


def test_a_run_that_waits_gives_a_sign_of_life_now_and_then_alone(home):
    with small_model.engine(small_model.Gate()) as engine:
        run = engine.submit(RECIPE, paused=True)
        recording = Recording(run, "me", 100.0, True)
        first = recording.changes(100.0)
        assert first is not None and first.row["id"] == run.id
        recording.written_down(first)
        assert recording.changes(100.0 + SIGN_OF_LIFE - 0.1) is None
        sign = recording.changes(100.0 + SIGN_OF_LIFE)
        assert sign is not None and dict(sign.row) == {"seen": 100.0 + SIGN_OF_LIFE}
        recording.written_down(sign)
        assert recording.changes(103.0) is None and recording.changes(50.0) is not None, "a clock set back"
        engine.cancel(run)
        end = recording.changes(103.0)
        assert end is not None and end.over
