"""How long the labs take to compute again: all tables at once, and what a page computes on the spot."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import experiments
from bench.figures import Figure, figure
from experiments.cache import Store
from experiments.core import run
from experiments.datasets import digit_sets
from experiments.tanay2018 import tilting_angle

TABLES = ("table1", "table2", "table4")


def tables() -> Iterator[Figure]:
    """Yield the time for tables 1 to 4 with 500 digits, from nothing but the shipped weights; and with 50."""
    for count, goal in ((500, 900), (50, 30)):
        with tempfile.TemporaryDirectory() as folder:
            seconds = {name: _seconds(name, Store(Path(folder)), n=count) for name in TABLES}
        spent = sum(seconds.values()) if count == 500 else max(seconds.values())
        what = f"Tables 1 to 4, {count} digits{'' if count == 500 else ': the slowest of them'}"
        yield figure(f"tables_{count}", what, [spent], "s", f"at most {goal} s", _within(goal), **seconds)


def path() -> Iterator[Figure]:
    """Yield the time for a pair of digits at 81 and at 17 values of lambda, reading the digits included."""
    for count, goal in ((81, 60), (17, 5)):
        digit_sets.forget()
        tilting_angle.pair.cache_clear()
        with tempfile.TemporaryDirectory() as folder:
            spent = _seconds("svm_path", Store(Path(folder)), lambdas=count)
        what = f"Tilting boundary, a pair of digits, {count} values of lambda"
        yield figure(f"path_{count}", what, [spent], "s", f"at most {goal} s", _within(goal))


def _seconds(name: str, store: Store, **settings: Any) -> float:
    experiment, begun = experiments.get(name)(**settings), time.perf_counter()
    run(experiment, store)
    return time.perf_counter() - begun


def _within(goal: float) -> Any:
    return lambda value: value <= goal
