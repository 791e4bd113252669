"""Finished runs as files: what a page shows before its visitor has computed anything.

A file is a NumPy archive (nothing in it is unpickled): the recipe, the figures of every step, the
probabilities of the classes that mattered, and the perturbations of a few steps. The picture is opened anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import models
from engine.images.sources import open_image
from engine.recipe import Recipe
from engine.run import SCALARS, Floats, Run
from errors import UnknownName
from settings import RUNS

PREFIX = "shipped-"
"""How the id of a run begins that ships with the program; what follows is its file's name."""
OLD_SCALARS = ("margin", "linf", "l2", "rms", "grad_norm", "queries", "gradients", "seconds")
"""The figures in files that do not name theirs."""


def run_id(name: str) -> str:
    """Return the id of the run that ships under ``name``."""
    return PREFIX + name


def names(folder: Path = RUNS) -> list[str]:
    """Return the names of the runs that ship."""
    return sorted(path.stem for path in folder.glob("*.npz"))


def write(run: Run, path: Path, pictures: int = 2) -> None:
    """Write a finished run: its figures and classes of every step, its perturbation at ``pictures`` of them,
    evenly spaced, the last one included."""
    count, classes = len(run), run.classes
    steps = sorted(
        {run.picture_step(round((count - 1) * part / pictures)) for part in range(1, pictures + 1)}
    )
    facts = {
        "recipe": run.recipe.to_json(),
        "original": run.original,
        "reason": run.reason,
        "total": run.total,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        facts=np.frombuffer(json.dumps(facts).encode(), np.uint8),
        classes=np.array(classes, np.int32),
        log_p=run.log_p(0, count, classes).astype(np.float16),
        scalars=run.scalars(0, count),
        figures=np.array(SCALARS),
        steps=np.array(steps, np.int32),
        deltas=np.stack([run.delta(step) for step in steps]).astype(np.float16),
    )


def read(name: str, folder: Path = RUNS) -> Run:
    """Return the run that ships under ``name``, finished, with the id ``shipped-NAME``.

    The classes that its file does not name share evenly what the others leave of the probability.
    Raises `errors.UnknownName` when there is no such file.
    """
    if name not in names(folder):
        raise UnknownName.of("shipped run", name, names(folder))
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        parts: dict[str, Any] = {key: file[key] for key in file.files}
    facts = json.loads(parts["facts"].tobytes())
    recipe = Recipe.from_json(facts["recipe"])
    card = models.card(recipe.model)
    start = card.see(open_image(recipe.image), recipe.crop)
    run = Run(recipe, card.labels, start, facts["original"], facts["total"], id=run_id(name))
    zero = np.zeros_like(parts["deltas"][0])
    pictures = {0: zero, **dict(zip(parts["steps"].tolist(), parts["deltas"], strict=True))}
    run.restore(
        whole(parts["log_p"], parts["classes"], len(card.labels)),
        _scalars(parts),
        pictures,
        parts["classes"].tolist(),
    )
    run.set_status("finished", facts["reason"])
    return run


def _scalars(parts: dict[str, Any]) -> Floats:
    """Return the figures named by `SCALARS` of every step, NaN where the file has none."""
    names = [str(name) for name in parts.get("figures", OLD_SCALARS)]
    table = np.full((len(parts["scalars"]), len(SCALARS)), np.nan, np.float32)
    for column, name in enumerate(SCALARS):
        if name in names:
            table[:, column] = parts["scalars"][:, names.index(name)]
    return table


def whole(log_p: npt.NDArray[Any], classes: Sequence[int], count: int) -> Floats:
    """Return log-probabilities ``(steps, count)`` from those of some ``classes`` ``(steps, len(classes))``:
    the others share evenly what is left."""
    known: Floats = log_p.astype(np.float32)
    left = np.clip(1 - np.exp(known).sum(1, keepdims=True), 1e-12, None)
    rows: Floats = np.log(left / max(count - known.shape[1], 1)).repeat(count, 1).astype(np.float32)
    rows[:, classes] = known
    return rows
