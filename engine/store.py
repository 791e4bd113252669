"""The runs that this server remembers, by id; it lists nobody's runs to anybody."""

from __future__ import annotations

import threading
from collections import OrderedDict

from engine.run import Run
from errors import UnknownName


class Store:
    """Runs by id, the least recently used finished ones forgotten beyond ``limit_bytes``."""

    def __init__(self, limit_bytes: int = 2 * 2**30) -> None:
        self._limit = limit_bytes
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, run: Run) -> None:
        """Remember ``run``; finished runs that were not used for longest give way."""
        with self._lock:
            self._runs[run.id] = run
            held = {key: run.bytes for key, run in self._runs.items()}
            spare = sum(held.values()) - self._limit
            for key, run in list(self._runs.items()):
                if spare > 0 and run.over:
                    spare -= held[key]
                    del self._runs[key]

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
            self._runs.pop(key, None)

    def get(self, key: str) -> Run:
        """Return the run with this id, or raise `errors.UnknownName`."""
        with self._lock:
            if key not in self._runs:
                raise UnknownName(
                    "This server does not know that run (any more): it may have been forgotten or "
                    "belong to another server. Press Run to compute it again."
                )
            self._runs.move_to_end(key)
            return self._runs[key]

    def all(self) -> list[Run]:
        """Return every run, for the engine's own housekeeping."""
        with self._lock:
            return list(self._runs.values())
