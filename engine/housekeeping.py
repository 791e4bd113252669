"""What is seen to about once a second: runs that nobody reads wait and then end, and memory is given back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from engine.device import trim
from engine.run import Run
from engine.store import Store

UNWATCHED_AFTER = 60.0
"""Seconds after which a run that nobody reads pauses; it goes on when somebody reads it again."""
ABANDONED_AFTER = 30 * 60.0
"""Seconds after which a paused run that nobody reads is cancelled: it holds its model in memory."""
TRIM_EVERY, TRIM_AT_LEAST_EVERY = 1.0, 60.0
"""Seconds between two times at which memory is given back to the system: at least, after a run, and at most.
That takes some 6 ms."""


class Controls(Protocol):
    """What housekeeping does to runs."""

    def pause(self, run: Run) -> None:
        """Stop answering a run."""

    def resume(self, run: Run) -> None:
        """Go on where a run was paused."""

    def cancel(self, run: Run, reason: str = "cancelled") -> None:
        """End a run."""


class Housekeeping:
    """Sees to the runs of a ``store``, through ``controls``, by ``clock`` in seconds."""

    def __init__(self, store: Store, controls: Controls, clock: Callable[[], float]) -> None:
        self._store, self._controls, self._clock = store, controls, clock
        self._trimmed = clock()

    def sweep(self) -> None:
        """Look after every run once, and forget those that the database has too."""
        for run in self._store.all():
            if not run.over:
                self._watch(run, self._clock() - run.read_at)
        self._store.tidy()
        self._give_back(TRIM_AT_LEAST_EVERY)

    def written(self, key: str) -> None:
        """Note, in any thread, that a run is over and in the database."""
        self._store.release(key)
        self._give_back(TRIM_EVERY)

    def _give_back(self, every: float) -> None:
        if self._clock() - self._trimmed > every:
            self._trimmed = self._clock()
            trim()

    def _watch(self, run: Run, unread: float) -> None:
        """Pause, resume or cancel a run that nobody has read for ``unread`` seconds."""
        if unread > ABANDONED_AFTER:
            self._controls.cancel(run, "abandoned")
        elif unread > UNWATCHED_AFTER and run.status == "running":
            run.set_status("paused", "unwatched")  # with the reason, before the loop notes the pause
            self._controls.pause(run)
        elif unread <= UNWATCHED_AFTER and run.reason == "unwatched":
            self._controls.resume(run)
