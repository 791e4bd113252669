"""The runs that this server remembers, by id; it lists nobody's runs to anybody."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from engine.history.recording import PICTURES
from engine.run import Run
from errors import UnknownName

UNREAD = 15.0
"""Seconds for which a run that the database has too stays after somebody read it last; a page that shows it
reads it every ten."""
IN_FULL = 32
"""So many runs that the database has too keep all of their pictures, the last read ones; beyond these, and
beyond ``full_bytes``, a run keeps as many as the database."""


class Store:
    """Runs by id, the least recently used finished ones forgotten beyond ``limit_bytes``.

    Runs that the database has too (`release`) leave sooner: of those that nobody read for `UNREAD` seconds
    ``spare_bytes`` stay; and all beyond ``full_bytes`` are thinned, but for the `IN_FULL` last read.
    """

    def __init__(
        self, limit_bytes: int = 2 * 2**30, spare_bytes: int = 16 * 2**20, full_bytes: int = 64 * 2**20
    ) -> None:
        self._limit, self._spare_limit, self._full_limit = limit_bytes, spare_bytes, full_bytes
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._released: set[str] = set()
        self._lock = threading.Lock()

    def add(self, run: Run) -> None:
        """Remember ``run``; finished runs that were not used for longest give way."""
        with self._lock:
            self._runs[run.id] = run
            self._let_go([run for run in self._runs.values() if run.over], self._limit, self._runs.values())

    def release(self, key: str) -> None:
        """Note that the run with this id is over and in the database too."""
        with self._lock:
            if key in self._runs:
                self._released.add(key)

    def tidy(self) -> None:
        """Forget runs that the database has too and that nobody has read for a while, and thin others."""
        with self._lock:
            released = [run for key, run in self._runs.items() if key in self._released and run.over]
            spare = [run for run in released if _unread(run)]
            self._let_go(spare, self._spare_limit, spare)
            left = [run for run in released if run.id in self._runs]
            beyond = sum(run.bytes for run in left) - self._full_limit
            for run in left[:-IN_FULL]:
                if beyond > 0:
                    beyond -= run.thin(PICTURES)

    def holds(self, key: str) -> bool:
        """Say whether the run with this id is remembered."""
        with self._lock:
            return key in self._runs

    def peek(self, key: str) -> Run | None:
        """Return the run with this id if it is remembered; that does not count as a use."""
        with self._lock:
            return self._runs.get(key)

    def drop(self, key: str) -> None:
        """Forget the run with this id."""
        with self._lock:
            self._forget(key)

    def get(self, key: str) -> Run:
        """Return the run with this id, which is a use of it, or raise `errors.UnknownName`."""
        with self._lock:
            if key not in self._runs:
                raise UnknownName(
                    "This server does not know that run (any more): it may have been forgotten or "
                    "belong to another server. Press Run to compute it again."
                )
            self._runs.move_to_end(key)
            run = self._runs[key]
            if run.over:  # one that goes on counts as read by who follows it alone
                run.touch()
            return run

    def all(self) -> list[Run]:
        """Return every run, for the engine's own housekeeping."""
        with self._lock:
            return list(self._runs.values())

    def _let_go(self, may: Iterable[Run], limit: int, held: Iterable[Run]) -> None:
        """Forget runs that ``may`` go, the first of them first, until those ``held`` are within it."""
        sizes = {run.id: run.bytes for run in held}
        beyond = sum(sizes.values()) - limit
        for run in may:
            if beyond <= 0:
                return
            beyond -= sizes[run.id]
            self._forget(run.id)

    def _forget(self, key: str) -> None:
        self._runs.pop(key, None)
        self._released.discard(key)


def _unread(run: Run) -> bool:
    return run.clock() - run.read_at >= UNREAD
