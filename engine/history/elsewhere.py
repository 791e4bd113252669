"""Runs that go on on another server with the same database, as far as they are written."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.history.loading import renew
from engine.history.queries import StoredRun
from engine.run import Run

UNREAD = 30.0
"""Seconds after which a run that nobody reads here is looked up no more."""
GONE = "cancelled"


class Elsewhere:
    """The runs of other servers that somebody reads here. ``stored`` returns what is written of a run."""

    def __init__(self, stored: Callable[[str], StoredRun | None]) -> None:
        self._stored = stored
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._runs)

    def add(self, run: Run) -> Run:
        """Look a run up from now on; return the one that is looked up already, if there is one."""
        with self._lock:
            return self._runs.setdefault(run.id, run)

    def get(self, key: str) -> Run | None:
        """Return a run that is looked up."""
        with self._lock:
            return self._runs.get(key)

    def renew(self) -> None:
        """Look all of them up; those that are over, or that nobody reads, are looked up no more.

        Raises `errors.HistoryFailed`.
        """
        for key, run in list(self._runs.items()):
            if run.clock() - run.read_at > UNREAD:
                self._drop(key)
                continue
            stored = self._stored(key)
            if stored is None:
                run.set_status(GONE, GONE)
            else:
                renew(run, stored)
            if run.over:
                self._drop(key)

    def _drop(self, key: str) -> None:
        with self._lock:
            self._runs.pop(key, None)
