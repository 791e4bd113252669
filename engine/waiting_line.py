"""Who begins next, and when: the runs that wait for a place on the device, in order. No torch, no threads.

Short runs, whose whole price is at most `SHORT` seconds of the device, do not take their turn with the
others: `SHORTS` of them have places of their own, so they begin at once, whatever the others wait for.

A run's order is the time at which it came, set back by two things: by what its person's runs used of the
device in the last minutes, and by what it costs itself. So who has used least goes first, short runs go
before long ones, and as both have a limit, nobody is overtaken by who comes `LATEST_OVERTAKING` seconds
later. The order of two runs never changes.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from engine.forecast import Forecast, Future, Pace, Share, full_round, most
from engine.habits import Habits, Ratio
from engine.prices import Costs, Work
from engine.scheduler import BATCH

USED, MOST_USED = 8.0, 40.0
"""Seconds by which a run is set back whose person has used as much as others on average, and at most."""
LONG, MOST_LONG = 4.0, 20.0
"""Seconds by which a run of average cost is set back, and at most."""
LATEST_OVERTAKING = MOST_USED + MOST_LONG
SHORT, SHORTS = 0.3, BATCH
"""A run of so few seconds on the device is short, and so many of them are active beside the others."""
MINUTES = 5 * 60.0
"""For so many seconds what a person used counts."""
MEMORY = 30
"""About so many runs count in a mean."""
CHANGE, RETURN = 20.0, 30.0
"""Seconds over which the device's pace is taken, and in which it returns to what it usually is."""
USUAL, DOUBT, LONG_TIME = 0.8, 120.0, 10 * 60.0
"""The share of its time that the device works while people wait, until it is known better: pages and sockets
have the rest. After how many seconds what was seen counts as much, and over how many it is taken."""


@dataclass
class Ticket:
    """A run in the line. ``kind``: runs alike in how early they stop; ``done``: queries that it has asked,
    ``before``: when it came; ``order``: by which it waits; ``setback``: seconds by which that is later than
    it came; ``begins``: when it is expected to; ``cost``: the device's seconds that were counted as its
    person's; ``short``: it does not take its turn with those that are not."""

    key: str
    person: str
    work: Work
    kind: str
    before: int = 0
    done: int = 0
    order: float = 0.0
    setback: float = 0.0
    begins: float = math.inf
    cost: float = 0.0
    short: bool = False


class Usage:
    """What each person's runs used of the device in the last `MINUTES`, in seconds."""

    def __init__(self) -> None:
        self._events: deque[tuple[float, str, float]] = deque()
        self._used: dict[str, float] = {}
        self._count: dict[str, int] = {}

    def add(self, person: str, seconds: float, now: float) -> None:
        """Count ``seconds`` as the person's, negative ones where too many were counted."""
        self._events.append((now, person, seconds))
        self._used[person] = self._used.get(person, 0.0) + seconds
        self._count[person] = self._count.get(person, 0) + 1

    def relative(self, person: str, now: float) -> float:
        """Return what a person used, 1 for the mean of those who used any."""
        while self._events and self._events[0][0] < now - MINUTES:
            _, other, seconds = self._events.popleft()
            self._used[other] -= seconds
            self._count[other] -= 1
            if not self._count[other]:
                del self._count[other], self._used[other]
        total = sum(self._used.values())
        return max(self._used.get(person, 0.0), 0.0) * len(self._used) / total if total > 1e-9 else 0.0


class WaitingLine:
    """Runs that wait and runs that are active, by key. ``limit``: runs active at once, short ones not
    counted; those of one model never take the last quarter of the places, nor of those for short runs, so
    that those of another need not wait for them to end.

    ``now``, everywhere, is in seconds from any start.
    """

    def __init__(self, limit: int, costs: Costs) -> None:
        self._limit, self._costs = limit, costs
        self._waiting: dict[str, Ticket] = {}
        self._active: dict[str, Ticket] = {}
        self._usage, self._habits = Usage(), Habits[Ticket]()
        self._pace = Ratio(USUAL * CHANGE / 4, CHANGE / 4, CHANGE)  # seconds of work in those that passed
        self._usual = Ratio(USUAL * DOUBT, DOUBT, LONG_TIME)
        self._kinds: dict[str, tuple[float, int]] = {}
        self._recent: deque[Ticket] = deque(maxlen=MEMORY)
        self._looked, self._worked, self._crowded = 0.0, 0.0, False
        self._asleep: Collection[str] = ()
        self._still: Collection[str] = ()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def enter(self, key: str, person: str, work: Work, kind: str, now: float, done: int = 0) -> None:
        """Let a run wait from ``now`` on; ``done``: queries that it asked before."""
        ticket = Ticket(key, person, work, kind, done, done)
        ticket.cost = self._costs_still(ticket)
        ticket.short = (work.queries - done) * self._a_query(work) <= SHORT
        self._recent.append(replace(ticket))
        mean = fmean(self._costs_still(other) for other in self._recent)  # by what is known of prices now
        ticket.setback = min(USED * self._usage.relative(person, now), MOST_USED)
        ticket.setback += min(LONG * ticket.cost / mean, MOST_LONG) if mean else 0.0
        ticket.order = now + ticket.setback
        self._usage.add(person, ticket.cost, now)
        self._waiting[key] = ticket
        self._habits.came(person, replace(ticket), now)

    def leave(self, key: str, done: int, now: float, finished: bool = False) -> None:
        """Take a run out, whether it waits or is active, after ``done`` queries; ``finished``: it came to its
        own end. An unknown run changes nothing."""
        ticket = self._waiting.pop(key, None) or self._active.get(key)
        if ticket is None:
            return
        if key in self._active:
            self._progress(ticket, done, self._a_turn(ticket.work.model))
            del self._active[key]
        spent = (ticket.done - ticket.before) * self._a_query(ticket.work)
        self._usage.add(ticket.person, spent - ticket.cost, now)
        if all(other.person != ticket.person for other in self._tickets()):
            self._habits.ended(ticket.person, ticket.work.model, now)
        if finished:
            share = min(done / ticket.work.queries, 1.0)
            self._kinds[ticket.kind] = _learnt(self._kinds.get(ticket.kind, (0.0, 0)), share)

    def admit(self) -> str | None:
        """Let the next run begin and return its key, None where nobody waits that may begin."""
        if not self._waiting:
            return None
        active = Counter((ticket.short, ticket.work.model) for ticket in self._active.values())
        full = {kind for kind, count in active.items() if count >= most(self._slots(kind[0]))}
        free = {short for short in (True, False) if _count(active, short) < self._slots(short)}
        may = [
            ticket
            for key, ticket in self._waiting.items()
            if key not in self._asleep
            and ticket.short in free
            and (ticket.short, ticket.work.model) not in full
        ]
        return self.begin(min(may, key=lambda ticket: ticket.order).key) if may else None

    def begin(self, key: str) -> str:
        """Let a run that waits begin, whether it is its turn or not, and return its key."""
        self._active[key] = self._waiting.pop(key)
        return key

    def look(
        self,
        done: Mapping[str, int],
        now: float,
        still: Collection[str] = (),
        asleep: Collection[str] = (),
    ) -> None:
        """Take in how things stand. ``done``: queries that active runs have asked; ``still``: those active
        runs that are paused; ``asleep``: waiting runs to be passed over, as nobody watches them."""
        shares = dict[str, float]()
        for key, count in done.items():
            if key in self._active:
                model = self._active[key].work.model
                shares[model] = shares.get(model) or self._a_turn(model)
                self._progress(self._active[key], count, shares[model])
        self._habits.look(now)
        if self._crowded:
            for pace in (self._pace, self._usual):
                pace.add(self._worked, now - self._looked, now - self._looked)
        self._looked, self._worked, self._crowded = now, 0.0, bool(self._waiting)
        self._still, self._asleep = frozenset(still), frozenset(asleep)

    def position(self, key: str) -> tuple[int, int] | None:
        """Return where a run that waits and is not asleep stands in the `order`, and how many wait."""
        order = self.order()
        return (order.index(key) + 1, len(order)) if key in order else None

    def order(self) -> list[str]:
        """Return those that wait and are not asleep, the next first.

        Once `waits` has said when runs begin, they stand in that order: one that may take a place that is not
        for the model of those before it begins before them.
        """
        return [ticket.key for ticket in self._awake()]

    def _awake(self) -> list[Ticket]:
        waiting = [ticket for ticket in self._waiting.values() if ticket.key not in self._asleep]
        return sorted(waiting, key=lambda ticket: (ticket.begins, ticket.order))

    def waits(self, now: float) -> dict[str, float]:
        """Return in how many seconds each run that waits and is not asleep begins, as far as can be told."""
        waiting = self._awake()
        if not waiting:
            return {}
        still = Counter(self._active[key].short for key in self._still if key in self._active)
        active = [self._share(t) for t in self._active.values() if t.key not in self._still]
        futures = [Future(self._share(ticket), ticket.order, key=ticket.key) for ticket in waiting]
        limit, shorts = (max(self._slots(short) - still[short], 1) for short in (False, True))
        pace, usual = (min(max(one.value, 0.05), 2.0) for one in (self._pace, self._usual))
        lasting = Pace(pace, usual, RETURN)
        forecast = Forecast(self._costs.seconds, self._costs.batch, limit, shorts, lasting)
        guess = self._habits.guess(now)

        def again(share: Share, ends: float) -> Future | None:
            return next((self._future(t, now, ends + pause) for pause, t in guess.again(share.model)), None)

        expected = [self._future(ticket, now, comes) for comes, ticket in guess.expected()]
        waits = forecast.waits(active, futures, expected, again)
        for ticket in waiting:
            ticket.begins = now + waits[ticket.key]
        return waits

    def _slots(self, short: bool) -> int:
        """Return how many short runs, or others, may be active at once."""
        return SHORTS if short else self._limit

    def _tickets(self) -> Iterator[Ticket]:
        """Yield those that wait and those that are active."""
        yield from self._waiting.values()
        yield from self._active.values()

    def _future(self, ticket: Ticket, now: float, comes: float) -> Future:
        """Return a run like that of ``ticket`` that is expected to come in ``comes`` seconds."""
        return Future(self._share(ticket), now + comes + ticket.setback, comes)

    def _share(self, ticket: Ticket) -> Share:
        work = ticket.work
        return Share(work.model, self._left(ticket), work.all_rows, work.gradients, ticket.short)

    def _left(self, ticket: Ticket) -> float:
        """Return how many queries a run is expected to ask still."""
        mean, count = self._kinds.get(ticket.kind, (1.0, 0))
        share = mean if count else 1.0
        left = max(ticket.work.queries - ticket.done, 0)
        return max(share * ticket.work.queries - ticket.done, share * left / 2)

    def _costs_still(self, ticket: Ticket) -> float:
        return self._left(ticket) * self._a_query(ticket.work)

    def _a_query(self, work: Work) -> float:
        return self._costs.a_query(work)

    def _progress(self, ticket: Ticket, done: int, seconds: float) -> None:
        """Note the queries of an active run, each of which took the device so many ``seconds``."""
        self._worked += (done - ticket.done) * seconds
        ticket.done = done

    def _a_turn(self, model: str) -> float:
        """Return the device's seconds for a query of a run of ``model`` beside those that are active."""
        together = [other.work for other in self._active.values() if other.work.model == model]
        rows, gradients = sum(work.all_rows for work in together), any(work.gradients for work in together)
        return full_round(self._costs.seconds, self._costs.batch, model, rows, gradients) / len(together)


def _count(active: Mapping[tuple[bool, str], int], short: bool) -> int:
    """Return how many of the active runs, by whether they are short and by model, are short, or are not."""
    return sum(count for (kind, _), count in active.items() if kind == short)


def _learnt(known: tuple[float, int], value: float) -> tuple[float, int]:
    """Return a mean and how many values it is of, after one more; the latest `MEMORY` count most."""
    mean, count = known
    return mean + (value - mean) / min(count + 1, MEMORY), count + 1
