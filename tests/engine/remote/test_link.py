"""A run whose steps come over a socket, with a client that says what a replica would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attacks.contract import Stop
from engine.jobs import StepsLeft, fresh_run
from engine.prices import Costs
from engine.recipe import Recipe
from engine.remote import link as links
from engine.remote.client import Client, Ending, Interrupted, Opening, Orders, Steps
from engine.remote.link import GIVE_UP_AFTER, Link
from engine.run import SCALARS, Run
from tests.support import event_loop, small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 9})
END = Ending("finished", "steps", None, None)
Script = Sequence[Steps | Exception | Callable[[], object]]


class Replicas(Client):
    """Says what its scripts hold, one for each conversation; a function in one is called."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__("http://replicas")
        self.scripts, self.openings, self.orders = list(scripts), list[Opening](), list[str]()

    async def follow(
        self, opening: Opening, orders: Orders, model: str | None = None
    ) -> AsyncGenerator[Steps]:
        self.openings.append(opening)
        for said in self.scripts.pop(0) if self.scripts else [Interrupted("nobody")]:
            await asyncio.sleep(0)
            while not orders.queue.empty():
                self.orders.append(orders.queue.get_nowait())
            if isinstance(said, Exception):
                raise said
            if isinstance(said, Steps):
                yield said
            else:
                said()


def steps(first: int, stop: int, end: Ending | None = None, shift: float = 0.0, pace: float = 0.1) -> Steps:
    count = stop - first
    scalars = np.zeros((count, len(SCALARS)), np.float32)
    for name, each in (("queries", 1), ("gradients", 1), ("seconds", pace)):
        scalars[:, SCALARS.index(name)] = each * np.arange(first + 1, stop + 1)
    log_p = np.log(np.full((count, small_model.CLASSES), 1 / small_model.CLASSES, np.float32))
    log_p[:, 0] += np.float32(shift)
    pictures = {i: np.full((3, 16, 16), i / 1000, np.float16) for i in range(first, stop)}
    return Steps(first, scalars, log_p, pictures, None, "running", 0, "host:1", end)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(links, "BETWEEN_TRIES", 0.0)
    with small_model.known():
        yield


def linked(replicas: Replicas, far: StepsLeft, recipe: Recipe = RECIPE) -> tuple[Run, Link]:
    run = fresh_run(recipe, 0, np.full((3, 16, 16), 0.5, np.float32), lambda: 0.0)
    link = Link(replicas, run, Costs(), True, lambda: None)
    link.allow(far)
    return run, link


def carried(replicas: Replicas, recipe: Recipe = RECIPE) -> tuple[Run, Link]:
    run, link = linked(replicas, StepsLeft.ALL, recipe)
    event_loop.run(link.carry_out())
    return run, link


def test_a_run_goes_on_elsewhere_from_the_step_that_is_missing() -> None:
    replicas = Replicas([steps(0, 4), Interrupted("gone")], [steps(3, 10, END)])
    run, link = carried(replicas)
    assert [opening.start for opening in replicas.openings] == [0, 3] and link.moves == 1
    assert len(run) == 10 and (run.status, run.reason, run.queries) == ("finished", "steps", 10)
    assert run.scalars(0, 10)[:, SCALARS.index("queries")].tolist() == list(range(1, 11))


@pytest.mark.parametrize(
    ("change", "leased"),
    [
        ({}, 3),
        ({"attack": "mi_fgsm"}, 3),
        ({"attack": "jsma"}, None),
        ({"stop": Stop("row")}, None),
        ({"eight_bit": True}, None),
        ({"attack": "pgd", "params": {"steps": 9, "restarts": 2}}, None),
        ({"attack": "pgd", "params": {"steps": 8, "random_start": True}}, 3),
    ],
)
def test_a_run_goes_on_from_the_last_step_that_came_with_all_that_its_attack_remembers(
    change: dict[str, Any], leased: int | None
) -> None:
    exact, later = np.full((3, 16, 16), 0.25, np.float32), steps(4, 6)
    first = replace(steps(0, 4), latest=exact, memory=(np.ones(2, np.float32),))
    replicas = Replicas([first, later, Interrupted("gone")], [steps(5, 10, END)])
    recipe = replace(RECIPE, **change)
    run, _ = carried(replicas, recipe)
    lease = replicas.openings[1].lease
    assert replicas.openings[0].lease is None and replicas.openings[1].start == 5
    assert (lease and lease.step) == leased and run.status == "finished"
    if lease:
        assert np.array_equal(lease.x, exact) and np.array_equal(lease.scalars, first.scalars[3])
        assert lease.memory == first.memory


def test_a_run_that_would_be_computed_again_for_long_ends_with_a_sentence() -> None:
    exact = np.full((3, 16, 16), 0.25, np.float32)
    before, leased = steps(0, 5, pace=1), replace(steps(5, 6, pace=1), latest=exact, memory=())
    for first, status, count in (([before], "failed", 5), ([before, leased], "finished", 10)):
        replicas = Replicas([*first, Interrupted("gone")], [steps(5, 10, END, pace=1)])
        run, _ = carried(replicas)
        assert run.status == status and len(run) == count
        assert (status == "finished") or "cannot go on elsewhere" in run.sentence()


def test_a_run_that_comes_out_otherwise_ends_with_a_sentence() -> None:
    run, _ = carried(Replicas([steps(0, 4), Interrupted("gone")], [steps(3, 10, END, shift=0.5)]))
    assert run.status == "failed" and len(run) == 4 and "it came out otherwise" in run.sentence()


def test_a_run_that_nobody_takes_ends_with_a_sentence() -> None:
    replicas = Replicas([steps(0, 4)])
    run, _ = carried(replicas)
    assert run.status == "failed" and "Expected an engine at http://replicas" in run.sentence()
    assert len(run) == 4 and len(replicas.openings) in (GIVE_UP_AFTER, GIVE_UP_AFTER + 1)


def test_what_comes_while_a_run_is_paused_is_held_back() -> None:
    counts = list[int]()

    def step() -> None:
        counts.append(len(run))
        link.allow(StepsLeft.ONE)
        counts.append(len(run))

    replicas = Replicas([steps(0, 4), step, step, step, steps(4, 10, END)])
    run, link = linked(replicas, StepsLeft.ONE)

    async def until_it_waits() -> None:
        task = asyncio.create_task(link.carry_out())
        while replicas.scripts or len(counts) < 6:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert (run.status, len(run)) == ("paused", 4)
        link.allow(StepsLeft.ALL)
        assert (run.status, len(run)) == ("finished", 10)
        task.cancel()

    event_loop.run(until_it_waits())
    assert counts == [1, 2, 2, 3, 3, 4]
