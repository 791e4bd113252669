"""Black made into a paper towel: in one step, and in nine as long together (the panda-to-vulture article)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from attacks.settings import setting
from engine.networks import copied
from experiments.cache import Store
from experiments.core import ExperimentCard, Stage
from experiments.evans2016 import article
from experiments.methods.sign_steps import Steps, asking, step
from experiments.toolkit.bases import OfNetwork
from experiments.toolkit.codec import key
from models.core import Card

ONE, NINE, LONG = "one step", "nine steps", "sixty steps"
WALKS = {ONE: (1, 1), NINE: (9, 9), LONG: (60, 9)}
"""How many steps, and by what the size is divided for each."""


def intended(card: Card, p: Tensor) -> int:
    """Return the class to make of black: the paper towel where the network knows it, else the one that it
    puts fourth, as it is with the article's network; ``p`` ``(classes,)``."""
    if "paper towel" in card.labels:
        return card.label_index("paper towel")
    return int(p.topk(min(4, len(p))).indices[-1])


@dataclass(frozen=True)
class Curves:
    """What the network says at each step: its probabilities, from 0 to 1, of the ``target`` and of the first
    and the last top five, by label."""

    target: str
    curves: dict[str, list[float]]


@dataclass(frozen=True)
class BlackFigures:
    """The curves by the name of the walk (`Walk.name`), and the class that they lead to."""

    walks: dict[str, Curves] = field(metadata=key("ways"))
    target: str


@dataclass(frozen=True)
class Walk(Stage):
    """Steps from black: so many as `WALKS` says, ``cut`` to what an image can hold or not."""

    answer: ClassVar[type] = Curves

    steps: str
    cut: bool

    @property
    def name(self) -> str:
        """Return how many steps, and whether they are cut."""
        return f"{self.steps}{', cut' if self.cut else ''}"


@dataclass(frozen=True)
class Black(OfNetwork[Curves, BlackFigures]):
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

    result: ClassVar[type] = BlackFigures
    version: ClassVar[int] = 4

    n: int = setting(1, "Pictures", "The black one.", low=1, high=1)
    size: float = setting(
        0.9, "Size", "How far each pixel moves in all, in grey levels of 255.", low=0.01, high=50
    )

    double: bool = setting(False, "Double precision", "Whether sums are taken in double precision.")

    def stages(self) -> list[Walk]:
        """Return all walks, as the article takes them and cut to images."""
        walks = [name for name in WALKS if not (self.double and name == LONG)]
        return [Walk(name, cut) for cut in (False, True) for name in walks]

    def carry_out(self, stage: Walk, store: Store) -> Curves:
        """Return what the network says at each step."""
        kind = torch.float64 if self.double else torch.float32
        model = copied(self.model).to(kind)
        black = torch.zeros((1, model.card.channels, model.card.size, model.card.size), dtype=kind)
        with torch.no_grad():
            target = intended(model.card, model(black).softmax(1)[0])
        count, parts = WALKS[stage.steps]
        sizes = [self.size / 255 / parts] * count
        return curves(model.card, target, step(asking(model), black, target, sizes, cut=stage.cut))

    def summarise(self, answers: Sequence[Curves]) -> BlackFigures:
        """Return the walks by name, and the target."""
        names = [stage.name for stage in self.stages()]
        return BlackFigures(dict(zip(names, answers, strict=True)), answers[0].target)

    def claims(self, figures: BlackFigures) -> dict[str, bool]:
        """Return whether a step helps, and nine help more."""
        last = {name: walk.curves[figures.target][-1] for name, walk in figures.walks.items()}
        begun = figures.walks[ONE].curves[figures.target][0]
        claims = {
            "One step makes the network surer of the target.": last[ONE] > begun,
            "Nine small steps reach farther than one as long as all of them.": last[NINE] > last[ONE],
            "Cut to what a picture can hold, the same steps do less.": last[f"{NINE}, cut"] < last[NINE],
        }
        if LONG not in last:
            return claims
        return claims | {"Sixty such steps make it the answer, with 95 % or more.": last[LONG] >= 0.95}


def curves(card: Card, target: int, steps: Steps) -> Curves:
    """Return the probabilities at each step of the target and of the first and of the last top five."""
    ends = [*steps.p[0].topk(5).indices.tolist(), *steps.p[-1].topk(5).indices.tolist()]
    indices = dict.fromkeys([*ends, target])
    probabilities = {card.labels[i]: [round(v, 6) for v in steps.p[:, i].tolist()] for i in indices}
    return Curves(card.labels[target], probabilities)
