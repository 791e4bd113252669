"""Looking inside: how soon a plane is there, and what questions cost a run that is going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count

from app.inside.looking import Line, Look
from app.inside.parts import PARTS
from app.inside.plane_part import PART
from bench.figures import Figure, figure
from bench.steps import recipe, through_engine
from engine.engine import Engine
from engine.run import Run

CELLS = 256
GOALS: dict[str | int, int] = {"colours": 1, 64: 3, CELLS: 60}
"""Seconds to the first colours, and to so many squares in a row."""
TITLES: dict[str | int, str] = {"colours": "first colours", 64: "64 x 64", CELLS: f"{CELLS} x {CELLS}"}
ATTACKED = 20
"""Steps of the run whose plane is looked at."""
COST = 10


def looked_at(engine: Engine, model: str, steps: int, repeats: int) -> list[Figure]:
    """Measure the plane of a run on ``model``, each time with another third point so that nothing of it is
    known, and steps a second of a run with and without questions, in turns."""
    run = engine.submit(recipe(model, ATTACKED))
    list(engine.follow(run))
    _refined(engine, run, 0, 64)  # the first ones warm up
    planes = [_refined(engine, run, seed, CELLS) for seed in range(1, repeats + 1)]
    return [*_planes(model, planes), cost(engine, run, steps, repeats)]


def _planes(model: str, planes: Sequence[Refined]) -> Iterator[Figure]:
    for name, goal in GOALS.items():
        yield figure(
            f"plane_{name}",
            f"{model}: the plane, {TITLES[name]}",
            [plane.seconds[name] for plane in planes],
            "s",
            f"below {goal} s",
            partial(_below, goal),
            model=model,
            asked=[plane.asked for plane in planes],
        )


@dataclass(frozen=True)
class Refined:
    """``seconds`` from the question to the first colours and to so many squares in a row; ``asked``: corners
    that the network was asked about in all."""

    seconds: dict[str | int, float]
    asked: int


def _refined(engine: Engine, run: Run, seed: int, cells: int) -> Refined:
    begun, seconds, asked = time.perf_counter(), dict[str | int, float](), 0
    for line in _plane(engine, run, seed, cells):
        since = time.perf_counter() - begun
        if line["type"] == "asked":
            seconds.setdefault("colours", since)
        elif line["type"] == "level":
            seconds[line["cells"]], asked = since, line["asked"]
    return Refined(seconds, asked)


def _plane(engine: Engine, run: Run, seed: int, cells: int) -> Iterator[Line]:
    """Yield the lines that the page gets."""
    return PARTS[PART](Look(engine, run, PART, len(run) - 1, {"cells": str(cells), "seed": str(seed)}))


def cost(engine: Engine, run: Run, steps: int, repeats: int) -> Figure:
    """Measure by how much fewer steps a second a run takes while planes of ``run`` are asked for."""
    what = recipe(run.recipe.model, steps)
    through_engine(engine, recipe(run.recipe.model, 5))
    pairs = []
    for turn in range(repeats):
        alone = through_engine(engine, what)
        with closing(Asking(engine, run, 1000 * (turn + 1))):
            beside = through_engine(engine, what)
        pairs.append((steps / alone, steps / beside))
    return figure(
        "inside_cost",
        "steps a second that looking inside costs a run",
        [100 * (1 - beside / alone) for alone, beside in pairs],
        "%",
        f"below {COST} %",
        partial(_below, COST),
        model=run.recipe.model,
        steps_per_second=[[round(rate, 1) for rate in pair] for pair in pairs],
    )


class Asking:
    """Somebody who looks at one plane of ``run`` after the other, until `close`."""

    def __init__(self, engine: Engine, run: Run, seed: int) -> None:
        self._engine, self._run, self._seeds = engine, run, count(seed)
        self._over, self._begun = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        self._begun.wait()

    def _ask(self) -> None:
        for seed in self._seeds:
            with closing(_plane(self._engine, self._run, seed, CELLS)) as lines:  # type: ignore[type-var]
                for line in lines:
                    if line["type"] == "asked":
                        self._begun.set()
                    if self._over.is_set():
                        return

    def close(self) -> None:
        """End the question that is being answered; nobody asks any more."""
        self._over.set()
        self._thread.join()


def _below(goal: float, value: float) -> bool:
    return value < goal
