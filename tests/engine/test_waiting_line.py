"""The order of those who wait, and how true the wait is that they are told: a crowd in a simulation."""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.forecast import most
from engine.prices import Costs, Work
from engine.scheduler import Scheduler
from engine.waiting_line import LATEST_OVERTAKING, SHORT, SHORTS, USUAL, WaitingLine

STEPS = 40
SLOWER = 10


def work(model: str = "digits") -> Work:
    return Work(model, STEPS)


def batch_seconds(model: str, rows: float, slower: float = SLOWER) -> float:
    return (0.001 + 0.0006 * rows) * (slower if model == "photos" else 1)


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
    place: int = 0
    """Where it stood then, as it was told."""
    beside: frozenset[str] = frozenset()
    """Who waited then."""
    ended: float | None = None


@dataclass
class Crowd:
    """People who press Run, watch, think for a while and press it again, on one simulated device.

    ``taken``: the share of time that the device spends on others; ``rush``: how much more at first, which
    fades; ``stops``: runs stop early, at random.
    """

    people: int = 300
    limit: int = 16
    think: float = 30.0
    stops: bool = True
    taken: float = 0.0
    rush: float = 0.0
    slower: float = SLOWER
    models: tuple[str, ...] = ("digits", "photos")
    faithful: bool = False
    """Everybody stays with one model, instead of taking them in turn."""
    joining: float | None = None
    """Seconds in which everybody comes, by default ``think``."""
    deck: tuple[int, ...] = ()
    """Everybody runs each model with each of these numbers of steps, in an order of their own, and thinks for
    seconds that are drawn exponentially."""
    seed: int = 0
    now: float = 0.0
    runs: list[Pending] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.costs = Costs(lambda model: 1e6)
        self.line, self.scheduler = WaitingLine(self.limit, self.costs), Scheduler()
        self.active: dict[str, Pending] = {}
        joining = self.think if self.joining is None else self.joining
        self.presses = [(self.dice.uniform(0, joining), person) for person in range(self.people)]
        self.decks: dict[int, list[tuple[str, int]]] = defaultdict(list)
        heapq.heapify(self.presses)
        self.looked, self.pressed = 0.0, Counter[int]()

    def press(self, person: int) -> None:
        self.pressed[person] += 1
        turn = person if self.faithful else person + self.pressed[person]
        model = self.models[turn % len(self.models)]
        declared = STEPS
        if self.deck:
            model, declared = self.draw(person)
        steps = self.dice.randint(10, declared) if self.stops else declared
        key = str(len(self.runs))
        self.runs.append(Pending(person, model, steps, self.now))
        self.line.enter(key, str(person), Work(model, declared), model, self.now)

    def draw(self, person: int) -> tuple[str, int]:
        """Return what somebody runs next: the uppermost card of a shuffled deck."""
        if not self.decks[person]:
            self.decks[person] = [(model, steps) for model in self.models for steps in self.deck]
            self.dice.shuffle(self.decks[person])
        return self.decks[person].pop()

    def look(self) -> None:
        self.looked = self.now
        self.line.look({key: run.done for key, run in self.active.items()}, self.now)
        waits, order = self.line.waits(self.now), self.line.order()
        for position, key in enumerate(order, 1):
            run = self.runs[int(key)]
            if run.promised is None:
                run.promised = self.now + waits[key]
                run.place, run.beside = position, frozenset(order)

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
        seconds = batch_seconds(model, len(batch), self.slower) * self.dice.uniform(0.8, 1.2)
        self.now += seconds / (1 - self.taken - self.rush * math.exp(-self.now / 40))
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
            drawn = self.dice.expovariate(1 / self.think)
            pause = self.now + (drawn if self.deck else self.dice.uniform(self.think / 2, 2 * self.think))
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


def late(crowd: Crowd) -> list[Pending]:
    """Return the runs that came once the crowd had filled the queue."""
    return [run for run in crowd.runs if run.came > 90]


def truth(runs: list[Pending]) -> float:
    """Return the share of waits, of those above two seconds, that were true within a fifth."""
    told = [
        (run.promised - run.came, run.began - run.came)
        for run in runs
        if run.promised is not None and run.began is not None and run.began - run.came > 2
    ]
    assert len(told) > 200
    return fmean(abs(said - was) <= 0.2 * was for said, was in told)


def true_places(crowd: Crowd) -> float:
    """Return the share of places that were true within a fifth, or one: so many of those that waited then
    began until it did."""
    told = []
    for run in crowd.runs:
        if run.place and run.began is not None:
            before = [crowd.runs[int(key)].began for key in run.beside]
            told.append((run.place, sum(began is not None and began <= run.began for began in before)))
    assert len(told) > 200
    return fmean(abs(said - was) <= max(0.2 * was, 1) for said, was in told)


def step_waits(runs: list[Pending], number: int = 4) -> list[float]:
    """Return each person's mean seconds a step, from the press of Run to the end, the quickest first."""
    seconds: dict[int, float] = defaultdict(float)
    steps, count = Counter[int](), Counter[int]()
    for run in runs:
        if run.ended is not None and count[run.person] < number:
            count[run.person] += 1
            seconds[run.person] += run.ended - run.came
            steps[run.person] += run.done
    return sorted(seconds[person] / steps[person] for person in steps if count[person] == number)


def unfairness(waits: list[float]) -> float:
    """Return by how much the slowest quarter waits longer than the quickest."""
    quarter = len(waits) // 4
    return fmean(waits[-quarter:]) / fmean(waits[:quarter])


@pytest.fixture(scope="module")
def in_turn() -> Crowd:
    """Return a crowd of which everybody takes the networks in turn, and every run all of its steps."""
    return Crowd(stops=False, taken=0.2, seed=1).go(300)


@pytest.fixture(scope="module")
def faithful() -> Crowd:
    """Return a crowd of which everybody stays with one network."""
    return Crowd(faithful=True, stops=False, think=15.0, seed=2).go(250)


def test_nine_of_ten_of_three_hundred_are_told_a_wait_that_is_true_within_a_fifth(in_turn, faithful):
    assert truth(late(in_turn)) >= 0.9 and truth(late(faithful)) >= 0.9


def test_a_place_is_true_where_the_quick_network_does_not_wait_for_the_slow_one(in_turn):
    """A run may stand far behind in the order and begin soon, in a place that is not for the slow network."""
    assert true_places(in_turn) >= 0.95
    coming_in = Crowd(slower=26, deck=(10, 20, 40), think=6.0, joining=10.0, stops=False, taken=0.25).go(200)
    assert true_places(coming_in) >= 0.95


def test_the_wait_is_true_where_runs_stop_early_at_random():
    assert truth(late(Crowd(think=15.0).go(250))) >= 0.9


def test_the_wait_is_true_while_a_class_comes_in_and_people_run_what_they_like():
    """Nobody has run anything yet, the queue grows, and the quick network has less and less to do."""
    crowd = Crowd(
        people=200, slower=60, deck=(10, 20, 40), think=6.0, joining=10.0, stops=False, taken=0.2
    ).go(30)
    crowd.think = 0.0
    crowd.go(900)
    assert truth(crowd.runs) >= 0.8


def test_the_wait_is_true_where_coming_in_keeps_the_device_from_its_work():
    """What slows runs down while a class comes in does not last."""
    crowd = Crowd(
        slower=26, deck=(10, 20, 40), think=6.0, joining=10.0, stops=False, taken=0.25, rush=0.35
    ).go(300)
    assert truth([run for run in crowd.runs if 10 < run.came < 90]) >= 0.8


def test_who_runs_all_kinds_of_runs_waits_as_long_for_a_step_as_anybody_else():
    crowd = Crowd(people=60, slower=60, deck=(10, 20, 40), think=6.0, joining=10.0, stops=False).go(600)
    waits = step_waits(crowd.runs, 6)
    assert len(waits) > 50 and unfairness(waits) <= 1.5


def test_three_hundred_who_press_run_at_once_are_told_the_truth():
    crowd = Crowd(think=0.0, stops=False, models=("photos",))
    crowd.presses = [(0.0, person) for person in range(300)]
    crowd.press(0)
    crowd.costs.observe("photos", 1, True, batch_seconds("photos", 1))
    crowd.costs.observe("photos", 12, True, batch_seconds("photos", 12))
    crowd.go(1000)
    assert all(run.ended is not None for run in crowd.runs)
    assert truth(crowd.runs) >= 0.9


def test_who_asks_for_the_same_waits_as_long(in_turn):
    """One run on each network: a step's wait of the slowest quarter of the people, from the press on."""
    waits = step_waits(late(in_turn), 2)
    assert len(waits) > 150 and unfairness(waits) <= 1.5


def test_who_stays_with_the_slow_network_waits_as_its_others_do_and_the_quick_one_not_for_it(faithful):
    slow, quick = (
        [run for run in late(faithful) if run.model == model and run.began is not None]
        for model in ("photos", "digits")
    )
    waits = step_waits(slow, 1)
    assert len(waits) > 80 and unfairness(waits) <= 1.5
    waited = [fmean((run.began or run.came) - run.came for run in runs) for runs in (quick, slow)]
    assert waited[0] < 0.1 * waited[1]


# ---- the order ----------------------------------------------------------------------------------


def line(limit: int = 2) -> WaitingLine:
    costs = Costs(lambda model: 1e7)
    for _ in range(2):
        costs.observe("digits", 1, True, 0.01)
        costs.observe("photos", 1, True, 0.1)
    return WaitingLine(limit, costs)


def begun(waiting: WaitingLine) -> list[str]:
    keys = []
    while key := waiting.admit():
        keys.append(key)
    return keys


def test_first_come_first_served_among_equals():
    waiting = line(limit=1)
    for index in range(5):
        waiting.enter(str(index), str(index), work(), "", now=index / 100)
    order = []
    while key := waiting.admit():
        order.append(key)
        waiting.leave(key, STEPS, 1.0, finished=True)
    assert order == ["0", "1", "2", "3", "4"]


def test_who_used_more_waits_longer_and_is_forgiven_after_some_minutes():
    for later, first in [(1.0, "new"), (400.0, "old")]:
        waiting = line(limit=1)
        waiting.enter("a", "greedy", work(), "", 0.0)
        assert begun(waiting) == ["a"]
        waiting.leave("a", STEPS, 0.5, finished=True)
        waiting.enter("held", "other", work(), "", 0.6)
        assert begun(waiting) == ["held"]
        waiting.enter("old", "greedy", work(), "", later)
        waiting.enter("new", "modest", work(), "", later + 0.1)
        waiting.leave("held", 1, later + 0.2)
        assert begun(waiting) == [first]


def test_short_goes_before_long_but_not_for_ever():
    waiting = line(limit=1)
    waiting.enter("held", "x", work(), "", 0.0)
    begun(waiting)
    waiting.enter("long", "a", Work("digits", 100 * STEPS), "", 1.0)
    waiting.enter("short", "b", work(), "", 2.0)
    waiting.enter("late", "c", work(), "", 1.1 + LATEST_OVERTAKING)
    assert [waiting.position(key) for key in ("short", "long", "late")] == [(1, 3), (2, 3), (3, 3)]


@given(
    st.lists(
        st.tuples(
            st.floats(0, 300), st.integers(0, 5), st.sampled_from(["digits", "photos"]), st.integers(1, 4000)
        ),
        min_size=2,
        max_size=30,
    )
)
def test_nobody_is_overtaken_by_who_comes_much_later(arrivals):
    waiting = line(limit=1)
    for index, (now, person, model, steps) in enumerate(sorted(arrivals)):
        waiting.enter(str(index), str(person), Work(model, steps), "", now)
    came = {str(index): now for index, (now, *_) in enumerate(sorted(arrivals))}
    order = sorted(came, key=lambda key: waiting.position(key) or (0, 0))
    for place, key in enumerate(order):
        assert all(came[key] - came[other] <= LATEST_OVERTAKING + 1e-6 for other in order[place:])


def test_the_last_quarter_of_the_places_is_for_another_model():
    waiting = line(limit=4)
    for index in range(6):
        waiting.enter(f"p{index}", f"p{index}", work("photos"), "", 0.0)
    assert begun(waiting) == ["p0", "p1", "p2"]
    waiting.enter("d", "d", work(), "", 50.0)
    assert begun(waiting) == ["d"] and len(waiting) == 3


def test_short_runs_have_places_of_their_own():
    """They begin while all other places are taken, so many of them at once, the last quarter for another
    network."""
    waiting = line(limit=2)
    for index in range(3):
        waiting.enter(f"long {index}", f"long {index}", work("photos"), "", 0.0)
    assert begun(waiting) == ["long 0", "long 1"]
    short, last = Work("digits", int(SHORT / 0.01)), f"short {most(SHORTS)}"
    for index in range(SHORTS):
        waiting.enter(f"short {index}", f"short {index}", short, "", 1.0)
    assert begun(waiting) == [f"short {index}" for index in range(most(SHORTS))]
    waiting.enter("other", "other", Work("photos", 2), "", 1.5)
    assert begun(waiting) == ["other"]
    assert {last, "long 2"} <= waiting.waits(1.5).keys()
    waiting.leave("short 0", short.queries, 2.0, finished=True)
    assert begun(waiting) == [last]


def test_who_is_asleep_is_passed_over_and_counts_for_nobody():
    waiting = line(limit=1)
    for index, key in enumerate("abc"):
        waiting.enter(key, key, work(), "", index / 100)
    waiting.look({}, 1.0, asleep=["a"])
    assert waiting.position("a") is None and waiting.position("b") == (1, 2)
    assert waiting.waits(1.0).keys() == {"b", "c"} and begun(waiting) == ["b"]


def test_runs_that_stop_early_are_expected_to():
    waiting = line(limit=1)
    for index in range(20):
        waiting.enter(str(index), str(index), work(), "early", 0.0)
        assert begun(waiting) == [str(index)]
        waiting.leave(str(index), STEPS // 4, 0.1, finished=True)
    waiting.enter("now", "x", work(), "early", 0.1)
    begun(waiting)
    waiting.enter("next", "y", work(), "early", 0.1)
    assert waiting.waits(0.1)["next"] == pytest.approx(0.01 * STEPS / 4 / USUAL, rel=0.05)
