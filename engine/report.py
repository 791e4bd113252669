"""What a run found, as files: pictures, the whole curve, and a summary that can be computed again."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine import checks
from engine.base import EngineBase
from engine.export.carried import Kind
from engine.export.making import Wanted
from engine.images.sources import PREPARED
from engine.render import encode, perturbation, suggest_gain, to_image
from engine.run import SCALARS, Prediction, Run
from engine.sharing import report_page
from errors import FoolscopeError

RESULT = "result.json"
SAVED: dict[str, tuple[str, Kind]] = {
    "adversarial.png": ("saved", "network"),
    "adversarial-full.png": ("saved_full", "photo"),
}
"""The attacked picture's files: where the result says what was read back, and which of its sizes it is."""


def write(engine: EngineBase, run: Run, folder: Path, image: str, finished: bool = True) -> dict[str, Any]:
    """Write a finished run into ``folder``: ``original.png``, ``adversarial.png`` (the network's size),
    ``adversarial-full.png`` (the photo's own), ``perturbation.png``, ``report.html`` (one page with all of
    it), ``trajectory.csv`` and ``result.json``; return the result.

    ``image`` is what the person called the picture; ``finished``: both pictures of a run that fooled are made
    to hold in 8 bits. Raises `errors.FoolscopeError` when the folder cannot be written.
    """
    last = len(run) - 1
    delta = run.picture(last) - run.picture(0)
    gain = suggest_gain(delta)
    files = {
        "original.png": encode(to_image(run.picture(0)), "png"),
        "perturbation.png": encode(perturbation(delta, gain), "png"),
        "report.html": report_page.page(run).encode(),
    }
    facts = result(run, image) | {"perturbation_gain": gain}
    for name, (field, kind) in SAVED.items():
        if kind == "photo" and run.recipe.image.startswith(PREPARED):
            continue
        export = engine.export(run, Wanted(kind, last, finished and run.succeeded(last)))
        files[name], facts[field] = export.data, export.verdict.plain()
    _write(folder, files, facts, run)
    return facts


def _write(folder: Path, files: Mapping[str, bytes], facts: Mapping[str, Any], run: Run) -> None:
    """Write the files of a run; raises `errors.FoolscopeError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        with (folder / "trajectory.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(trajectory(run))
        text = json.dumps(facts, ensure_ascii=False, indent=1)
        (folder / RESULT).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise FoolscopeError(f"Expected a folder to write to, got {folder}: {error.strerror}.") from error


def result(run: Run, image: str) -> dict[str, Any]:
    """Return the summary of a run: sizes on the [0, 1] pixel scale, seconds without pauses."""
    last = len(run) - 1
    figures = run.figures(last)
    return {
        "original": _prediction(run.top(0, 1)[0]),
        "final": _prediction(run.top(last, 1)[0]),
        "target": None if run.recipe.target is None else run.labels[run.recipe.target],
        "success": run.succeeded(last),
        "stopped_because": run.reason,
        "stopped_in_words": run.sentence(),
        "steps": last,
        **{name: figures[name] for name in ("linf", "l2", "rms")},
        "gradient_evaluations": run.gradient_evaluations,
        "queries": run.queries,
        "findings": [each.plain() for each in checks.findings(run)],
        "seconds": round(run.seconds, 3),
        "recipe": run.recipe.to_json() | {"image": image},
    }


def trajectory(run: Run) -> list[list[Any]]:
    """Return the curve as a table: a header, then one row a step with its figures and the
    probability of every class that was ever among the five most probable."""
    count, classes = len(run), list(run.classes)
    header = ["step", *SCALARS, "top_class", *(f"p({run.labels[index]})" for index in classes)]
    scalars, p = run.scalars(0, count), np.exp(run.log_p(0, count, classes))
    rows = [
        [
            step,
            *(f"{v:.7g}" for v in scalars[step]),
            run.top(step, 1)[0].label,
            *(f"{v:.6g}" for v in p[step]),
        ]
        for step in range(count)
    ]
    return [header, *rows]


def _prediction(prediction: Prediction) -> dict[str, Any]:
    return {"label": prediction.label, "probability": prediction.probability}
