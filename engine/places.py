"""Where a run that waits stands in the queue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """``position``: 1 for the next that begins, of ``total`` that wait; ``wait_seconds``: until it begins, as
    far as can be told."""

    position: int
    total: int
    wait_seconds: float

    @property
    def ahead(self) -> int:
        """Return how many of those that wait begin before it."""
        return self.position - 1
