"""Runs that ship: what a page shows at once, until its visitor presses the button for a run of their own.

``python -m app.shipped_runs`` computes them anew; `engine.saved` reads and writes their files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import models
from app.compare import comparisons
from attacks.contract import Stop
from attacks.toolkit.norms import LINF
from engine.links import DEFAULT
from engine.recipe import Recipe
from engine.saved import run_id

STEPS = 100
"""Steps of the run from panda to vulture."""
RACERS = ("fgsm", "pgd", "mi_fgsm", "deepfool", "square", "random_noise")
TWINS = ("photos", "photos_robust")
PAIRS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cat": ("cat", ("bath towel", "umbrella")),
    "coffee": ("coffee", ("cocktail shaker", "elephant")),
    "motorcycle": ("motorcycle", ("ostrich", "ostrich or emu")),
}
"""A picture and what to make of it: the first of these labels that the network knows."""


def hundred(model: str, image: str, target: int, levels: float) -> Recipe:
    """Return `STEPS` signed steps towards class ``target``, of ``levels`` grey levels in all."""
    epsilon = levels / 255
    params = {"steps": STEPS, "step_size": epsilon / STEPS, "epsilon": epsilon}
    return Recipe(model, image, "bim", params, target, stop=Stop("steps"))


def pair(model: str, image: str, target: int) -> Recipe:
    """Return signed steps of a quarter of a grey level, until the network is sure of class ``target``."""
    params = {"steps": 80, "step_size": 0.25 / 255, "epsilon": 16 / 255}
    return Recipe(model, image, "bim", params, target, stop=Stop("probability", 0.95))


def twins(image: str) -> list[Recipe]:
    """Return the same attack on a network and its robust twin, away from what each says."""
    params = {"steps": 40, "step_size": 0.6 / 255, "epsilon": 6 / 255}
    return [Recipe(name, image, "pgd", params, stop=Stop("steps")) for name in TWINS]


def race() -> list[Recipe]:
    """Return the comparison that opens: `RACERS` at 4/255, on the picture, network and goal that open."""
    target = models.card(DEFAULT.model).label_index("vulture")
    return comparisons.race(replace(DEFAULT, target=target), RACERS, LINF.name, 4 / 255, 40)


def recipes() -> dict[str, Recipe]:
    """Return every run that ships, by the name of its file."""
    first, card = DEFAULT.model, models.card(DEFAULT.model)
    ready = {"hundred": hundred(first, DEFAULT.image, card.label_index("vulture"), 2)}
    for name, (image, labels) in PAIRS.items():
        ready[f"pair-{name}"] = pair(first, image, card.label_index(labels[0]))
    ready |= {f"twins-{recipe.model}": recipe for recipe in twins(DEFAULT.image)}
    return ready | {f"race-{recipe.attack}": recipe for recipe in race()}


def race_ids() -> list[str]:
    """Return the ids of the runs of the comparison that opens."""
    return [run_id(f"race-{name}") for name in RACERS]
