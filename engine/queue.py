"""The queue of runs: so many are active at once, the others wait in a fair order (`engine.waiting_line`).

    run = engine.enqueue(recipe, person, allowance=20.0)  # waits, and begins by itself
    engine.place(run.id)                                  # Place(position=7, total=40, wait_seconds=25.1)

A run that waits is a run like any other, with the status "waiting". One that pauses for `PAUSED_AT_MOST`
seconds, or because nobody watches it, gives its place up, and waits again when it is to go on. Runs that are
submitted without the queue begin at once, and share the device with these.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import settings
from engine.jobs import Build, StepsLeft, words
from engine.loop import CLOSED
from engine.metrics import Metrics
from engine.places import Place
from engine.prices import Costs, Price, Work, work_of
from engine.recipe import Recipe
from engine.run import Run
from engine.waiting_line import WaitingLine
from errors import EngineClosed, OverAllowance, TooManyRuns

log = logging.getLogger("foolscope")
PAUSED_AT_MOST = 30.0
"""Seconds for which a paused run keeps its place."""
UNWATCHED_AFTER = 60.0
"""Seconds after which a waiting run that nobody reads is passed over, until somebody reads it."""
BETWEEN_LOOKS = 1.0
"""Seconds between two looks at those who wait, at least; while nothing happens, exactly."""
BETWEEN_PLACES = 0.1
"""Seconds between two renewals of the places of those who wait, at least; a forecast of the waits takes more
time and comes less often."""
SPARE = 50
"""Of the time between two forecasts one takes at most one part in so many."""
TOO_DEAR = (
    "Expected a run of at most {allowance} s of the server's time, got one of about {price} s; "
    "take fewer steps, fewer samples or a smaller network."
)
TOO_MANY = "Expected at most {count} runs of yours at the same time; wait until one ends, or stop one."


class Host(Protocol):
    """What the queue needs of the engine."""

    def prepare(self, recipe: Recipe) -> tuple[Run, Build]:
        """Return a new run that has not begun."""

    def time(self, recipe: Recipe) -> None:
        """Time what a recipe asks of its network."""

    def begin(self, run: Run, build: Build, steps: StepsLeft) -> None:
        """Let a prepared run begin."""

    def go_on(self, run: Run, steps: StepsLeft) -> None:
        """Let a paused run go on."""


@dataclass
class _Entry:
    """A run of the queue. ``state``: "waiting", "active", or "away" once it has given its place up;
    ``build``: makes its job, None once that exists; ``steps``: how far it may go when it begins; ``paused``:
    when it was first seen paused; ``since``: when it began to wait."""

    run: Run
    person: str
    work: Work
    build: Build | None
    state: str = "waiting"
    steps: StepsLeft = StepsLeft.ALL
    paused: float | None = None
    since: float = 0.0

    @property
    def kind(self) -> str:
        recipe = self.run.recipe
        return f"{recipe.model} {recipe.attack} {recipe.stop} {recipe.target is None}"


class RunQueue:
    """At most ``limit`` runs active at once, and ``per_person`` of one person active or waiting; by default
    `settings.active_runs` and `settings.runs_per_person`. One thread lets runs begin."""

    def __init__(
        self,
        host: Host,
        costs: Costs,
        limit: int | None = None,
        per_person: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self._host, self._costs, self._clock = host, costs, clock
        self._metrics = metrics or Metrics()
        self._per_person = settings.runs_per_person() if per_person is None else per_person
        self._line = WaitingLine(settings.active_runs() if limit is None else limit, costs)
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed, self._looked, self._placed = False, 0.0, 0.0
        self._forecast_at, self._forecast_due = 0.0, 0.0
        self._waits: dict[str, float] = {}

    def __len__(self) -> int:
        """Return how many runs wait."""
        return len(self._line)

    def price(self, recipe: Recipe) -> Price:
        """Return what a recipe costs; raises `errors.UnknownName` or `errors.BadSetting`."""
        return self._costs.price(work_of(recipe))

    def submit(
        self, recipe: Recipe, person: str, allowance: float | None = None, most: int | None = None
    ) -> Run:
        """Return a run that waits for its place, and begins by itself. ``allowance``: seconds of the device's
        time that it may cost at most; ``most``: in place of ``per_person``.

        Raises `errors.OverAllowance`, `errors.TooManyRuns`, and as `engine.engine.Engine.submit` does.
        """
        recipe.check()
        work = work_of(recipe)
        self._check_allowance(recipe, work, allowance)
        self._check_number(person, most)
        run, build = self._host.prepare(recipe)
        with self._lock:
            self._check_number(person, most)  # once more: preparing takes a while
            if self._closed:
                raise EngineClosed(CLOSED)
            entry = _Entry(run, person, work, build, since=self._clock())
            run.listen(self._wake.set)
            self._entries[run.id] = entry
            self._line.enter(run.id, person, work, entry.kind, self._clock())
            self._start_thread()
        self._wake.set()
        return run

    def place(self, key: str) -> Place | None:
        """Return the place of a run that waits, None for any other."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or self._line.position(key) is None:
                return None
            now = self._clock()
            if key not in self._waits or now >= self._forecast_due:
                self._forecast(now)
            if entry.run.place is None or now - self._placed >= BETWEEN_PLACES:
                self._place(now)
            standing, last = self._line.position(key), entry.run.place  # others may have come or gone since
            return Place(*standing, last.wait_seconds) if standing and last else None

    def pause(self, run: Run) -> bool:
        """Pause a run that waits, and say so; other runs are the engine's to pause."""
        with self._lock:
            entry = self._entries.get(run.id)
            if entry is None or entry.state != "waiting":
                return False
            self._give_up(entry)
        run.set_status("paused")
        return True

    def resume(self, run: Run, steps: StepsLeft) -> bool:
        """Let a run wait that is to go on and has no place, and say so; other runs are the engine's."""
        with self._lock:
            entry = self._entries.get(run.id)
            if entry is None or run.over or entry.state == "active":
                return False
            entry.steps = steps
            if entry.state == "away":
                self._line.enter(run.id, entry.person, entry.work, entry.kind, self._clock(), len(run))
                entry.state, entry.since = "waiting", self._clock()
        run.set_status("waiting")
        self._wake.set()
        return True

    def close(self) -> None:
        """Fail the runs that wait, and end the thread."""
        with self._lock:
            self._closed = True
            entries = list(self._entries.values())
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        for entry in entries:
            if entry.build is not None:
                entry.run.set_status("failed", "failed", CLOSED)

    def _check_allowance(self, recipe: Recipe, work: Work, allowance: float | None) -> None:
        price = self._costs.price(work)
        if allowance is not None and price.seconds > allowance and not price.measured:
            self._host.time(recipe)  # an estimate refuses nobody
            price = self._costs.price(work)
        if allowance is not None and price.seconds > allowance:
            raise OverAllowance(TOO_DEAR, allowance=f"{allowance:.3g}", price=f"{price.seconds:.3g}")

    def _check_number(self, person: str, most: int | None) -> None:
        most = self._per_person if most is None else most
        with self._lock:
            own = [entry for entry in self._entries.values() if entry.person == person]
            if sum(self._counts(entry) for entry in own) >= most:
                raise TooManyRuns(TOO_MANY, count=most)

    def _counts(self, entry: _Entry) -> bool:
        """Say whether a run takes one of its person's places: it is active, or waits and is watched."""
        waits = entry.state == "waiting" and not self._asleep(entry)
        return not entry.run.over and (waits or entry.state == "active")

    def _asleep(self, entry: _Entry) -> bool:
        return self._clock() - entry.run.read_at > UNWATCHED_AFTER

    def _start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="foolscope-queue", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while not self._closed:
            self._wake.wait(BETWEEN_LOOKS if self._entries else None)
            self._wake.clear()
            try:
                self._turn(self._clock())
            except Exception:
                log.exception("the queue goes on after an error")

    def _turn(self, now: float) -> None:
        """Take in what became of the runs, let begin who may, and now and then place the others."""
        with self._lock:
            for entry in list(self._entries.values()):
                self._settle(entry, now)
            if now - self._looked >= BETWEEN_LOOKS:
                self._look(now)
            begun = list[_Entry]()
            while key := self._line.admit():
                entry = self._entries[key]
                entry.state, entry.paused, entry.run.place = "active", None, None
                begun.append(entry)
                self._metrics.waited(now - entry.since)
            if now - self._placed >= BETWEEN_PLACES:
                self._place(now)
        for entry in begun:
            self._begin(entry)

    def _settle(self, entry: _Entry, now: float) -> None:
        """Free the place of a run that is over, or paused for too long."""
        run = entry.run
        if run.over:
            self._line.leave(run.id, len(run), now, run.status == "finished")
            del self._entries[run.id]
        elif entry.state == "active" and run.status == "paused":
            entry.paused = now if entry.paused is None else entry.paused
            if run.reason == "unwatched" or now - entry.paused >= PAUSED_AT_MOST:
                self._give_up(entry)
        elif entry.state == "active":
            entry.paused = None
        elif entry.state == "away" and run.status == "running":  # it was resumed while it gave its place up
            self._line.enter(run.id, entry.person, entry.work, entry.kind, now, len(run))
            self._line.begin(run.id)
            entry.state, entry.paused = "active", None

    def _give_up(self, entry: _Entry) -> None:
        self._line.leave(entry.run.id, len(entry.run), self._clock())
        entry.state, entry.run.place = "away", None

    def _begin(self, entry: _Entry) -> None:
        """Let a run begin, or go on; one that cannot fails."""
        run, build, entry.build = entry.run, entry.build, None
        if run.over:
            return
        try:
            if build is None:
                self._host.go_on(run, entry.steps)
            else:
                self._host.begin(run, build, entry.steps)
        except Exception as error:
            log.warning("run %s cannot begin: %s", run.id[:6], error, extra={"run": run.id})
            run.set_status("failed", "failed", words(error))

    def _look(self, now: float) -> None:
        """Learn how fast the active runs go on, and forecast when those who wait begin."""
        self._looked = now
        active = [entry.run for entry in self._entries.values() if entry.state == "active"]
        waiting = [entry for entry in self._entries.values() if entry.state == "waiting"]
        still = [run.id for run in active if run.status == "paused"]
        asleep = [entry.run.id for entry in waiting if self._asleep(entry)]
        self._line.look({run.id: len(run) for run in active}, now, still, asleep)
        if waiting and now >= self._forecast_due:
            self._forecast(now)

    def _forecast(self, now: float) -> None:
        began = time.perf_counter()
        self._waits, self._forecast_at = self._line.waits(now), now
        self._forecast_due = now + SPARE * (time.perf_counter() - began)

    def _place(self, now: float) -> None:
        """Tell those who wait, and whose wait is known, their places of now, and what is left of the wait."""
        self._placed = now
        passed, order = now - self._forecast_at, self._line.order()
        places = {
            key: Place(position, len(order), max(self._waits[key] - passed, 0.0))
            for position, key in enumerate(order, 1)
            if key in self._waits
        }
        for key, entry in self._entries.items():  # each once: a reader may look at any moment
            entry.run.place = places.get(key)
