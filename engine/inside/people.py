"""What an attack means to people: how alike its two pictures are, and what it did to a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.inside.classes import fools
from engine.inside.composition import power, shares
from engine.inside.similarity import structural_similarity
from engine.run import Floats, Run


@dataclass(frozen=True)
class Similarity:
    """``ssim``: structural similarity, at most 1, that of the same picture."""

    ssim: float


@dataclass(frozen=True)
class Perturbed:
    """What an attack did to a ``network`` by ``step``: ``original`` and ``label`` are classes before and
    after, ``probability``, in [0, 1], of the latter, ``fooled``: whether that is what the attack is after;
    ``length``: l2 and ``largest``: linf of the perturbation, ``low``: the share of its squared l2 below
    `engine.inside.composition.LOW`; ``ssim`` of the two pictures; ``perturbation`` and ``picture``
    ``(c, h, w)`` float32, the latter in [0, 1]."""

    network: str
    step: int
    original: int
    label: int
    probability: float
    fooled: bool
    length: float
    largest: float
    low: float
    ssim: float
    perturbation: Floats
    picture: Floats


def perturbed(run: Run, step: int) -> Perturbed:
    """Return what a run's attack did to its network by ``step``."""
    start, picture = run.start, run.picture(step).astype(np.float32)
    delta, (best,) = picture - start, run.top(step, 1)
    low, *_ = shares(power(delta)) if delta.any() else (0.0,)
    return Perturbed(
        network=run.recipe.model,
        step=step,
        original=run.original,
        label=best.index,
        probability=best.probability,
        fooled=fools(run, best.index),
        length=float(np.linalg.norm(delta)),
        largest=float(np.abs(delta).max()),
        low=low,
        ssim=structural_similarity(start, picture),
        perturbation=delta,
        picture=picture,
    )
