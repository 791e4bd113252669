"""A run as data: its recipe, its whole curve, its arrays."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import numpy as np

from engine import report
from engine.render import encode, to_image
from engine.run import SCALARS, Run
from engine.sharing.curve import thinned

PICTURES = 40
"""Perturbations in `arrays` at most."""


def recipe(run: Run) -> str:
    """Return the recipe as JSON, which `engine.recipe.Recipe.from_json` reads."""
    return json.dumps(run.recipe.to_json(), ensure_ascii=False, indent=1) + "\n"


def table(run: Run) -> str:
    """Return the whole curve as CSV: a row for every step, however many there are."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows(report.trajectory(run))
    return file.getvalue()


def picture_steps(run: Run) -> list[int]:
    """Return the steps whose perturbations are among the arrays: at most `PICTURES`, evenly spaced."""
    return sorted({run.picture_step(int(step)) for step in thinned(len(run), PICTURES)})


def arrays(run: Run) -> bytes:
    """Return the run as a NumPy archive, which opens without pickle.

    ``figures`` ``(steps, k)`` float32, named by ``figure_names`` (`engine.run.SCALARS`); ``classes``
    ``(c,)`` int64 and ``labels`` ``(c,)``; ``log_p`` ``(steps, c)`` float32, natural-log probabilities of
    those classes, of every step. ``original`` and ``adversarial`` ``(channels, h, w)`` float32 in [0, 1];
    ``delta_steps`` ``(m,)`` int64 and ``deltas`` ``(m, channels, h, w)`` float16, the perturbations of at
    most `PICTURES` steps. ``recipe``: JSON.
    """
    count, classes, steps = len(run), list(run.classes), picture_steps(run)
    file = io.BytesIO()
    np.savez_compressed(
        file,
        figures=run.scalars(0, count),
        figure_names=np.array(SCALARS),
        classes=np.array(classes, np.int64),
        labels=np.array([run.labels[index] for index in classes]),
        log_p=run.log_p(0, count, classes),
        original=run.picture(0),
        adversarial=run.picture(count - 1),
        delta_steps=np.array(steps, np.int64),
        deltas=np.stack([run.delta(step).astype(np.float16) for step in steps]),
        recipe=np.array(recipe(run)),
    )
    return file.getvalue()


def bundle(run: Run, script: str) -> bytes:
    """Return a zip of ``script`` as ``repeat.py``, the picture that it reads, and the recipe."""
    parts = {
        "repeat.py": script.encode(),
        "original.png": encode(to_image(run.picture(0)), "png"),
        "recipe.json": recipe(run).encode(),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            # A date of its own, so that the same run gives the same bytes.
            entry = zipfile.ZipInfo(f"foolscope-run/{name}", (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return file.getvalue()
