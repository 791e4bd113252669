"""Whether what leaves a run still fools: every file read back, over the photos of ``FOOLSCOPE_DATA``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import models
from attacks.contract import Stop
from bench.figures import Figure
from engine.engine import Engine
from engine.export.exports import Wanted
from engine.recipe import Recipe
from engine.run import Run
from errors import FoolscopeError, MissingData
from experiments.datasets.photos import open_photograph, photographs

NETWORKS = (models.FIRST, "efficientnet_lite2")
MINIMAL = ("deepfool", "ddn", "fmn", "carlini_wagner", "fab")
TARGETS = ("vulture", "pizza")
"""The class to reach, and the one for a photo that is the first already."""
BUDGET = 4 / 255


@dataclass(frozen=True)
class Measured:
    """One run that fooled, and whether its files do. ``network`` and ``photo``: with the finish, at the
    network's size and at the photo's own; ``naive`` and ``naive_photo``: only rounded; ``jpeg`` and
    ``jpeg_photo``: the finished ones as JPEG 90. ``added``: grey levels of linf that the finish adds at the
    network's size; ``longer``: by what share it adds to l2."""

    network: bool
    photo: bool
    naive: bool
    naive_photo: bool
    jpeg: bool
    jpeg_photo: bool
    added: float
    longer: float


def measured(photos: int) -> list[Figure]:
    """Return the share of files that still fool, over so many photos, both networks and all attacks."""
    names = list(photographs())[:photos]
    if not names:
        raise MissingData("Expected FOOLSCOPE_DATA to name a folder with photos.tsv, got none.")
    engine = Engine(sources={"photo": open_photograph})
    try:
        budget = [found for run in _runs(engine, names, _targeted) for found in _judged(engine, run)]
        minimal = [
            found
            for attack in MINIMAL
            for run in _runs(engine, names, _minimal(attack))
            for found in _judged(engine, run)
        ]
    finally:
        engine.close()
    return [*_figures("4/255 targeted", budget, 0.95), *_figures("minimal", minimal, None), *_costs(minimal)]


def _targeted(model: str, image: str, best: str) -> Recipe:
    goal = TARGETS[best == TARGETS[0]]
    params: dict[str, Any] = {"epsilon": BUDGET, "steps": 60}
    return Recipe(
        model, image, "bim", params, models.card(model).label_index(goal), stop=Stop("probability", 0.95)
    )


def _minimal(attack: str) -> Callable[[str, str, str], Recipe]:
    return lambda model, image, best: Recipe(model, image, attack)


def _runs(engine: Engine, names: Sequence[str], recipe: Callable[[str, str, str], Recipe]) -> Iterator[Run]:
    """Yield the finished runs that fooled, on every network and photo."""
    for model in NETWORKS:
        for name in names:
            image = f"photo:{name}"
            run = engine.submit(recipe(model, image, engine.classify(model, image)[0].label))
            list(engine.follow(run))
            if run.status == "finished" and run.succeeded(len(run) - 1):
                yield run


def _judged(engine: Engine, run: Run) -> Iterator[Measured]:
    last = len(run) - 1

    def fools(wanted: Wanted) -> bool:
        return engine.export(run, wanted).verdict.success

    try:
        figures, saved = run.figures(last), engine.export(run, Wanted("network", last, True)).verdict
        yield Measured(
            saved.success,
            fools(Wanted("photo", last, True)),
            fools(Wanted("network", last)),
            fools(Wanted("photo", last)),
            fools(Wanted("network", last, True, "jpg")),
            fools(Wanted("photo", last, True, "jpg")),
            255 * (saved.linf - (figures["linf"] or 0.0)),
            saved.l2 / (figures["l2"] or 1.0) - 1,
        )
    except FoolscopeError as error:
        print(f"{run.recipe.attack} on {run.recipe.image}: {error}", flush=True)


def _figures(about: str, found: Sequence[Measured], jpeg: float | None) -> list[Figure]:
    """Return the shares of files that fool; ``jpeg``: the share that is to after JPEG 90."""
    rows = [
        ("network", "at the network's size, finished", 0.98),
        ("photo", "at the photo's own size, finished", 0.98),
        ("naive", "at the network's size, only rounded", None),
        ("naive_photo", "at the photo's own size, only rounded", None),
        ("jpeg", "at the network's size, finished, as JPEG 90", None),
        ("jpeg_photo", "at the photo's own size, finished, as JPEG 90", jpeg),
    ]
    return [
        _share(f"{about}: {what}", [getattr(each, name) for each in found], goal) for name, what, goal in rows
    ]


def _share(what: str, fooled: Sequence[bool], goal: float | None) -> Figure:
    value = 100 * sum(fooled) / max(len(fooled), 1)
    wanted = "" if goal is None else f"at least {goal:.0%}"
    name = "export " + what
    return Figure(
        name, f"{what} ({sum(fooled)} of {len(fooled)})", value, "%", wanted, value >= 100 * (goal or 0)
    )


def _costs(found: Sequence[Measured]) -> list[Figure]:
    """Return what the finish adds to a minimal attack at the network's size, medians."""
    added, longer = (median([getattr(e, name) for e in found] or [0.0]) for name in ("added", "longer"))
    return [
        Figure("export linf", "minimal: linf added by the finish", added, "levels", "at most 1", added <= 1),
        Figure(
            "export l2", "minimal: l2 added by the finish", 100 * longer, "%", "at most 15", longer <= 0.15
        ),
    ]
