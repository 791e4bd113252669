"""The engine's loop in bad company: searches and hooks that raise, full devices, and its own end."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial

import pytest
import torch

import engine.loop
from attacks.contract import Criterion, Query
from engine.base import EngineBase
from engine.device import CPU_BATCH, out_of_memory, packed, to_cpu, unpacked
from engine.engine import Engine
from engine.jobs import RunJob
from engine.recipe import Recipe
from engine.scheduler import PATIENCE, Scheduler
from errors import EngineClosed, EngineFailed, OutOfMemory, UnknownName
from tests.engine.test_engine import eventually, finish
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 12, "step_size": 1 / 255})
ENDLESS = replace(RECIPE, params={"steps": 10_000})


@pytest.fixture
def gate():
    return small_model.Gate()


@pytest.fixture
def engine_of(gate):
    with small_model.engine(gate) as made:
        yield made


def images(rows: int) -> torch.Tensor:
    return torch.rand(rows, 3, small_model.SIZE, small_model.SIZE, generator=torch.Generator().manual_seed(0))


def goes_on(made: Engine) -> bool:
    """Whether a run still comes to its end."""
    return list(made.follow(made.submit(RECIPE)))[-1] == 12


def searching(monkeypatch: pytest.MonkeyPatch, search) -> None:
    """Let every attack search like this."""
    monkeypatch.setattr("attacks.bim.BIM.search", lambda self, x, criterion, rng: search(x))


def test_the_engine_keeps_the_interface(engine_of):
    made: EngineBase = engine_of
    assert made.health().healthy and engine_of.healthy


# ---- whatever a job raises ends that job alone --------------------------------------------------


def raises_at_once(x, error):
    raise error
    yield


def raises_later(x, error):
    yield Query(x, None)
    raise error


def raises_when_it_is_closed(x, error):
    try:
        while True:
            yield Query(x, None)
    finally:
        raise error


def asks_nonsense(x, error):
    yield Query(x, None)
    yield "what is it?"


def asks_about_nothing(x, error):
    yield Query(x[:0], None)


@pytest.mark.parametrize("kind", [raises_at_once, raises_later, asks_nonsense, asks_about_nothing])
@pytest.mark.parametrize("error", [ValueError("a bolt is loose"), SystemExit(3), MemoryError()], ids=repr)
def test_a_search_that_breaks_ends_its_run_alone(engine_of, monkeypatch, kind, error):
    other = engine_of.submit(ENDLESS)
    with monkeypatch.context() as patch:
        searching(patch, partial(kind, error=error))
        run = engine_of.submit(RECIPE)
    eventually(lambda: run.over)
    assert run.status == "failed" and run.sentence().endswith((".", ")", "3", "loose"))
    before = len(other)
    eventually(lambda: len(other) > before + 3)
    assert engine_of.healthy and engine_of.health().breaks == 0


@pytest.mark.parametrize("error", [ValueError("a bolt is loose"), SystemExit(3)], ids=repr)
def test_a_clean_up_that_breaks_harms_nobody(engine_of, monkeypatch, error):
    with monkeypatch.context() as patch:
        searching(patch, partial(raises_when_it_is_closed, error=error))
        run = engine_of.submit(ENDLESS)
    eventually(lambda: len(run) > 2)
    engine_of.cancel(run)
    assert goes_on(engine_of) and engine_of.health().breaks == 0 and run.status == "cancelled"


@pytest.mark.parametrize("hook", ["finish", "record", "read", "wanted"])
def test_a_hook_that_breaks_ends_its_run_with_a_sentence(engine_of, monkeypatch, hook):
    def broken(*_):
        raise KeyError("a cog")

    run, other = engine_of.submit(RECIPE, paused=True), engine_of.submit(ENDLESS)
    job = engine_of._loop._jobs[run.id]
    monkeypatch.setattr(job, hook, broken)
    engine_of.resume(run)
    eventually(lambda: run.over)
    assert run.status == "failed" and "a cog" in run.sentence() and not other.over and goes_on(engine_of)


def test_a_press_on_step_right_after_a_step_is_one_more_step(engine_of, monkeypatch):
    """What its readers see of a step is there before its search has its answer."""
    presses = [2, 3]

    def pressing(x):
        while True:
            yield Query(x, None)
            if presses and len(run) == presses[0]:
                engine_of.step(run)
                presses.pop(0)

    searching(monkeypatch, pressing)
    run = engine_of.submit(ENDLESS, paused=True)
    for count in (1, 4):
        engine_of.step(run)
        eventually(lambda count=count: len(run) == count and run.status == "paused")
    assert not presses


def test_housekeeping_that_breaks_harms_nobody(gate, monkeypatch):
    monkeypatch.setattr("engine.store.Store.all", lambda _: 1 / 0)
    now = [0.0]
    with small_model.engine(gate, clock=lambda: now[0]) as made:
        run = made.submit(ENDLESS)
        for _ in range(3):
            now[0] += 2
            before = len(run)
            eventually(lambda before=before: len(run) > before)
        assert made.health().breaks == 0


# ---- the loop itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("the belt tore"), SystemExit(1)], ids=repr)
def test_a_loop_that_dies_fails_whoever_waits_says_so_and_starts_again(engine_of, monkeypatch, error):
    runs = [engine_of.submit(ENDLESS, paused=True) for _ in range(2)]
    failures: list[BaseException] = []

    def wait():
        try:
            engine_of.logits("small", images(1))
        except EngineFailed as failed:
            failures.append(failed)

    def die(_):
        if len(engine_of._loop._jobs) == 3:
            raise error
        time.sleep(0.01)
        return []

    monkeypatch.setattr(Scheduler, "tick", die)
    monkeypatch.setattr(engine.loop.Loop, "_rest", lambda _: time.sleep(0.3))
    caller = threading.Thread(target=wait)
    caller.start()
    eventually(lambda: engine_of.health().breaks)
    assert not engine_of.healthy and str(error) in engine_of.health().error
    caller.join(10)
    assert len(failures) == 1
    assert all(run.status == "failed" and "Start it once" in run.sentence() for run in runs)
    monkeypatch.undo()
    assert goes_on(engine_of)
    eventually(lambda: engine_of.healthy)
    assert engine_of.health().breaks == 1


def test_a_thread_that_is_gone_is_noticed_and_replaced(engine_of, gate, monkeypatch):
    monkeypatch.setattr("engine.engine.PATIENCE", 0.05)
    loop, run = engine_of._loop, engine_of.submit(ENDLESS)
    gate.open.clear()  # the thread that is declared dead is held in the network
    loop._thread = threading.Thread()
    assert not engine_of.healthy
    list(engine_of.follow(run))
    assert run.status == "failed" and "Start it once" in run.sentence() and loop._thread.is_alive()
    gate.open.set()
    assert goes_on(engine_of) and engine_of.healthy


def test_a_loop_that_is_stuck_is_not_healthy(engine_of, gate, monkeypatch):
    engine_of.submit(ENDLESS)
    assert engine_of.healthy
    monkeypatch.setattr(engine.loop, "SECONDS_STUCK", 0.2)
    gate.open.clear()
    eventually(lambda: not engine_of.healthy)
    gate.open.set()
    eventually(lambda: engine_of.healthy)


def test_nothing_waits_for_ever_once_the_engine_closes(gate, monkeypatch):
    with small_model.engine(gate) as made:
        paused, submitted = made.submit(RECIPE, paused=True), []
        add = made.store.add

        def close_meanwhile(run):
            add(run)
            submitted.append(run)
            made.close()

        monkeypatch.setattr(made.store, "add", close_meanwhile)
        with pytest.raises(EngineClosed):
            made.submit(RECIPE)
        for run in (paused, *submitted):
            assert run.status == "failed" and "shutting down" in run.sentence()
        assert len(submitted) == 1 and not made.healthy


def test_models_of_ended_runs_may_go(gate):
    with small_model.engine(gate, model_memory=1) as made:
        run = made.submit(ENDLESS)
        eventually(lambda: len(run) > 2)
        assert made.loaded("small")
        made.logits("smaller", images(1))
        eventually(lambda: not made.loaded("smaller"))
        assert made.loaded("small")
        made.cancel(run)
        eventually(lambda: not made.loaded("small"))


# ---- full devices -------------------------------------------------------------------------------

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB, max allowed: 18.1 GB)"),
]


def room_for(rows: int, error: Exception, failures: list[int]):
    def hook(x):
        if len(x) > rows:
            failures.append(len(x))
            raise error

    return hook


def test_what_a_full_device_says_is_known():
    assert all(map(out_of_memory, [*ERRORS, MemoryError()]))
    assert not any(
        map(out_of_memory, [RuntimeError("shape mismatch"), ValueError("out of memory"), KeyError()])
    )


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "mps"])
def test_one_wide_query_is_put_through_in_parts_at_the_first_press(engine_of, gate, error):
    x, criterion = images(96), Criterion(torch.zeros(96, dtype=torch.int64), False)
    want = engine_of.evaluate("small", x, criterion.loss)
    gate.hook = room_for(8, error, [])
    got = engine_of.evaluate("small", x, criterion.loss)
    for part, expected in zip(got, want, strict=True):
        torch.testing.assert_close(part, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "mps"])
def test_wide_and_narrow_runs_share_a_full_device(engine_of, gate, error):
    wide = [
        engine_of.submit(replace(RECIPE, attack="one_pixel", params={"steps": 3, "population": 40}))
        for _ in "ab"
    ]
    gate.hook = room_for(8, error, [])
    narrow = [engine_of.submit(RECIPE) for _ in range(12)]
    for run in (*wide, *narrow):
        finish(engine_of, run)
        assert run.status == "finished"


def test_the_budget_recovers_and_a_device_without_room_for_one_image_says_so(engine_of, gate):
    failures: list[int] = []
    gate.hook = room_for(4, ERRORS[1], failures)
    engine_of.logits("small", images(32))
    budget = engine_of._loop._scheduler.budget("small")
    assert budget.rows == 4 and failures == [CPU_BATCH, 8]
    gate.hook = room_for(0, ERRORS[1], failures)
    with pytest.raises(OutOfMemory, match="no memory left on cpu for one image of Small"):
        engine_of.logits("small", images(2))
    gate.hook = None
    for _ in range(6 * PATIENCE):
        engine_of.logits("small", images(1))
    assert budget.rows == CPU_BATCH


def test_eight_wide_runs_go_one_after_the_other(engine_of, gate):
    runs = [
        engine_of.submit(
            replace(RECIPE, attack="one_pixel", params={"steps": 2, "population": 60}), paused=True
        )
        for _ in range(4)
    ]
    gate.batches.clear()
    for run in runs:
        engine_of.resume(run)
    for run in runs:
        finish(engine_of, run)
    assert max(gate.batches) == CPU_BATCH


def test_one_transfer_brings_tensors_of_any_shape():
    tensors = [torch.rand(3, 4, 4), torch.tensor(2.5), torch.arange(5, dtype=torch.float64), torch.rand(1, 7)]
    for copies in (to_cpu(tensors), unpacked(packed(tensors), tensors)):
        for tensor, copy in zip(tensors, copies, strict=True):
            assert copy.dtype == torch.float32 and torch.equal(copy, tensor.float())


def test_every_answer_that_a_tick_needs_comes_in_one_transfer(engine_of, gate, monkeypatch):
    transfers: list[int] = []

    def counted(tensors):
        transfers.append(len(tensors))
        return to_cpu(tensors)

    monkeypatch.setattr("engine.answering.to_cpu", counted)
    held: list[bool] = []
    monkeypatch.setattr(RunJob, "read", _watching(RunJob.read, engine_of, held))
    runs = [engine_of.submit(RECIPE, paused=True) for _ in range(8)]
    gate.batches.clear()
    transfers.clear()
    for run in runs:
        engine_of.resume(run)
    for run in runs:
        finish(engine_of, run)
    assert len(transfers) == len(gate.batches) and not any(held)


def _watching(read, made, held):
    def watched(self, *args):
        lock = made._loop._changed._lock
        held.append(lock._is_owned())
        return read(self, *args)

    return watched


def test_a_step_that_is_not_there_is_an_unknown_name(engine_of):
    run = engine_of.submit(RECIPE)
    finish(engine_of, run)
    for step in (-1, 13):
        with pytest.raises(UnknownName, match="step from 0 to 12"):
            run.figures(step)
    time.sleep(0)
