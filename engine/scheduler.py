"""Which runs take part in the next forward and backward pass: no torch, no threads.

Continuous batching, one tick at a time: all runs that wait on the same model go
together, models take turns, and within a model nobody goes twice before everybody
who waits has gone once.
"""

from __future__ import annotations

from collections import OrderedDict, deque


class Scheduler:
    """Runs that wait for an answer, grouped by model. ``budget`` is in rows of a batch."""

    def __init__(self, budget: int = 32) -> None:
        self.budget = budget
        self._models: OrderedDict[str, deque[str]] = OrderedDict()
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, run: str) -> bool:
        return run in self._rows

    def add(self, run: str, model: str, rows: int = 1) -> None:
        """Let ``run`` take part from the next tick on; adding it twice changes nothing."""
        if run not in self._rows:
            self._rows[run] = rows
            self._models.setdefault(model, deque()).append(run)

    def remove(self, run: str) -> None:
        """Take ``run`` out; removing an unknown one changes nothing."""
        if self._rows.pop(run, None) is None:
            return
        for model, queue in list(self._models.items()):
            if run in queue:
                queue.remove(run)
                if not queue:
                    del self._models[model]

    def tick(self) -> list[str]:
        """Return the runs of the next batch (all on one model), or [] when nobody waits."""
        if not self._models:
            return []
        model, queue = next(iter(self._models.items()))
        self._models.move_to_end(model)
        chosen: list[str] = []
        rows = 0
        for _ in range(len(queue)):
            if chosen and rows + self._rows[queue[0]] > self.budget:
                break
            rows += self._rows[queue[0]]
            chosen.append(queue[0])
            queue.rotate(-1)
        return chosen

    def halve(self) -> int:
        """Halve the row budget (the device ran out of memory); return the new one, at least 1."""
        self.budget = max(1, self.budget // 2)
        return self.budget
