"""The queue with the real engine: who waits, who begins, who is refused, and what frees a place."""

from __future__ import annotations

from dataclasses import replace

import pytest

import engine.queue
from engine.recipe import Recipe
from engine.run import Run
from errors import BadTarget, EngineClosed, OverAllowance, TooManyRuns, UnknownName
from tests.engine.test_engine import eventually, finish
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 12, "step_size": 1 / 255})
ENDLESS = replace(RECIPE, params={"steps": 10_000})


@pytest.fixture
def gate():
    return small_model.Gate()


@pytest.fixture
def engine_of(gate, monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_ACTIVE_RUNS", "2")
    monkeypatch.setenv("FOOLSCOPE_RUNS_PER_PERSON", "3")
    monkeypatch.setattr(engine.queue, "BETWEEN_LOOKS", 0.05)
    with small_model.engine(gate) as made:
        yield made


def crowd(made, count, recipe=ENDLESS, person="p"):
    """Return so many runs, each of another person, the first two of which have begun."""
    runs = [made.enqueue(recipe, f"{person}{i}") for i in range(count)]
    eventually(lambda: sum(run.status == "running" for run in runs) == min(count, 2))
    return runs


def running(runs):
    return [run.status == "running" for run in runs]


def test_a_run_of_the_queue_is_the_run_that_it_would_be_without(engine_of):
    plain, queued = engine_of.submit(RECIPE), engine_of.enqueue(RECIPE, "p")
    finish(engine_of, plain)
    assert finish(engine_of, queued) == list(range(13)) and queued.status == "finished"
    assert queued.top(12)[0].index == plain.top(12)[0].index
    assert engine_of.run(queued.id) is queued and engine_of.place(queued.id) is None


def test_so_many_are_active_and_the_others_wait_in_their_order(engine_of):
    runs = crowd(engine_of, 6)
    assert running(runs) == [True, True, False, False, False, False] and len(engine_of.queue) == 4
    places = [engine_of.place(run.id) for run in runs]
    assert places[:2] == [None, None]
    assert [(p.position, p.ahead, p.total) for p in places[2:]] == [
        (1, 0, 4),
        (2, 1, 4),
        (3, 2, 4),
        (4, 3, 4),
    ]
    eventually(lambda: all(run.place for run in runs[2:]))
    with engine_of.queue._lock:  # all of one forecast
        waits = [run.place.wait_seconds for run in runs[2:]]
    assert waits == sorted(waits) and waits[0] > 0
    assert runs[2].sentence() == "Waiting for the network." and not len(runs[2])


def test_a_place_is_of_now_and_never_gone_for_a_moment(engine_of, monkeypatch):
    """A reader may look at any moment; between two forecasts, which take a while, others begin or leave."""
    runs = crowd(engine_of, 5)
    eventually(lambda: all(run.place for run in runs[2:]))
    monkeypatch.setattr(engine_of.queue, "_forecast", lambda now: None)
    places, last = [], runs[4]

    def noted(run, name, value):
        if name == "place" and run is last:
            places.append(value)
        object.__setattr__(run, name, value)

    monkeypatch.setattr(Run, "__setattr__", noted)
    engine_of.cancel(runs[3])
    eventually(lambda: last.place.position == 2 and len(places) > 2)
    engine_of.cancel(runs[0])
    eventually(lambda: last.place.position == 1)
    assert None not in places and {place.total for place in places} <= {3, 2, 1}


def test_runs_without_the_queue_begin_at_once(engine_of):
    crowd(engine_of, 5)
    run = engine_of.submit(RECIPE)
    assert run.status == "running" and finish(engine_of, run)[-1] == 12


@pytest.mark.parametrize("how", ["cancel", "fail", "finish", "leave"])
def test_whoever_goes_makes_room_at_once(engine_of, gate, how, monkeypatch):
    monkeypatch.setattr(engine.queue, "BETWEEN_LOOKS", 60.0)  # nothing happens by the clock alone
    runs = crowd(engine_of, 3)
    if how == "cancel":
        engine_of.cancel(runs[0])
    elif how == "leave":
        runs[0].set_status("paused", "unwatched")
        engine_of.pause(runs[0])
    else:
        job = engine_of._loop._jobs[runs[0].id]
        monkeypatch.setattr(job, "record", (lambda: 1 / 0) if how == "fail" else (lambda: "steps"))
    eventually(lambda: runs[2].status == "running", seconds=10)
    assert runs[0].status == {"cancel": "cancelled", "fail": "failed", "finish": "finished"}.get(
        how, "paused"
    )


def test_a_run_that_waits_is_cancelled_and_nobody_waits_for_it(engine_of):
    runs = crowd(engine_of, 4)
    engine_of.cancel(runs[2])
    eventually(lambda: len(engine_of.queue) == 1)
    assert runs[2].status == "cancelled" and engine_of.place(runs[2].id) is None
    assert engine_of.place(runs[3].id).position == 1
    engine_of.cancel(runs[0])
    eventually(lambda: runs[3].status == "running")
    assert not len(runs[2])


def test_a_person_has_so_many_runs_and_another_is_refused(engine_of):
    runs = [engine_of.enqueue(ENDLESS, "greedy") for _ in range(3)]
    with pytest.raises(TooManyRuns, match="at most 3 runs of yours"):
        engine_of.enqueue(ENDLESS, "greedy")
    other = engine_of.enqueue(ENDLESS, "modest")
    assert other.status == "waiting"
    engine_of.cancel(runs[1])
    assert engine_of.enqueue(ENDLESS, "greedy").status == "waiting"


def test_who_has_used_least_goes_first(engine_of):
    runs = [engine_of.enqueue(ENDLESS, "greedy") for _ in range(3)]
    eventually(lambda: running(runs) == [True, True, False])
    newcomer = engine_of.enqueue(ENDLESS, "newcomer")
    assert engine_of.place(newcomer.id).position == 1 and engine_of.place(runs[2].id).position == 2
    engine_of.cancel(runs[0])
    eventually(lambda: newcomer.status == "running")
    assert runs[2].status == "waiting"


def test_short_goes_before_long(engine_of):
    crowd(engine_of, 3)
    short = engine_of.enqueue(RECIPE, "q")
    assert engine_of.place(short.id).position == 1


def test_a_run_that_costs_too_much_is_refused_before_it_begins_with_the_price(engine_of, gate):
    before = len(gate.batches)
    with pytest.raises(OverAllowance, match=r"at most 1e-06 s .* about \d.* s;"):
        engine_of.enqueue(ENDLESS, "p", allowance=1e-6)
    assert gate.batches[before:] == [1, 1] and not engine_of.store.all(), "timed, and not begun"
    finish(engine_of, engine_of.enqueue(RECIPE, "p", allowance=1000.0))
    eventually(lambda: engine_of.price(ENDLESS).measured)
    price = engine_of.price(ENDLESS)
    with pytest.raises(OverAllowance) as refused:
        engine_of.enqueue(ENDLESS, "p", allowance=price.seconds / 100)
    assert "estimated" not in str(refused.value) and refused.value.facts.keys() == {"allowance", "price"}


def test_an_estimate_that_is_too_high_refuses_nobody(engine_of, monkeypatch):
    monkeypatch.setattr("engine.prices.MULTIPLY_ADDS_A_SECOND", 1e-3)
    assert engine_of.price(RECIPE).seconds > 1e6
    finish(engine_of, engine_of.enqueue(RECIPE, "p", allowance=1000.0))
    assert engine_of.price(RECIPE).seconds < 1000.0


@pytest.mark.parametrize(
    ("change", "error"), [({"image": "nobody"}, UnknownName), ({"model": "nobody"}, UnknownName)]
)
def test_what_cannot_be_run_is_refused_at_once_and_takes_no_place(engine_of, change, error):
    for _ in range(5):
        with pytest.raises(error):
            engine_of.enqueue(replace(RECIPE, **change), "p")
    current = engine_of.classify("small", "cat")[0].index
    with pytest.raises(BadTarget):
        engine_of.enqueue(replace(RECIPE, target=current), "p")
    assert finish(engine_of, engine_of.enqueue(RECIPE, "p"))[-1] == 12


def test_a_run_that_pauses_for_long_gives_its_place_up_and_waits_again(engine_of, monkeypatch):
    monkeypatch.setattr(engine.queue, "PAUSED_AT_MOST", 0.3)
    first, second, third = crowd(engine_of, 3)
    eventually(lambda: len(first) > 3)
    engine_of.pause(first)
    assert third.status == "waiting"
    eventually(lambda: third.status == "running")
    steps = len(first)
    engine_of.resume(first)
    assert first.status == "waiting" and engine_of.place(first.id).position == 1
    engine_of.cancel(second)
    eventually(lambda: first.status == "running" and len(first) > steps)


def test_a_short_pause_keeps_the_place(engine_of):
    first, _, third = crowd(engine_of, 3)
    engine_of.pause(first)
    engine_of.resume(first)
    assert first.status == "running" and third.status == "waiting"


def test_one_step_of_a_run_that_lost_its_place_is_one_step(engine_of, monkeypatch):
    monkeypatch.setattr(engine.queue, "PAUSED_AT_MOST", 0.0)
    first = engine_of.enqueue(ENDLESS, "p")
    eventually(lambda: len(first) > 3)
    engine_of.pause(first)
    eventually(lambda: engine_of.queue._entries[first.id].state == "away")
    steps = len(first)
    engine_of.step(first)
    eventually(lambda: len(first) == steps + 1 and first.status == "paused")


def test_a_run_that_waits_can_be_paused_and_waits_again(engine_of):
    first, _, third = crowd(engine_of, 3)
    engine_of.pause(third)
    engine_of.cancel(first)
    assert third.status == "paused" and engine_of.place(third.id) is None
    eventually(lambda: first.id not in engine_of.queue._entries)
    assert third.status == "paused"
    engine_of.resume(third)
    eventually(lambda: third.status == "running")


def test_nobody_begins_a_run_that_nobody_watches_and_it_comes_back(gate, monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_ACTIVE_RUNS", "1")
    monkeypatch.setattr(engine.queue, "BETWEEN_LOOKS", 0.05)
    with small_model.engine(gate) as made:
        first, gone, third = (made.enqueue(ENDLESS, name) for name in "abc")
        eventually(lambda: first.status == "running")
        gone.read_at -= engine.queue.UNWATCHED_AFTER + 1
        eventually(lambda: made.place(gone.id) is None and made.place(third.id))
        made.cancel(first)
        eventually(lambda: third.status == "running")
        gone.touch()
        made.cancel(third)
        eventually(lambda: gone.status == "running")


def test_nothing_waits_for_ever_once_the_engine_closes(gate, monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_ACTIVE_RUNS", "1")
    with small_model.engine(gate) as made:
        runs = [made.enqueue(ENDLESS, name) for name in "abc"]
        eventually(lambda: runs[0].status == "running")
        made.close()
        assert all(run.status == "failed" and "shutting down" in run.sentence() for run in runs)
        with pytest.raises(EngineClosed):
            made.queue.submit(RECIPE, "d")


def test_who_waits_outlives_a_loop_that_breaks(engine_of):
    runs = crowd(engine_of, 3)
    engine_of._loop._broke(RuntimeError("the belt tore"))
    eventually(lambda: runs[2].status == "running" and len(runs[2]) > 2)
    assert runs[0].status == runs[1].status == "failed"


def test_many_short_runs_all_come_to_their_end(engine_of):
    runs = [engine_of.enqueue(replace(RECIPE, params={"steps": 2}), str(i)) for i in range(40)]
    for run in runs:
        finish(engine_of, run)
    assert all(run.status == "finished" and len(run) == 3 for run in runs)
    eventually(lambda: not engine_of.queue._entries)
