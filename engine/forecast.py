"""When those that wait will begin: the queue and the device, played through ahead of time.

Between two events the runs of a model go on evenly: models share the device's time in equal parts, and the
runs of one model share its batches.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

BatchSeconds = Callable[[str, float, bool], float]
"""Maps a model, rows and whether gradients are asked for to the seconds that such a batch takes."""


@dataclass(frozen=True)
class Share:
    """What a run still asks of the device: so many ``queries`` of ``rows`` images, with ``gradients`` or
    without; a ``short`` one takes no place from the others."""

    model: str
    queries: float
    rows: float
    gradients: bool
    short: bool = False


@dataclass(frozen=True)
class Future:
    """A run that waits, or, without a ``key``, one that is expected to come in ``comes`` seconds from now on.
    ``order``: of those that wait the least begins first."""

    share: Share
    order: float
    comes: float = 0.0
    key: str = ""


@dataclass(frozen=True)
class Pace:
    """The share of the device's time that runs get: ``now``, and what it usually is (``usual``), to which it
    returns with the time constant ``change`` in seconds."""

    now: float = 1.0
    usual: float = 1.0
    change: float = 1.0

    def at(self, seconds: float) -> float:
        """Return the share in so many seconds."""
        return self.usual + (self.now - self.usual) * math.exp(-seconds / self.change)


Again = Callable[[Share, float], Future | None]
"""Maps a run, and in how many seconds it ends, to what its person is expected to run after it."""


def _never(share: Share, ends: float) -> None:
    return None


def full_round(seconds: BatchSeconds, batch: int, model: str, rows: float, gradients: bool) -> float:
    """Return the device's seconds in which all runs of ``model``, of so many ``rows`` together, ask once, in
    batches of ``batch`` rows at most."""
    parts = max(1.0, rows / batch)
    return parts * max(seconds(model, rows / parts, gradients), 1e-6)


def most(places: int) -> int:
    """Return how many of so many places the runs of one model may take: all but the last quarter."""
    return places - places // 4


Waiting = tuple[float, int, Future]
"""Order, number and run of one that waits."""


@dataclass
class _Together:
    """The runs of one model. ``asked``: queries of one that was there from the start; ``ends``: the values of
    ``asked`` at which runs end, with their shares; ``active``: how many of these there are, by whether they
    are short; ``waiting``: likewise, those that wait, as heaps."""

    asked: float = 0.0
    rows: float = 0.0
    gradients: int = 0
    ends: list[tuple[float, int, Share]] = field(default_factory=list)
    active: Counter[bool] = field(default_factory=Counter)
    waiting: dict[bool, list[Waiting]] = field(default_factory=lambda: {False: [], True: []})


class Forecast:
    """``seconds``: of a batch, of ``batch`` rows at most; ``limit``: runs active at once; ``shorts``: short
    ones beside these; `most` of either of one model; ``pace``: the share of the device's time that all these
    get."""

    def __init__(
        self, seconds: BatchSeconds, batch: int, limit: int, shorts: int, pace: Pace = Pace()
    ) -> None:
        self._seconds, self._batch, self._pace = seconds, batch, pace
        self._places = {False: limit, True: shorts}  # by whether they are for short runs
        self._rounds: dict[tuple[str, float, bool], float] = {}
        self._models: dict[str, _Together] = {}
        self._active, self._now, self._number = Counter[bool](), 0.0, 0
        self._coming: list[tuple[float, int, Future]] = []
        self._again: Again = _never

    def waits(
        self,
        active: Iterable[Share],
        waiting: Sequence[Future],
        expected: Iterable[Future] = (),
        again: Again = _never,
    ) -> dict[str, float]:
        """Return, by key, in how many seconds each of those ``waiting`` begins. ``expected``: who comes
        meanwhile; ``again``: what somebody runs whose run has ended."""
        for share in active:
            self._begin(share)
        for future in waiting:
            self._wait(future)
        for future in expected:
            self._expect(future)
        waits, self._again = dict[str, float](), again
        while len(waits) < len(waiting):
            while self._coming and self._coming[0][0] <= self._now:
                self._wait(heapq.heappop(self._coming)[2])
            waits |= {future.key: self._now for future in self._admitted() if future.key}
            self._advance(self._coming[0][0] - self._now if self._coming else math.inf)
        return waits

    def _expect(self, future: Future | None) -> None:
        if future is not None:
            self._number += 1
            heapq.heappush(self._coming, (future.comes, self._number, future))

    def _of(self, model: str) -> _Together:
        return self._models.setdefault(model, _Together())

    def _wait(self, future: Future) -> None:
        self._number += 1
        line = self._of(future.share.model).waiting[future.share.short]
        heapq.heappush(line, (future.order, self._number, future))

    def _begin(self, share: Share) -> None:
        together = self._of(share.model)
        self._number += 1
        heapq.heappush(together.ends, (together.asked + share.queries, self._number, share))
        together.rows += share.rows
        together.gradients += share.gradients
        self._count(together, share, 1)

    def _end(self, together: _Together) -> None:
        _, _, share = heapq.heappop(together.ends)
        together.rows -= share.rows
        together.gradients -= share.gradients
        self._count(together, share, -1)
        self._expect(self._again(share, self._now))

    def _count(self, together: _Together, share: Share, by: int) -> None:
        """Note that a run more is active, or one less."""
        self._active[share.short] += by
        together.active[share.short] += by

    def _admitted(self) -> list[Future]:
        """Let begin who may, in their order, and return them."""
        begun = list[Future]()
        while free := list(self._free()):
            future = heapq.heappop(min(free, key=lambda line: line[0][:2]))[2]
            self._begin(future.share)
            begun.append(future)
        return begun

    def _free(self) -> Iterator[list[Waiting]]:
        """Yield the lines for which there is a place."""
        free = [(short, most(n)) for short, n in self._places.items() if self._active[short] < n]
        for together in self._models.values():
            for short, own in free:
                if together.waiting[short] and together.active[short] < own:
                    yield together.waiting[short]

    def _round(self, model: str, together: _Together) -> float:
        key = (model, round(together.rows, 2), together.gradients > 0)
        if key not in self._rounds:
            self._rounds[key] = full_round(self._seconds, self._batch, *key)
        return self._rounds[key]

    def _advance(self, arrival: float) -> None:
        """Go on to the next end of a run, or for ``arrival`` seconds if that is sooner."""
        busy = [(name, together) for name, together in self._models.items() if together.ends]
        pace = self._pace.at(self._now)
        speeds = [pace / (len(busy) * self._round(name, together)) for name, together in busy]
        ends = [(t.ends[0][0] - t.asked) / speed for (_, t), speed in zip(busy, speeds, strict=True)]
        passed = min([arrival, *ends])
        self._now += passed
        for (_, together), speed, end in zip(busy, speeds, ends, strict=True):
            together.asked = together.ends[0][0] if end <= passed else together.asked + passed * speed
            while together.ends and together.ends[0][0] <= together.asked:
                self._end(together)
