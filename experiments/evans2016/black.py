"""Black made into a paper towel: in one step, and in nine as long together (the panda-to-vulture article)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

import models
from attacks.contract import setting
from experiments.cache import Store
from experiments.core import JSON, ExperimentCard
from experiments.evans2016 import article
from experiments.methods.sign_steps import Steps, asking, step
from experiments.toolkit.bases import OfNetwork
from models.core import Card

WAYS = {"one step": (1, 1), "nine steps": (9, 9), "sixty steps": (60, 9)}
"""How many steps, and by what the size is divided for each."""
LONG = "sixty steps"


def intended(card: Card, p: Tensor) -> int:
    """Return the class to make of black: the paper towel where the network knows it, else the one that it
    puts fourth, as it is with the article's network; ``p`` ``(classes,)``."""
    if "paper towel" in card.labels:
        return card.label_index("paper towel")
    return int(p.topk(min(4, len(p))).indices[-1])


@dataclass(frozen=True)
class Black(OfNetwork):
    """Signed steps from a black picture: one of ``size`` grey levels, nine and sixty of a ninth of that; once
    as the article takes them, below black too, and once cut to what a picture can hold.

    ``double``: in double precision and without the sixty steps, which would take minutes. On black the
    article's network has ties everywhere, so that in single precision its nine steps end a few points apart
    for another number of threads.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="black",
        title="Black is a paper towel",
        question="How far is a black picture from any other answer?",
        paper=article.TITLE,
        url=article.URL,
        source="the black picture, one step, and ten small steps (which are nine)",
        digits=False,
    )

    version: ClassVar[int] = 4

    n: int = setting(1, "Pictures", "The black one.", low=1, high=1)
    size: float = setting(
        0.9, "Size", "How far each pixel moves in all, in grey levels of 255.", low=0.01, high=50
    )

    double: bool = setting(False, "Double precision", "Whether sums are taken in double precision.")

    def pieces(self) -> list[str]:
        """Return all ways, as the article goes them and cut to pictures."""
        ways = [way for way in WAYS if not (self.double and way == LONG)]
        return [f"{way}{kind}" for kind in ("", ", cut") for way in ways]

    def piece(self, name: str, store: Store) -> JSON:
        """Return what the network says at each step: the classes of the first and of the last top five."""
        way, _, cut = name.partition(", ")
        kind = torch.float64 if self.double else torch.float32
        model = models.load(self.model).to(kind)
        black = torch.zeros((1, model.card.channels, model.card.size, model.card.size), dtype=kind)
        with torch.no_grad():
            target = intended(model.card, model(black).softmax(1)[0])
        count, parts = WAYS[way]
        sizes = [self.size / 255 / parts] * count
        return told(model.card, target, step(asking(model), black, target, sizes, cut=bool(cut)))

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the ways by name, and the target."""
        return {"ways": dict(done), "target": done["one step"]["target"]}

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return whether a step helps, and nine help more."""
        target = figures["target"]
        last = {name: way["curves"][target][-1] for name, way in figures["ways"].items()}
        begun = figures["ways"]["one step"]["curves"][target][0]
        claims = {
            "One step makes the network surer of the target.": last["one step"] > begun,
            "Nine small steps reach farther than one as long as all of them.": last["nine steps"]
            > last["one step"],
            "Cut to what a picture can hold, the same steps do less.": last["nine steps, cut"]
            < last["nine steps"],
        }
        if LONG not in last:
            return claims
        return claims | {"Sixty such steps make it the answer, with 95 % or more.": last[LONG] >= 0.95}


def told(card: Card, target: int, steps: Steps) -> dict[str, Any]:
    """Return the target, and the probabilities at each step of the first and of the last top five."""
    ends = [*steps.p[0].topk(5).indices.tolist(), *steps.p[-1].topk(5).indices.tolist()]
    kept = list(dict.fromkeys([*ends, target]))
    return {
        "target": card.labels[target],
        "curves": {card.labels[i]: [round(v, 6) for v in steps.p[:, i].tolist()] for i in kept},
    }
