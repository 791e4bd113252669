"""How many images made to survive JPEG 75 still reach their target after it, beside a plain attack's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

import models
from bench.figures import Figure, figure
from engine.engine import Engine
from engine.images.sources import samples
from engine.recipe import Recipe
from engine.robustness.answers import survivor
from engine.robustness.corruptions import CORRUPTIONS
from engine.run import Run

EPSILON, NAMES, GOAL = 4 / 255, ("jpeg75",), 80
TARGETS = ("vulture", "pizza")


def survivors(engine: Engine, model: str) -> Iterator[Figure]:
    """Yield the share of photos, in percent of the runs that reached their target, that still do so after
    JPEG 75 of the 8-bit image: of a plain PGD, and of the same made to survive it."""
    what = f"JPEG 75 after PGD, linf {EPSILON * 255:g}/255, targeted, 8-bit: "
    plain, made = [], []
    for image in (s.name for s in samples().values() if s.channels == 3 and not s.kind):
        recipe = survivor(_subject(engine, model, image), NAMES, EPSILON)
        plain.append(_outcome(engine, replace(recipe, survives=())))
        made.append(_outcome(engine, recipe))
    yield _share("survives_plain", what + "a plain run", plain, "for comparison", 0)
    yield _share("survives_made", what + "made to survive it", made, f"at least {GOAL} %", GOAL)


def _subject(engine: Engine, model: str, image: str) -> Recipe:
    says = engine.classify(model, image)[0].label
    target = next(label for label in TARGETS if label != says)
    return Recipe(model, image, "pgd", target=models.card(model).label_index(target))


def _outcome(engine: Engine, recipe: Recipe) -> tuple[bool, bool]:
    """Return whether a run reaches its target, and whether its image does after the corruption."""
    run: Run = engine.submit(recipe)
    *_, last = engine.follow(run)
    forms = CORRUPTIONS[NAMES[0]].of(torch.from_numpy(run.picture(last))[None])
    return run.succeeded(last), int(engine.logits(recipe.model, forms)[0].argmax()) == recipe.target


def _share(name: str, what: str, outcomes: list[tuple[bool, bool]], goal: str, least: float) -> Figure:
    reached = [after for before, after in outcomes if before]
    counts = {"runs": len(outcomes), "reached": len(reached), "after": sum(reached)}
    share = 100 * sum(reached) / max(len(reached), 1)
    return figure(name, what, [share], "%", goal, lambda value: value >= least, **counts)
