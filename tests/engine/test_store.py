"""Which runs stay in memory: those that go on, those that only memory has, those that somebody reads."""

from __future__ import annotations

import gc
import math
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine import store as stores
from engine.engine import Engine
from engine.jobs import criterion_of, observed
from engine.recipe import Recipe
from engine.run import Run
from engine.store import Store
from tests.engine.test_engine import eventually
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 40, "step_size": 1 / 255})


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch, now):
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    with small_model.engine(small_model.Gate(), clock=lambda: now[0]) as made:
        made.store._spare_limit = 0
        yield made


def finished(engine: Engine, owner: str = "me") -> Run:
    """Return a run that is over, and written where it has an owner."""
    run = engine.enqueue(replace(RECIPE, seed=3), "me", owner=owner)
    *_, _ = engine.follow(run)
    eventually(lambda: engine.history.going_on(run.id) is None)
    return run


def test_what_the_database_has_too_leaves_once_nobody_reads_it_and_comes_back(engine, now):
    run = finished(engine)
    last, step = run.picture(40).copy(), run.figures(17)
    engine.store.tidy()
    assert engine.store.holds(run.id), "it was read a moment ago"
    now[0] += stores.UNREAD
    eventually(lambda: not engine.store.holds(run.id))  # the engine tidies up by itself
    assert engine.look_up(run.id).status == "finished" and not engine.store.holds(run.id)
    back = engine.run(run.id)
    assert back is not run and np.array_equal(back.picture(40), last) and back.figures(17) == step


def test_whoever_reads_a_run_keeps_all_of_its_pictures(engine, now):
    run = finished(engine)
    for _ in range(4):
        now[0] += stores.UNREAD - 1
        assert engine.run(run.id) is run
        engine.store.tidy()
    assert engine.run(run.id).picture_step(17) == 17


def test_what_nobody_else_has_stays(engine, now, monkeypatch):
    mine = finished(engine, owner="")
    monkeypatch.setattr(engine.history, "_keeps_pictures", False)
    bare = finished(engine)
    going = engine.submit(replace(RECIPE, params={"steps": 10_000}), paused=True, owner="me")
    now[0] += stores.UNREAD
    engine.store.tidy()
    assert all(engine.store.holds(run.id) for run in (mine, bare, going))


def test_the_least_lately_used_go_first_and_so_many_bytes_stay(engine, now):
    runs = [finished(engine) for _ in range(4)]
    engine.store._spare_limit = 2 * max(run.bytes for run in runs)
    engine.run(runs[0].id)
    now[0] += stores.UNREAD
    engine.store.tidy()
    assert [engine.store.holds(run.id) for run in runs] == [True, False, False, True]


def test_a_limit_holds_for_all_that_is_over(engine):
    store = Store(limit_bytes=0)
    over, going = finished(engine), engine.submit(RECIPE, paused=True)
    store.add(over)
    store.add(going)
    assert store.peek(over.id) is None and store.peek(going.id) is going


def test_a_run_that_is_forgotten_leaves_memory_at_once(engine):
    """It is in no circle of references, which may wait for minutes until they are looked for."""
    run = finished(engine)
    key, there = run.id, weakref.ref(run)
    del run
    gc.disable()
    try:
        engine.store.drop(key)
        eventually(lambda: there() is None)
    finally:
        gc.enable()


def test_runs_of_one_picture_share_what_they_begin_with(engine):
    first, second = (engine.submit(replace(RECIPE, seed=seed), paused=True) for seed in (1, 2))
    assert np.shares_memory(first.start, second.start)


def test_the_last_picture_keeps_no_other_rows(engine):
    run, _ = engine.prepare(RECIPE)
    rows = torch.rand(64, *run.start.shape)
    run.append(observed(run, criterion_of(run), torch.zeros(len(run.labels)), rows[5], math.nan, 64, 0))
    run.set_status("finished")
    assert run._latest.base is None and np.array_equal(run._latest, rows[5].numpy())


def test_where_there_are_many_those_read_longest_ago_keep_as_many_pictures_as_the_database(
    engine, monkeypatch
):
    runs = [finished(engine) for _ in range(3)]
    last, before = runs[1].picture(40).copy(), runs[1].bytes
    engine.store.tidy()
    assert {run.picture_step(17) for run in runs} == {17}, "they are few"
    monkeypatch.setattr(stores, "IN_FULL", 1)
    engine.store.tidy()
    assert {run.picture_step(17) for run in runs} == {17}, "they are small"
    engine.store._full_limit = 0
    engine.run(runs[0].id)
    engine.store.tidy()
    assert [run.picture_step(17) for run in runs] == [17, 16, 16]
    assert runs[1].bytes < before / 3 and np.array_equal(runs[1].picture(40), last)
    stored = engine.history.stored(runs[1].id)
    assert stored.pictures.keys() | {0} == {step for step in range(41) if runs[1].picture_step(step) == step}
