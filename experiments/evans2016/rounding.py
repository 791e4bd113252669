"""How much of the article's paper towel is chance: black pictures that differ by less than rounding does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from attacks.settings import setting
from engine import intervals
from engine.intervals import Estimate
from engine.networks import copied
from experiments.cache import Store
from experiments.core import ExperimentCard, Stage
from experiments.evans2016 import article
from experiments.evans2016.black import WALKS as BLACK_WALKS
from experiments.evans2016.black import intended
from experiments.methods.sign_steps import asking, step
from experiments.toolkit.bases import OfNetwork

WALKS = {name: BLACK_WALKS[name] for name in ("one step", "nine steps")}


@dataclass(frozen=True)
class Ends:
    """The probability, from 0 to 1, of the label ``target`` at the end of each of `WALKS`."""

    target: str
    ends: dict[str, float]


@dataclass(frozen=True)
class RoundingFigures:
    """The probabilities, from 0 to 1, of the label ``target`` at the end of each of `WALKS`, one for each
    picture, and their means; ``editions``: what the article's editions print, in percent, None for another
    network than its own."""

    target: str
    ends: dict[str, list[float]]
    means: dict[str, Estimate]
    editions: list[float] | None


@dataclass(frozen=True)
class ShakenPicture(Stage):
    """The black picture of one number."""

    answer: ClassVar[type] = Ends

    number: int

    @property
    def name(self) -> str:
        """Return the number."""
        return str(self.number)


@dataclass(frozen=True)
class Rounding(OfNetwork[Ends, RoundingFigures]):
    """The article's steps from ``n`` black pictures, each shaken by noise far below what a file can hold.

    On black the network's maps are flat: every maximum of a pool is a tie, and many gradients are 0 but for
    rounding. What breaks the ties steers the first steps, and the ninth tells them apart. In double
    precision, so that nothing but the noise breaks them.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="rounding",
        title="Nine steps, and chance",
        question="How much of the article's last number does rounding decide?",
        paper=article.TITLE,
        url=article.URL,
        source="the ten small steps from black, which two editions print differently",
        digits=False,
    )
    result: ClassVar[type] = RoundingFigures

    model: str = setting(article.NETWORK, "Network", "Which network looks.", main=True)
    n: int = setting(24, "Pictures", "How many black pictures are shaken.", low=2, high=1000)
    noise: float = setting(
        1e-6, "Noise", "Its standard deviation in grey levels of 255.", low=1e-9, high=1, main=True
    )

    def stages(self) -> list[ShakenPicture]:
        """Return one stage for each picture."""
        return [ShakenPicture(number) for number in range(self.n)]

    def carry_out(self, stage: ShakenPicture, store: Store) -> Ends:
        """Return the target's probability at the end of each walk from the shaken picture."""
        model = copied(self.model).double()
        shape = (1, model.card.channels, model.card.size, model.card.size)
        rng = torch.Generator().manual_seed(1000 * self.seed + stage.number)
        x = self.noise / 255 * torch.randn(shape, generator=rng, dtype=torch.float64)
        with torch.no_grad():
            target = intended(model.card, model(torch.zeros_like(x)).softmax(1)[0])
        ends = {
            name: float(step(asking(model), x, target, [0.9 / 255 / parts] * count, cut=False).p[-1, target])
            for name, (count, parts) in WALKS.items()
        }
        return Ends(model.card.labels[target], ends)

    def summarise(self, answers: Sequence[Ends]) -> RoundingFigures:
        """Return the target, all ends by walk, their means with intervals, and what the article prints."""
        ends = {name: [answer.ends[name] for answer in answers] for name in WALKS}
        return RoundingFigures(
            target=answers[0].target,
            ends={name: [round(value, 5) for value in values] for name, values in ends.items()},
            means={name: intervals.mean(values) for name, values in ends.items()},
            editions=article.EDITIONS if self.model == article.NETWORK else None,
        )

    def claims(self, figures: RoundingFigures) -> dict[str, bool]:
        """Return whether rounding moves the last number, and as far as the editions are apart."""
        low, high = min(figures.ends["nine steps"]), max(figures.ends["nine steps"])
        claims = {"What no file can hold moves the ninth step by more than two points.": high - low > 0.02}
        if figures.editions:
            near = all(low - 0.01 <= percent / 100 <= high + 0.01 for percent in figures.editions)
            claims["The numbers of both editions are among what comes out, give or take one point."] = near
        return claims
