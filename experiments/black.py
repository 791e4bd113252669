"""Black made into a paper towel: in one step, and in nine as long together (the panda-to-vulture article)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

import models
from attacks.core import setting
from experiments import vulture
from experiments.core import JSON, ExperimentCard
from experiments.families import OfNetwork
from experiments.signs import Steps, asking, step
from experiments.store import Store
from models.core import Card

WAYS = {"one step": 1, "nine steps": 9}


def intended(card: Card, p: Tensor) -> int:
    """Return the class to make of black: the paper towel where the network knows it, else the one that it
    puts fourth, as it is with the article's network; ``p`` ``(classes,)``."""
    if "paper towel" in card.labels:
        return card.label_index("paper towel")
    return int(p.topk(min(4, len(p))).indices[-1])


@dataclass(frozen=True)
class Black(OfNetwork):
    """One step of ``size`` grey levels along the sign of the gradient, and nine of a ninth of that, from a
    black picture; once as the article does it, below black too, and once cut to what a picture can hold.

    In double precision: on black much hangs on rounding, so that in single precision the nine steps end a few
    points apart for another number of threads.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="black",
        title="Black is a paper towel",
        question="How far is a black picture from any other answer?",
        paper=vulture.TITLE,
        url=vulture.URL,
        source="the black picture, one step, and ten small steps (which are nine)",
        digits=False,
    )

    version: ClassVar[int] = 3

    n: int = setting(1, "Pictures", "The black one.", low=1, high=1)
    size: float = setting(
        0.9, "Size", "How far each pixel moves in all, in grey levels of 255.", low=0.01, high=50
    )

    def pieces(self) -> list[str]:
        """Return both ways, as the article goes them and cut to pictures."""
        return [f"{way}{kind}" for kind in ("", ", cut") for way in WAYS]

    def piece(self, name: str, store: Store) -> JSON:
        """Return what the network says at each step: the classes of the first and of the last top five."""
        way, _, cut = name.partition(", ")
        model = models.load(self.model).double()
        shape = (1, model.card.channels, model.card.size, model.card.size)
        black = torch.zeros(shape, dtype=torch.float64)
        with torch.no_grad():
            target = intended(model.card, model(black).softmax(1)[0])
        sizes = [self.size / 255 / WAYS[way]] * WAYS[way]
        return told(model.card, target, step(asking(model), black, target, sizes, cut=bool(cut)))

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the ways by name, and the target."""
        return {"ways": dict(done), "target": done["one step"]["target"]}

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return whether a step helps, and nine help more."""
        target = figures["target"]
        last = {name: way["curves"][target][-1] for name, way in figures["ways"].items()}
        begun = figures["ways"]["one step"]["curves"][target][0]
        return {
            "One step makes the network surer of the target.": last["one step"] > begun,
            "Nine small steps reach farther than one as long as all of them.": last["nine steps"]
            > last["one step"],
            "Cut to what a picture can hold, the same steps do less.": last["nine steps, cut"]
            < last["nine steps"],
        }


def told(card: Card, target: int, steps: Steps) -> dict[str, Any]:
    """Return the target, and the probabilities at each step of the first and of the last top five."""
    ends = [*steps.p[0].topk(5).indices.tolist(), *steps.p[-1].topk(5).indices.tolist()]
    kept = list(dict.fromkeys([*ends, target]))
    return {
        "target": card.labels[target],
        "curves": {card.labels[i]: [round(v, 6) for v in steps.p[:, i].tolist()] for i in kept},
    }
