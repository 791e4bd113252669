"""A run from the database, as the engine and its readers know runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import models
from engine.history.packing import unpack_array, unpack_rows
from engine.history.queries import StoredRun
from engine.history.recording import INTERRUPTED
from engine.recipe import Recipe
from engine.run import Floats, Run
from errors import UnknownName

WITHOUT_PICTURES = (
    "Expected a run with its pictures, but this server keeps none (FOOLSCOPE_KEEP_PICTURES=0). Press Run to "
    "compute it again."
)


def load(stored: StoredRun, preprocess: Callable[[Recipe], Floats]) -> Run:
    """Return a run as it was written last; one that the server's stop interrupted is over at that step, one
    that goes on elsewhere is as far as it was then (`renew`).

    ``preprocess`` returns what a recipe's model sees of its image, ``(c, h, w)`` in [0, 1]. Raises
    `errors.UnknownName` where pictures or a model are no longer there, or the record is damaged.
    """
    row, recipe = stored.row, Recipe.from_json(stored.row.recipe)
    if row.before is None:
        raise UnknownName(WITHOUT_PICTURES)
    labels = models.card(recipe.model).labels
    run = Run(recipe, labels, preprocess(recipe), row.original, row.total, id=row.id)
    run.answers_again = None if row.again is None else unpack_array(row.again)
    renew(run, stored)
    return run


def renew(run: Run, stored: StoredRun) -> None:
    """Bring a run that goes on elsewhere to where it was written last."""
    row = stored.row
    run.dead_end = row.dead_end
    if stored.rows:
        _restore(run, stored)
    if stored.interrupted:
        run.set_status("cancelled", INTERRUPTED)
    else:
        run.set_status(row.status, row.reason, row.error)


def _restore(run: Run, stored: StoredRun) -> None:
    """Put the steps and pictures into ``run``."""
    rows = [unpack_rows(blob, len(run.labels)) for blob in stored.rows]
    arrays = {step: unpack_array(blob) for step, blob in stored.pictures.items()}
    start, latest, last = run.start, None, max(arrays)
    if arrays[last].dtype == np.float32:  # the exact picture, not its perturbation
        latest = arrays[last]
        arrays[last] = (arrays[last] - start).astype(np.float16)
    run.restore(
        np.concatenate([part.log_p for part in rows]),
        np.concatenate([part.scalars for part in rows]),
        {0: np.zeros(start.shape, np.float16)} | arrays,
        stored.row.classes,
        latest,
    )
