"""The panda-to-vulture article's numbers of black, in the arithmetic in which it was computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from attacks.settings import setting
from engine.networks import shared
from errors import BadSetting
from experiments.cache import Store
from experiments.core import ExperimentCard, Stage
from experiments.evans2016 import article
from experiments.evans2016.black import Curves, curves
from experiments.methods.sign_steps import asking, step
from experiments.toolkit.bases import OfNetwork
from experiments.toolkit.codec import key
from models.caffe_exact.caffe import as_caffe

TARGET = "paper towel"
ONE, NINE = 1 / 255, 0.1 / 255
STEPS, AT_ONCE = 9, 3


@dataclass(frozen=True)
class ArithmeticFigures:
    """What the article's arithmetic gives.

    ``curve``: the probability, from 0 to 1, of the class ``target`` on black and after each of the nine steps
    (on black alone where those were not taken). ``probabilities``: of the first and of the last top five, by
    label, for black, after the "one step" and after the "nine steps". ``printed``: what the article prints
    of the same, in percent.
    """

    target: str
    curve: list[float]
    probabilities: dict[str, dict[str, float]] = field(metadata=key("found"))
    printed: dict[str, dict[str, float]]


@dataclass(frozen=True)
class OneStep(Stage):
    """One step of a whole grey level."""

    answer: ClassVar[type] = Curves

    @property
    def name(self) -> str:
        """Return "one step"."""
        return "one step"


@dataclass(frozen=True)
class SmallSteps(Stage):
    """`AT_ONCE` of the nine steps of a tenth of a grey level, from number ``first`` (1 to 9) on."""

    answer: ClassVar[type] = Curves

    first: int

    @property
    def name(self) -> str:
        """Return which steps they are."""
        return f"steps {self.first} to {self.first + AT_ONCE - 1}"


@dataclass(frozen=True)
class Arithmetic(OfNetwork[Curves, ArithmeticFigures]):
    """Black, one step of a whole grey level from it, and nine of a tenth, as Caffe sums.

    On black every maximum of a pool is a tie, and the last bit of a sum decides where its gradient goes; so
    the article's numbers come out where each sum is taken in the order of its library.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="arithmetic",
        title="To the last digit",
        question="Do the article's numbers come out where sums are taken in its library's order?",
        paper=article.TITLE,
        url=article.URL,
        source="the black picture, one step rounded to whole grey levels, and nine steps (second edition)",
        digits=False,
    )
    result: ClassVar[type] = ArithmeticFigures

    model: str = setting(article.NETWORK, "Network", "Caffe's GoogLeNet, as the article feeds it.", main=True)
    n: int = setting(1, "Pictures", "The black one.", low=1, high=1)
    nine: bool = setting(True, "Nine steps", "Take the nine small steps too, which takes a while.")

    def __post_init__(self) -> None:
        """Check every setting; raises `errors.BadSetting` for another network than the article's."""
        super().__post_init__()
        if self.model != article.NETWORK:
            raise BadSetting(f"Expected model to be {article.NETWORK}, the article's, got “{self.model}”.")

    def stages(self) -> list[OneStep | SmallSteps]:
        """Return the one step, then the nine, a few at once."""
        small = [SmallSteps(first) for first in range(1, STEPS, AT_ONCE)] if self.nine else []
        return [OneStep(), *small]

    def carry_out(self, stage: OneStep | SmallSteps, store: Store) -> Curves:
        """Return what the network says at each step; the nine go on from where the last few ended."""
        model = as_caffe(shared(self.model))
        target, sizes = model.card.label_index(TARGET), [ONE]
        x = torch.zeros(1, 3, model.card.size, model.card.size, dtype=torch.float64)
        if isinstance(stage, SmallSteps):
            sizes = [NINE] * AT_ONCE
            if stage.first > 1:
                x = store.tensors(SmallSteps(stage.first - AT_ONCE).name)["x"]
        steps = step(asking(model), x, target, sizes, cut=False)
        store.put_tensors(stage.name, {"x": steps.x[-1:]})
        return curves(model.card, target, steps)

    def summarise(self, answers: Sequence[Curves]) -> ArithmeticFigures:
        """Return the target, its probability at each step, the top five before and after, what is printed."""
        one, *small = [answer.curves for answer in answers]
        ends = {"black": (one, 0), "one step": (one, -1)} | ({"nine steps": (small[-1], -1)} if small else {})
        return ArithmeticFigures(
            target=TARGET,
            curve=[one[TARGET][0], *(p for part in small for p in part[TARGET][1:])],
            probabilities={
                name: {label: p[at] for label, p in by_label.items()} for name, (by_label, at) in ends.items()
            },
            printed=article.PRINTED,
        )

    def claims(self, figures: ArithmeticFigures) -> dict[str, bool]:
        """Return whether the numbers are the article's."""
        claims = {
            "black": "The five numbers for black are the article's, to the last digit printed.",
            "one step": "So are the five after one step of a whole grey level.",
            "nine steps": "So are the two after nine steps of a tenth.",
        }
        computed = figures.probabilities.items()
        return {claims[name]: _same(by_label, figures.printed[name]) for name, by_label in computed}


def _same(computed: Mapping[str, float], printed: Mapping[str, float]) -> bool:
    return all(round(100 * computed.get(label, 0), 2) == percent for label, percent in printed.items())
