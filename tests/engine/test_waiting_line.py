"""The order of those who wait, and how true the wait is that they are told: a crowd in a simulation."""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from statistics import fmean

from engine.prices import Costs, Work
from engine.scheduler import Scheduler
from engine.waiting_line import WaitingLine

STEPS = 40
SLOWER = 10


def work(model: str = "digits") -> Work:
    return Work(model, STEPS)


def batch_seconds(model: str, rows: float) -> float:
    return (0.002 + 0.002 * rows) * (SLOWER if model == "photos" else 1)


@dataclass
class Pending:
    """A run of the simulation."""

    person: int
    model: str
    ends_at: int
    came: float
    done: int = 0
    began: float | None = None
    promised: float | None = None
    """When it was to begin, as it was told first."""
    ended: float | None = None


@dataclass
class Crowd:
    """People who press Run, watch, think for a while and press it again, on one simulated device.

    ``taken``: the share of time that the device spends on others; ``stops``: runs stop early, at random.
    """

    people: int = 300
    limit: int = 16
    think: float = 30.0
    stops: bool = True
    taken: float = 0.0
    models: tuple[str, ...] = ("digits", "photos")
    faithful: bool = False
    """Everybody stays with one model."""
    random: bool = False
    seed: int = 0
    now: float = 0.0
    runs: list[Pending] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.costs = Costs(lambda model: 1e6)
        self.line, self.scheduler = WaitingLine(self.limit, self.costs), Scheduler()
        self.active: dict[str, Pending] = {}
        self.presses = [(self.dice.uniform(0, self.think), person) for person in range(self.people)]
        heapq.heapify(self.presses)
        self.looked, self.pressed = 0.0, Counter[int]()

    def press(self, person: int) -> None:
        self.pressed[person] += 1
        turn = person if self.faithful else person + self.pressed[person]
        model = self.dice.choice(self.models) if self.random else self.models[turn % len(self.models)]
        steps = self.dice.randint(10, STEPS) if self.stops else STEPS
        key = str(len(self.runs))
        self.runs.append(Pending(person, model, steps, self.now))
        self.line.enter(key, str(person), work(model), model, self.now)

    def look(self) -> None:
        self.looked = self.now
        self.line.look({key: run.done for key, run in self.active.items()}, self.now)
        for key, place in self.line.places(self.now).items():
            run = self.runs[int(key)]
            if run.promised is None:
                run.promised = self.now + place.wait_seconds

    def admit(self) -> None:
        while key := self.line.admit():
            run = self.runs[int(key)]
            run.began, self.active[key] = self.now, run
            self.scheduler.add(key, run.model)

    def tick(self) -> None:
        batch = self.scheduler.tick()
        if not batch:
            self.now = max(self.now, self.presses[0][0]) if self.presses else self.now
            return
        model = self.active[batch[0]].model
        seconds = batch_seconds(model, len(batch)) * self.dice.uniform(0.8, 1.2)
        self.now += seconds / (1 - self.taken)
        self.scheduler.spent(model, seconds)
        self.costs.observe(model, len(batch), True, seconds)
        for key in batch:
            self.step(key, self.active[key])

    def step(self, key: str, run: Pending) -> None:
        run.done += 1
        if run.done < run.ends_at:
            return
        run.ended = self.now
        del self.active[key]
        self.scheduler.remove(key)
        self.line.leave(key, run.done, self.now, finished=True)
        if self.think:
            pause = self.now + self.dice.uniform(self.think / 2, 2 * self.think)
            heapq.heappush(self.presses, (pause, run.person))

    def go(self, seconds: float) -> Crowd:
        while self.now < seconds and (self.presses or self.active or len(self.line)):
            while self.presses and self.presses[0][0] <= self.now:
                self.press(heapq.heappop(self.presses)[1])
            self.admit()
            if self.now - self.looked >= 5:
                self.look()
            self.tick()
        return self


def truth(runs: list[Pending]) -> float:
    """Return the share of waits, of those above two seconds, that were true within a fifth."""
    told = [
        (run.promised - run.came, run.began - run.came)
        for run in runs
        if run.promised is not None and run.began is not None and run.began - run.came > 2
    ]
    assert len(told) > 20
    return fmean(abs(said - was) <= 0.2 * was for said, was in told)


def step_waits(runs: list[Pending], number: int = 4) -> list[float]:
    """Return each person's mean seconds a step, from the press of Run to the end, the quickest first."""
    seconds, steps, count = defaultdict(float), Counter[int](), Counter[int]()
    for run in runs:
        if run.ended is not None and count[run.person] < number:
            count[run.person] += 1
            seconds[run.person] += run.ended - run.came
            steps[run.person] += run.done
    return sorted(seconds[person] / steps[person] for person in steps if count[person] == number)


def unfairness(waits: list[float]) -> float:
    quarter = max(len(waits) // 4, 1)
    if not waits:
        return 0
    return fmean(waits[-quarter:]) / fmean(waits[:quarter])


if __name__ == "__main__":
    import time

    for kw in [
        dict(stops=False),
        dict(stops=False, taken=0.3),
        dict(stops=False, faithful=True),
        dict(stops=False, think=60.0),
    ]:
        b = time.time()
        c = Crowd(**kw).go(700)
        late = [r for r in c.runs if r.came > 120]
        ws = [r.began - r.came for r in late if r.began]
        print(
            kw,
            len(c.runs),
            "wait",
            round(fmean(ws), 1),
            "truth",
            truth(late) if fmean(ws) > 2 else None,
            "unfair",
            round(unfairness(step_waits(late)), 2),
            [
                (
                    round(unfairness(step_waits([r for r in late if r.model == m], n)), 2),
                    len(step_waits([r for r in late if r.model == m], n)),
                )
                for n in (2, 3)
                for m in ("digits", "photos")
            ],
            c.line._pace.value,
            round(time.time() - b, 1),
        )
        errs = sorted(
            (r.promised - r.came) / (r.began - r.came)
            for r in late
            if r.began and r.promised and r.began - r.came > 2
        )
        if errs:
            print("   ratio 5% 50% 95%", [round(errs[int(len(errs) * q)], 2) for q in (0.05, 0.5, 0.95)])
        for m in ("digits", "photos"):
            e = sorted(
                (r.promised - r.came) / (r.began - r.came)
                for r in late
                if r.began and r.promised and r.began - r.came > 2 and r.model == m
            )
            if e:
                print(
                    "    ",
                    m,
                    round(fmean([r.began - r.came for r in late if r.began and r.model == m]), 1),
                    [round(e[int(len(e) * q)], 2) for q in (0.05, 0.5, 0.95)],
                )
