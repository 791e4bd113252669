"""``python -m app bench scale``: how many people on how many replicas, by a simulation of the queue.

    python -m app bench scale                    # 300, 3,000 and 30,000 people, by the costs below
    python -m app bench scale --measure          # by what batches cost on this machine now
    python -m app bench scale --people 120 --think 10 --steps 100

    python -m app bench scale --database postgresql+psycopg://...   # and what keeping a run costs there

People choose and think, start a run, watch it to its end, and think again; how long is drawn from a seed.
Each replica has its share of them. It lets `ACTIVE` runs be active, in the order in which they came, and the
scheduler of the engine itself (`engine.scheduler`) says which go together; only the seconds of a batch are
computed, by `Cost`, instead of passing. A number of replicas is enough when 95 of 100 runs begin within
`WAIT` seconds and a step comes `RATE` times a second at least.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

import models
from attacks.contract import Stop
from engine.engine import Engine
from engine.history import queries
from engine.history.database import Database
from engine.history.recording import Recording
from engine.recipe import Recipe
from engine.scheduler import Scheduler

PEOPLE = (300, 3_000, 30_000)
ACTIVE = 16
"""Runs that are active at once on one replica: the default of ``FOOLSCOPE_ACTIVE_RUNS``."""
WAIT, RATE = 5.0, 2.0
MINUTES = 10.0
"""Of the simulated time; the first half, in which everybody comes, does not count."""
SMALLEST = 1e-9
KEPT, WRITTEN = {"photos": "panda", "lenet": "seven"}, 50
"""What is attacked, and how often it is written, where keeping runs is timed."""


@dataclass(frozen=True)
class Cost:
    """What a batch costs: ``fixed`` seconds and ``row`` seconds for each image. ``where``: on what, and how
    that is known."""

    network: str
    fixed: float
    row: float
    where: str

    @classmethod
    def through(cls, network: str, one: float, rows: int, many: float, where: str) -> Cost:
        """Return the line through two measured batches: of one image, and of ``rows`` that took ``many``."""
        row = max((many - one) / (rows - 1), SMALLEST)
        return cls(network, max(one - row, 0.0), row, where)

    def seconds(self, rows: int) -> float:
        """Return what a batch of so many images takes."""
        return self.fixed + rows * self.row

    @property
    def most(self) -> float:
        """Return how many steps a second come out of full batches."""
        return 32 / self.seconds(32)


COSTS = (
    Cost.through("photos", 0.037, 12, 12 * 0.016, "two cores (AMD EPYC), measured"),
    Cost("lenet", 0.0, 0.003, "two cores (AMD EPYC), one image measured, no gain by batches assumed"),
)


@dataclass(frozen=True)
class Habit:
    """What people do: ``think`` seconds between two runs, and ``steps`` of a run, both in the mean."""

    think: float = 30.0
    steps: float = 40.0


@dataclass(frozen=True)
class Outcome:
    """How one replica fared. ``wait``: seconds until a run began, of 95 in 100 at most; ``rate``: steps a
    second of a run, of 95 in 100 at least; ``busy``: share of the device's time; ``runs``: that ended in a
    second."""

    wait: float
    rate: float
    busy: float
    runs: float

    @property
    def enough(self) -> bool:
        """Say whether that is bearable."""
        return self.wait <= WAIT and self.rate >= RATE


@dataclass
class _Run:
    came: float
    steps: int
    left: int
    began: float = 0.0
    ended: float = 0.0

    @property
    def rate(self) -> float:
        """Return how many steps came in a second, once it had begun."""
        return self.steps / max(self.ended - self.began, SMALLEST)


class Replica:
    """One replica and its people, whose time passes as fast as it can be computed."""

    def __init__(self, cost: Cost, people: int, habit: Habit, chance: random.Random) -> None:
        self._cost, self._habit, self._chance = cost, habit, chance
        self._scheduler = Scheduler()
        self._now, self._busy, self._number = 0.0, 0.0, 0
        self._thinking = [chance.expovariate(1 / habit.think) for _ in range(people)]
        heapq.heapify(self._thinking)
        self._waiting: deque[_Run] = deque()
        self._active: dict[str, _Run] = {}
        self._over: list[_Run] = []

    def simulate(self, seconds: float) -> Outcome:
        """Return how it fares in the second half of so many seconds."""
        half, busy = seconds / 2, 0.0
        while self._now < seconds:
            if self._now < half:
                busy = self._busy
            self._come()
            if self._active:
                self._tick()
            else:
                self._now = max(self._thinking[0], self._now)
        counted = [run for run in self._over if run.came >= half] + list(self._waiting)
        waits = sorted((run.began or self._now) - run.came for run in counted)
        rates = sorted(run.rate for run in self._over if run.ended >= half)
        return Outcome(
            wait=_quantile(waits, 0.95),
            rate=_quantile(rates, 0.05),
            busy=min((self._busy - busy) / half, 1.0),
            runs=len(rates) / half,
        )

    def _come(self) -> None:
        """Let runs come that are due, and begin while there is room."""
        while self._thinking and self._thinking[0] <= self._now:
            steps = 1 + int(self._chance.expovariate(1 / self._habit.steps))
            self._waiting.append(_Run(heapq.heappop(self._thinking), steps, steps))
        while self._waiting and len(self._active) < ACTIVE:
            run = self._waiting.popleft()
            run.began, key = max(self._now, SMALLEST), str(self._number)
            self._number += 1
            self._active[key] = run
            self._scheduler.add(key, self._cost.network, 1)

    def _tick(self) -> None:
        """Carry out one batch."""
        keys = list(self._scheduler.tick())
        took = self._cost.seconds(len(keys))
        self._now, self._busy = self._now + took, self._busy + took
        self._scheduler.spent(self._cost.network, took)
        for key in keys:
            run = self._active[key]
            run.left -= 1
            if not run.left:
                self._end(key, run)

    def _end(self, key: str, run: _Run) -> None:
        """Let a run be over, and its person think."""
        run.ended = self._now
        self._scheduler.remove(key)
        del self._active[key]
        self._over.append(run)
        heapq.heappush(self._thinking, self._now + self._chance.expovariate(1 / self._habit.think))


@dataclass(frozen=True)
class Row:
    """A row of the table: so many ``people`` by a ``cost`` need so many ``replicas``, and fare so."""

    people: int
    cost: Cost
    replicas: int
    outcome: Outcome

    @property
    def cells(self) -> tuple[str, ...]:
        """Return what stands in it."""
        outcome = self.outcome
        return (
            f"{self.people:,}",
            self.cost.network,
            self.cost.where,
            f"{self.replicas:,}",
            f"{100 * outcome.busy:.0f} %",
            f"{outcome.wait:.1f} s",
            f"{outcome.rate:.1f} /s",
            f"{self.replicas * outcome.runs:.1f} /s",
        )


HEAD = (
    *("people", "network", "each replica on", "replicas", "device busy", "wait (95 % at most)"),
    *("steps of a run (95 % at least)", "runs that end"),
)


def least(people: int, cost: Cost, habit: Habit, seed: int = 0, minutes: float = MINUTES) -> Row:
    """Return the least number of replicas that is enough; it takes a few simulations of one replica each."""

    def fares(replicas: int) -> Outcome:
        share = math.ceil(people / replicas)
        return Replica(cost, share, habit, random.Random(f"{seed} {share}")).simulate(60 * minutes)

    few = max(1, math.floor(people * habit.steps / (habit.think + habit.steps / cost.most) / cost.most / 2))
    many = few
    while not fares(many).enough:
        if math.ceil(people / many) == 1:  # even alone on a replica it is too slow
            return Row(people, cost, many, fares(many))
        many *= 2
    while few < many:
        middle = (few + many) // 2
        few, many = (few, middle) if fares(middle).enough else (middle + 1, many)
    return Row(people, cost, many, fares(many))


def measured(networks: Sequence[str]) -> Iterator[Cost]:
    """Yield what batches with gradients cost on this machine."""
    engine = Engine()
    try:
        for name in networks:
            card = models.card(name)
            x = torch.rand(12, card.channels, card.size, card.size)
            one, many = (_seconds(partial(engine.evaluate, name, x[:rows], _sum)) for rows in (1, 12))
            yield Cost.through(
                name, one, 12, many, f"{engine.device}, {torch.get_num_threads()} threads, now"
            )
    finally:
        engine.close()


def _sum(logits: torch.Tensor) -> torch.Tensor:
    return logits.logsumexp(1)


def _seconds(ask: Callable[[], object]) -> float:
    """Return the median of some times that asking takes, after two that warm up."""
    taken = []
    for _ in range(9):
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return sorted(taken[2:])[3]


def keeping(address: str, network: str, image: str, steps: int) -> str:
    """Return in a sentence what it costs to keep a finished run in an empty database: seconds and bytes."""
    engine, database = Engine(), Database(address)
    try:
        run = engine.submit(Recipe(network, image, "bim", {"steps": steps}, stop=Stop("steps")))
        list(engine.follow(run))
        changes = Recording(run, "bench", time.time(), pictures=True).changes(time.time())
        assert changes is not None  # the run is over and nothing of it is written
        began, size = time.perf_counter(), int(str(changes.row["bytes"]))
        with database.writing() as connection:  # one transaction for all that is new, as in `History`
            for number in range(WRITTEN):
                key = f"bench-{number}"
                queries.write(connection, key, replace(changes, row={**changes.row, "id": key}), False)
        took = (time.perf_counter() - began) / WRITTEN
        with database.writing(queries.UPLOADS) as connection:
            queries.remove(connection, [f"bench-{number}" for number in range(WRITTEN)])
    finally:
        engine.close()
        database.close()
    return f"A run of {steps} steps on {network}: {size / 1e6:.2f} MB, {1000 * took:.1f} ms to write."


def _quantile(values: Sequence[float], part: float) -> float:
    """Return which of sorted values so large a part is below, 0 where there are none."""
    return values[min(int(part * len(values)), len(values) - 1)] if values else 0.0


def table(rows: Sequence[Row]) -> str:
    """Return the table as Markdown."""
    lines = [HEAD, ("---:", "---", "---", *["---:"] * 5), *(row.cells for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main(arguments: list[str] | None = None) -> int:
    """Simulate what was asked for, and print the table."""
    grammar = argparse.ArgumentParser(prog="python -m app bench scale", description=__doc__)
    grammar.add_argument("--people", type=int, nargs="+", default=list(PEOPLE))
    grammar.add_argument("--think", type=float, default=Habit.think, help="mean seconds between two runs")
    grammar.add_argument("--steps", type=float, default=Habit.steps, help="mean steps of a run")
    grammar.add_argument("--minutes", type=float, default=MINUTES, help="simulated time")
    grammar.add_argument("--seed", type=int, default=0)
    grammar.add_argument("--measure", action="store_true", help="time batches on this machine first")
    grammar.add_argument("--database", default="", help="an empty database, to time the keeping of runs")
    options = grammar.parse_args(sys.argv[1:] if arguments is None else arguments)
    costs = list(measured([cost.network for cost in COSTS])) if options.measure else COSTS
    habit = Habit(options.think, options.steps)
    rows = [
        least(people, cost, habit, options.seed, options.minutes)
        for cost in costs
        for people in options.people
    ]
    print(table(rows))
    if options.database:
        for network, image in KEPT.items():
            print(keeping(options.database, network, image, round(options.steps)))
    return 0
