"""Which runs take part in the next forward and backward pass: no torch, no threads.

Continuous batching, one tick at a time: all runs that wait on the same model go
together, models share the device's time in equal parts, and within a model nobody goes
twice before everybody who waits has gone once.

Time is shared as in start-time fair queueing (Goyal, Vin and Cheng 1996,
https://doi.org/10.1145/248156.248171): the model that has used least goes next, and one that
comes, or comes back, begins no lower than the least of those that wait.
"""

from __future__ import annotations

from collections import OrderedDict, deque

BATCH = 32
"""Rows of a batch at most, where the device is not better off with fewer (`engine.device.batch_rows`)."""
PATIENCE, MOST_PATIENCE = 64, 4096
"""Batches that must go well before a budget that was halved is doubled: at first, and at most."""


class RowBudget:
    """How many ``rows`` of a model go into one batch: ``full`` at most, half of what failed after the device
    ran out of memory, and slowly more again afterwards."""

    def __init__(self, full: int) -> None:
        self.full = self.rows = full
        self._patience, self._went_well, self._grew = PATIENCE, 0, False

    def halve(self, failed: int) -> int:
        """Return the new budget after a batch of ``failed`` rows did not fit: at least 1."""
        self.rows = max(1, min(self.rows, failed) // 2)
        if self._grew:
            self._patience = min(2 * self._patience, MOST_PATIENCE)
        self._went_well, self._grew = 0, False
        return self.rows

    def succeed(self) -> None:
        """Note a batch that went well; after enough of them a budget below ``full`` doubles."""
        self._went_well += 1
        if self._went_well < self._patience:
            return
        self._went_well = 0
        if self.rows < self.full:
            self.rows, self._grew = min(2 * self.rows, self.full), True
        else:
            self._patience, self._grew = PATIENCE, False


class Scheduler:
    """Runs that wait for an answer, grouped by model. ``budget``: rows of a batch at most, per model."""

    def __init__(self, budget: int = BATCH) -> None:
        self._full = budget
        self._budgets: dict[str, RowBudget] = {}
        self._models: OrderedDict[str, deque[str]] = OrderedDict()
        self._seconds: dict[str, float] = {}
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, run: str) -> bool:
        return run in self._rows

    def add(self, run: str, model: str, rows: int = 1) -> None:
        """Let ``run``, whose next query has ``rows`` images, take part from the next tick on; adding it twice
        changes nothing."""
        if run in self._rows:
            return
        if model not in self._models:
            self._seconds[model] = max(self._seconds.get(model, 0.0), self._least())
            self._models[model] = deque()
        self._rows[run] = rows
        self._models[model].append(run)

    def resize(self, run: str, rows: int) -> None:
        """Note how many ``rows`` the next query of ``run`` has; an unknown run changes nothing."""
        if run in self._rows:
            self._rows[run] = rows

    def remove(self, run: str) -> None:
        """Take ``run`` out; removing an unknown one changes nothing."""
        if self._rows.pop(run, None) is None:
            return
        for model, queue in list(self._models.items()):
            if run in queue:
                queue.remove(run)
                if not queue:
                    del self._models[model]

    def budget(self, model: str) -> RowBudget:
        """Return the budget of ``model``."""
        return self._budgets.setdefault(model, RowBudget(self._full))

    def spent(self, model: str, seconds: float) -> None:
        """Note that a batch of ``model`` took ``seconds`` of the device's time."""
        self._seconds[model] = self._seconds.get(model, self._least()) + seconds

    def _least(self) -> float:
        """Return the seconds from which a model that comes begins to count: the least of those that wait;
        the most that any ever had when none waits, for then nobody is owed anything."""
        if self._models:
            return min(self._seconds[model] for model in self._models)
        return max(self._seconds.values(), default=0.0)

    def tick(self) -> list[str]:
        """Return the runs of the next batch (all on one model), or [] when nobody waits."""
        if not self._models:
            return []
        model = min(
            self._models, key=lambda name: self._seconds[name]
        )  # of equals the one that waits longest
        self._models.move_to_end(model)
        queue = self._models[model]
        limit, chosen, rows = self.budget(model).rows, list[str](), 0
        for _ in range(len(queue)):
            if chosen and rows + self._rows[queue[0]] > limit:
                break
            rows += self._rows[queue[0]]
            chosen.append(queue[0])
            queue.rotate(-1)
        return chosen
