"""The queue of experiments: at most so many are computed at the same time, the others wait for their turn.

    with shared().turn(waiting=show_place) as place:
        for at in walk(experiment, store):
            place.check()

An experiment is computed in the thread of whoever asks for it, or, where replicas have the networks, by one
of these (`carried_out_by`). It leaves the queue with the ``with`` block, however that ends: a page whose
visitor left is ended by its next call of Streamlit, in ``waiting`` or between two stages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import settings
from engine.work import CarriesOut
from errors import LabCancelled

SECONDS_BETWEEN_LOOKS = 0.5
"""How often those who wait are told their place, and may leave."""


class Place:
    """The place of one computation in a queue."""

    def __init__(self, queue: LabQueue) -> None:
        self._queue = queue
        self._cancelled = False

    @property
    def ahead(self) -> int:
        """Return how many computations must end before this one begins, 0 once it has begun."""
        return self._queue.ahead(self)

    @property
    def cancelled(self) -> bool:
        """Say whether somebody cancelled the computation."""
        return self._cancelled

    def cancel(self) -> None:
        """Ask the computation to end at its next `check`; any thread may call this."""
        self._cancelled = True
        self._queue.look()

    def check(self) -> None:
        """Go on, or raise `errors.LabCancelled` when the computation was cancelled."""
        if self._cancelled:
            raise LabCancelled("The computation was cancelled.")


class LabQueue:
    """First come, first served; ``at_once`` computations at the same time, by default `settings.labs`."""

    def __init__(self, at_once: int | None = None) -> None:
        self._at_once = settings.labs() if at_once is None else at_once
        self._places: list[Place] = []
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """Return how many computations there are, begun or not."""
        return len(self._places)

    @contextmanager
    def turn(
        self, waiting: Callable[[int], None] | None = None, place: Place | None = None
    ) -> Iterator[Place]:
        """Wait for one's turn, and hold it inside the ``with`` block.

        ``waiting`` is called with the number of computations ahead, at once and now and then, as long as
        there are any; what it raises ends the wait. ``place``: one that `enter` returned, to be cancelled
        from elsewhere; by default a new one. Raises `errors.LabCancelled`.
        """
        place = place or self.enter()
        try:
            while place.ahead:
                place.check()
                if waiting:
                    waiting(place.ahead)
                self._await_turn(place)
            place.check()
            yield place
        finally:
            self.leave(place)

    def enter(self) -> Place:
        """Return a place at the end of the queue; whoever takes it must `leave`, as `turn` does."""
        place = Place(self)
        with self._changed:
            self._places.append(place)
        return place

    def leave(self, place: Place) -> None:
        """Make room for the next; leaving twice changes nothing."""
        with self._changed:
            if place in self._places:
                self._places.remove(place)
            self._changed.notify_all()

    def ahead(self, place: Place) -> int:
        """Return how many computations must end before the one at ``place`` begins."""
        with self._changed:
            index = self._places.index(place) if place in self._places else 0
        return max(0, index - self._at_once + 1)

    def look(self) -> None:
        """Let all who wait look at once whether they may begin or are to end."""
        with self._changed:
            self._changed.notify_all()

    def _await_turn(self, place: Place) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: place.cancelled or not self.ahead(place), timeout=SECONDS_BETWEEN_LOOKS
            )


_engine: CarriesOut | None = None


def carry_out_by(engine: CarriesOut | None) -> None:
    """Have experiments carried out by an engine from now on, None for this process."""
    global _engine
    _engine = engine


def carried_out_by() -> CarriesOut | None:
    """Return the engine that carries out experiments, None for this process."""
    return _engine


@cache
def shared() -> LabQueue:
    """Return the queue of this process."""
    return LabQueue()
