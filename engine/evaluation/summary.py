"""What the rows of an evaluation come to, with 95 % intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from attacks.toolkit import norms
from engine import intervals
from engine.evaluation.record import Row
from engine.intervals import Estimate

SIZES = ("linf", "l2", "l1", "l0")


@dataclass(frozen=True)
class Group:
    """One attack at one budget on one network, over all pictures.

    ``pictures``: rows; ``failed``: those with an error, which no figure counts; ``labelled``: those of the
    others whose label is known. Shares in [0, 1] have Clopper-Pearson intervals, medians those of order
    statistics; each is None over no pictures. ``clean_accuracy``: of the labelled, those named rightly
    before; ``robust_accuracy``: those named rightly before and after, where there is a budget.
    ``success_of_correct``: fooled as asked, of those named rightly before; ``success``: of all. ``sizes``:
    medians over the fooling pictures, by norm. ``seconds``: of all runs together.
    """

    model: str
    attack: str
    norm: str | None
    epsilon: float | None
    pictures: int
    failed: int
    labelled: int
    clean_accuracy: Estimate | None
    robust_accuracy: Estimate | None
    success_of_correct: Estimate | None
    success: Estimate | None
    sizes: dict[str, Estimate | None]
    queries: Estimate | None
    seconds: float

    @property
    def measured_by(self) -> str:
        """Return the attack's own norm, l2 where it names none."""
        return self.norm or norms.L2.name

    @property
    def size(self) -> Estimate | None:
        """Return the median size in that norm."""
        return self.sizes.get(self.measured_by)

    @property
    def held(self) -> Estimate | None:
        """Return the share that withstood: of the labelled the robust accuracy, else those not fooled."""
        if self.robust_accuracy is not None or self.success is None:
            return self.robust_accuracy
        return intervals.share(round((1 - self.success.value) * self.success.n), self.success.n)

    def plain(self) -> dict[str, Any]:
        """Return the group as JSON holds it."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Line:
    """A robustness curve: an attack on a network; ``groups``: at each budget, the smallest first."""

    model: str
    attack: str
    groups: tuple[Group, ...]


def groups(rows: Iterable[Row]) -> list[Group]:
    """Return the groups of the rows, in the order in which they first come."""
    together: dict[tuple[str, str, float | None], list[Row]] = {}
    for row in rows:
        together.setdefault((row.model, row.attack, row.epsilon), []).append(row)
    return [group(several) for several in together.values()]


def group(rows: Sequence[Row]) -> Group:
    """Return what rows of one network, attack and budget come to; at least one row."""
    first, attacked = rows[0], [row for row in rows if row.attacked]
    labelled = [row for row in attacked if row.correct is not None]
    fooled = [row for row in attacked if row.success]
    return Group(
        model=first.model,
        attack=first.attack,
        norm=first.norm,
        epsilon=first.epsilon,
        pictures=len(rows),
        failed=len(rows) - len(attacked),
        labelled=len(labelled),
        clean_accuracy=_share(labelled, lambda row: row.correct),
        robust_accuracy=_share(labelled if first.epsilon is not None else (), lambda row: row.survived),
        success_of_correct=_share([row for row in labelled if row.correct], lambda row: row.success),
        success=_share(attacked, lambda row: row.success),
        sizes={name: _median(getattr(row, name) for row in fooled) for name in SIZES},
        queries=_median(row.queries for row in attacked),
        seconds=round(sum(row.seconds or 0.0 for row in attacked), 3),
    )


def lines(several: Sequence[Group]) -> list[Line]:
    """Return a curve for each network and attack that was tried at two budgets or more."""
    by_name: dict[tuple[str, str], list[Group]] = {}
    for one in several:
        if one.epsilon is not None and one.held is not None:
            by_name.setdefault((one.model, one.attack), []).append(one)
    return [
        Line(model, attack, tuple(sorted(own, key=lambda group: group.epsilon or 0.0)))
        for (model, attack), own in by_name.items()
        if len(own) > 1
    ]


def _share(rows: Sequence[Row], holds: Callable[[Row], bool | None]) -> Estimate | None:
    return intervals.share(sum(bool(holds(row)) for row in rows), len(rows)) if rows else None


def _median(values: Iterable[float | None]) -> Estimate | None:
    known = [float(value) for value in values if value is not None]
    return intervals.median(known) if known else None
