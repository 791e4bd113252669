"""Whether what leaves a run still fools: every file read back, over the photos of ``FOOLSCOPE_DATA``.

It takes hours on two cores, so each run's outcome is a line of ``exports.jsonl`` as soon as it is there, and
a bench that was broken off goes on behind the last one; without that file it begins anew.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

import models
from attacks.contract import Stop
from bench.figures import Figure
from engine.engine import Engine
from engine.export.making import Wanted
from engine.jobs import criterion_of
from engine.recipe import Recipe
from engine.robustness.corruptions import jpeg
from engine.run import Floats, Run
from errors import FoolscopeError, MissingData
from experiments.datasets.photos import open_photograph, photographs
from experiments.toolkit import codec

NETWORKS = (models.FIRST, "efficientnet_lite2")
MINIMAL = ("deepfool", "ddn", "fmn", "carlini_wagner", "fab")
TARGETS = ("vulture", "pizza")
"""The class to reach, and the one for a photo that is the first already."""
TARGETED = "bim"
"""The attack within `BUDGET` towards a class."""
BUDGET = 4 / 255
JOURNAL = Path(__file__).with_name("exports.jsonl")


@dataclass(frozen=True)
class Measured:
    """One run that fooled, and whether its files do. ``network`` and ``photo``: with the finish, at the
    network's size and at the photo's own; ``naive`` and ``naive_photo``: only rounded; ``jpeg`` and
    ``jpeg_photo``: finished as JPEG 90; ``again``: ``photo``, which somebody else saves as JPEG 90; the last
    two are asked of `TARGETED` alone. ``added``: grey levels of linf that the finish adds at the
    network's size; ``longer``: by what share it adds to l2; ``least``: what whole levels must add to l2, as
    `least_longer` says."""

    network: bool
    photo: bool
    naive: bool
    naive_photo: bool
    jpeg: bool
    jpeg_photo: bool | None
    again: bool | None
    added: float
    longer: float
    least: float


class Case(NamedTuple):
    """One run: the file of a photo, a network, and one of `MINIMAL` or `TARGETED`."""

    photo: str
    network: str
    attack: str


@dataclass(frozen=True)
class Outcome:
    """What came of a case; ``measured``: None where the run itself did not fool."""

    photo: str
    network: str
    attack: str
    measured: Measured | None

    @property
    def case(self) -> Case:
        """Return what it is the outcome of."""
        return Case(self.photo, self.network, self.attack)


def measured(photos: int, journal: Path = JOURNAL) -> list[Figure]:
    """Return the share of files that still fool, over so many photos, both networks and all attacks; what
    ``journal`` has is not computed again."""
    names = list(photographs())[:photos]
    if not names:
        raise MissingData("Expected FOOLSCOPE_DATA to name a folder with photos.tsv, got none.")
    known = {outcome.case: outcome for outcome in read(journal)}
    engine = Engine(sources={"photo": open_photograph})
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # while one asks the network, another's file is made
            for outcome in pool.map(partial(_outcome, engine), [c for c in cases(names) if c not in known]):
                known[outcome.case] = outcome
                with journal.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(asdict(outcome)) + "\n")
    finally:
        engine.close()
    return figures([known[case] for case in cases(names)])


def cases(names: Sequence[str]) -> list[Case]:
    """Return all cases, photo by photo, so that those of a broken-off bench are of all kinds."""
    return [Case(n, network, a) for n in names for network in NETWORKS for a in (TARGETED, *MINIMAL)]


def read(journal: Path) -> list[Outcome]:
    """Return the outcomes that a journal holds, none where there is no such file."""
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else []
    return [codec.load(json.loads(line), Outcome) for line in lines]


def figures(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Return the shares of files that fool, among the runs that did, and what the finish adds."""
    budget = [o.measured for o in outcomes if o.measured and o.attack == TARGETED]
    minimal = [o.measured for o in outcomes if o.measured and o.attack != TARGETED]
    return [*_figures("4/255 targeted", budget, 0.95), *_figures("minimal", minimal, None), *_costs(minimal)]


def _outcome(engine: Engine, case: Case) -> Outcome:
    image = f"photo:{case.photo}"
    run = engine.submit(_recipe(case, image, engine.classify(case.network, image)[0].label))
    list(engine.follow(run))
    fooled = run.status == "finished" and run.succeeded(len(run) - 1)
    return Outcome(*case, _judged(engine, run) if fooled else None)


def _recipe(case: Case, image: str, best: str) -> Recipe:
    if case.attack != TARGETED:
        return Recipe(case.network, image, case.attack)
    target = models.card(case.network).label_index(TARGETS[best == TARGETS[0]])
    settings: dict[str, Any] = {"epsilon": BUDGET, "steps": 60}
    return Recipe(case.network, image, TARGETED, settings, target, stop=Stop("probability", 0.95))


def _judged(engine: Engine, run: Run) -> Measured:
    """Return whether the files of a run fool; one that cannot be made does not."""
    last, within = len(run) - 1, run.recipe.attack == TARGETED

    def fools(wanted: Wanted) -> bool:
        try:
            return engine.export(run, wanted).verdict.success
        except FoolscopeError as error:
            print(f"{run.recipe.attack} on {run.recipe.image}, {wanted}: {error}", flush=True)
            return False

    before, saved = run.figures(last), engine.export(run, Wanted("network", last, True)).verdict
    return Measured(
        saved.success,
        fools(Wanted("photo", last, True)),
        fools(Wanted("network", last)),
        fools(Wanted("photo", last)),
        fools(Wanted("network", last, True, "jpg")),
        fools(Wanted("photo", last, True, "jpg")) if within else None,
        _saved_again(engine, run) if within else None,
        255 * (saved.linf - (before["linf"] or 0.0)),
        saved.l2 / (before["l2"] or 1.0) - 1,
        _least(engine, run),
    )


def _saved_again(engine: Engine, run: Run) -> bool:
    """Return whether the finished file at the photo's own size fools once it was saved as JPEG 90."""
    photo = Image.open(io.BytesIO(engine.export(run, Wanted("photo", len(run) - 1, True)).data))
    card = models.card(run.recipe.model)
    logits = engine.evaluate(card.name, card.preprocess(jpeg(90)(photo.convert("RGB")))[None]).logits
    return bool(criterion_of(run).met(logits)[0])


def _least(engine: Engine, run: Run) -> float:
    """Return `least_longer` for the end of a run."""
    end = torch.from_numpy(run.picture(len(run) - 1))[None]
    answer = engine.evaluate(run.recipe.model, end, criterion_of(run).margin, criterion_of(run))
    return least_longer(255 * (run.picture(len(run) - 1) - run.picture(0)), answer.gradient[0].numpy())


def least_longer(delta: Floats, slope: Floats) -> float:
    """Return by what share the least change in whole grey levels that gains as much as ``delta``, in grey
    levels, where the margin rises by ``slope`` a level, exceeds ``delta`` in l2; both ``(c, h, w)``.

    For a number ``t``, no change gains more for its l2 than ``rint(t * slope)``: the raise from ``m`` to
    ``m + 1`` costs ``2m + 1`` in the square.
    """

    def gain(change: Floats) -> float:
        return float((slope * change).sum(dtype=np.float64))

    low, high, wanted = 0.0, 0.5 / (float(np.abs(slope).max()) or 1.0), gain(delta)
    while gain(np.rint(high * slope)) < wanted:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if gain(np.rint(middle * slope)) >= wanted else (middle, high)
    return float(np.linalg.norm(np.rint(high * slope)) / np.linalg.norm(delta)) - 1


def _figures(about: str, runs: Sequence[Measured], lossy: float | None) -> list[Figure]:
    """Return the shares of files that fool; ``lossy``: the share that is to after JPEG 90."""
    rows = [
        ("network", "at the network's size, finished", 0.98),
        ("photo", "at the photo's own size, finished", 0.98),
        ("naive", "at the network's size, only rounded", None),
        ("naive_photo", "at the photo's own size, only rounded", None),
        ("jpeg", "at the network's size, finished, as JPEG 90", lossy),
        ("jpeg_photo", "at the photo's own size, finished, as JPEG 90", lossy),
        ("again", "at the photo's own size, finished, saved by others as JPEG 90", lossy),
    ]
    shares = [(what, [getattr(run, name) for run in runs], goal) for name, what, goal in rows]
    return [_share(f"{about}: {what}", fooled, goal) for what, fooled, goal in shares if None not in fooled]


def _share(what: str, fooled: Sequence[bool], goal: float | None) -> Figure:
    value = 100 * sum(fooled) / max(len(fooled), 1)
    wanted = "" if goal is None else f"at least {goal:.0%}"
    name = "export " + what
    return Figure(
        name, f"{what} ({sum(fooled)} of {len(fooled)})", value, "%", wanted, value >= 100 * (goal or 0)
    )


def _costs(runs: Sequence[Measured]) -> list[Figure]:
    """Return what the finish adds to a minimal attack at the network's size, medians."""
    names = ("added", "longer", "least")
    added, longer, least = (median([getattr(run, name) for run in runs] or [0.0]) for name in names)
    return [
        Figure("export linf", "minimal: linf added by the finish", added, "levels", "at most 1", added <= 1),
        Figure(
            "export l2", "minimal: l2 added by the finish", 100 * longer, "%", "at most 15", longer <= 0.15
        ),
        Figure(
            "export l2 least",
            "minimal: l2 that whole levels add at least, to first order",
            100 * least,
            "%",
            "",
            True,
        ),
    ]
