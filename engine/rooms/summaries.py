"""Runs as small curves, for a page that shows hundreds of them: those that go on are read in memory, those
that are in the database alone come together, in a number of queries that does not depend on how many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

import models
from engine.history.database import Database
from engine.history.packing import unpack_rows
from engine.history.queries import AT_ONCE
from engine.history.recording import INTERRUPTED
from engine.history.tables import chunks, runs
from engine.recipe import Recipe
from engine.run import OVER, Floats, Run
from errors import FoolscopeError

if TYPE_CHECKING:
    from engine.base import EngineBase

POINTS = 40
"""Of a small curve, about."""


@dataclass(frozen=True)
class Summary:
    """A run as a small curve, and where it stands.

    ``status`` and ``reason``: as `engine.run.Run` has them; ``over``: nothing more will come; ``fooled``:
    whether the network is fooled as asked at the last step; ``steps``: that are done, of ``total``.
    ``label`` and ``probability`` (in [0, 1]): of the most probable class now, None before step 0. ``at``:
    steps, ``original`` and ``other``: the probabilities in [0, 1] at these of the classes ``original_label``
    and ``other_label``, the target or else the most probable one beside the original. ``place``: in the queue
    while it waits there, 1 for the next.
    """

    run: str
    status: str
    reason: str | None
    over: bool
    fooled: bool
    steps: int
    total: int
    label: str | None
    probability: float | None
    original_label: str
    other_label: str | None
    at: tuple[int, ...] = ()
    original: tuple[float, ...] = ()
    other: tuple[float, ...] = ()
    place: int | None = None


Standing = tuple[int, str, int | None]
"""How many steps a run has, its status, its place in the queue: where none of these changed, nothing did."""


class Summaries:
    """The summaries of an engine's runs; one that is over is summarised once."""

    def __init__(self, engine: EngineBase) -> None:
        self._engine = engine
        self._known: dict[str, tuple[Standing, Summary]] = {}

    def held(self, key: str) -> Run | None:
        """Return a run that is in memory."""
        return self._engine.store.peek(key) or self._engine.history.going_on(key)

    def of(self, keys: Sequence[str]) -> dict[str, Summary]:
        """Return the summaries of the runs with these ids, without those that are nowhere; only these are
        remembered. Raises `errors.HistoryFailed`."""
        known = {key: self._known[key] for key in keys if key in self._known}
        missing = []
        for key in keys:
            if key in known and known[key][1].over:
                continue
            run = self.held(key)
            if run is None:
                missing.append(key)
                continue
            if not run.over:
                run.touch()  # whoever sees the wall follows all of its runs
            now = (len(run), run.status, _place(run))
            if key not in known or known[key][0] != now:
                known[key] = (now, summary(run))
        for stored in read(self._engine.history.database, missing):
            known[stored.run] = ((stored.steps, stored.status, None), stored)
        self._known = known
        return {key: item for key, (_, item) in known.items()}


def summary(run: Run) -> Summary:
    """Return the summary of a run that is in memory."""
    status, over, count = run.status, run.over, len(run)  # before the steps: none follow the last status
    facts = (run.id, status, run.reason, over, count > 0 and run.succeeded(count - 1))
    log_p = run.log_p(0, count)
    curve = _summary(facts, run.labels, log_p, run.total, run.original, run.recipe.target)
    return replace(curve, place=_place(run))


def _place(run: Run) -> int | None:
    place = run.place if run.status == "waiting" else None
    return place.position if place else None


def read(database: Database, keys: Sequence[str]) -> Iterator[Summary]:
    """Yield the summaries of the runs that are in a database; raises `errors.HistoryFailed`."""
    for start in range(0, len(keys), AT_ONCE):
        some = keys[start : start + AT_ONCE]
        with database.reading() as connection:
            rows = connection.execute(sa.select(runs).where(runs.c.id.in_(some))).all()
            blobs = connection.execute(
                sa.select(chunks).where(chunks.c.run.in_(some)).order_by(chunks.c.run, chunks.c.first_step)
            ).all()
        parts = {key: [blob.rows for blob in group] for key, group in groupby(blobs, lambda blob: blob.run)}
        for row in rows:
            yield _stored(row, parts.get(row.id, []))


def _stored(row: sa.Row[tuple[object, ...]], blobs: Iterable[bytes]) -> Summary:
    """Return the summary of a run's row; one that cannot be read has no curve."""
    recipe, stopped = Recipe.from_json(row.recipe), row.status not in OVER
    status, reason = ("cancelled", INTERRUPTED) if stopped else (row.status, row.reason)
    facts = (row.id, status, reason, True, bool(row.success))
    try:
        labels = models.card(recipe.model).labels
        steps = [unpack_rows(blob, len(labels)).log_p for blob in blobs]
    except FoolscopeError:  # the network is no longer there, or the record is damaged: opening it says so
        return Summary(
            *facts, max(row.steps - 1, 0), row.total, row.last_label, row.probability, row.first_label, None
        )
    log_p = np.concatenate(steps) if steps else np.empty((0, len(labels)), np.float32)
    return _summary(facts, labels, log_p, row.total, row.original, recipe.target)


def _summary(
    facts: tuple[str, str, str | None, bool, bool],
    labels: Sequence[str],
    log_p: Floats,
    total: int,
    original: int,
    target: int | None,
) -> Summary:
    """Return a summary of ``log_p`` ``(steps, classes)``; ``facts``: the summary's first fields."""
    count = len(log_p)
    if not count:
        return Summary(*facts, 0, total, None, None, labels[original], None)
    last = log_p[-1]
    best = int(np.argmax(last))
    other = _other(last, original) if target is None else target
    both = np.exp(log_p[:, [original, other]].astype(np.float32)).T
    at = thinned(both)
    first, second = (tuple(curve[at].tolist()) for curve in both)
    return Summary(
        *facts,
        steps=count - 1,
        total=total,
        label=labels[best],
        probability=float(np.exp(last[best])),
        original_label=labels[original],
        other_label=labels[other],
        at=tuple(at.tolist()),
        original=first,
        other=second,
    )


def _other(last: Floats, original: int) -> int:
    """Return the most probable class beside the original."""
    best = np.argpartition(-last, 1)[:2]
    return int(max((index for index in best.tolist() if index != original), key=lambda index: last[index]))


def thinned(curves: Floats, points: int = POINTS) -> npt.NDArray[np.intp]:
    """Return at which steps to draw ``curves`` ``(n, steps)``: every k-th, the last, and where one of them
    is highest or lowest.

    k is the least power of two for which every k-th are at most ``points``: as a run goes on, those that
    were drawn stay or every other one is dropped.
    """
    count, every = curves.shape[1], 1
    while -(-count // every) > points:
        every *= 2
    extremes = [curves.argmax(axis=1), curves.argmin(axis=1), [count - 1]]
    return np.unique(np.concatenate([np.arange(0, count, every), *extremes]))
