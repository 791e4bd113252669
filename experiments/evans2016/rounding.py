"""How much of the article's paper towel is chance: black pictures that differ by less than rounding does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

import models
from attacks.settings import setting
from experiments.cache import Store
from experiments.core import JSON, ExperimentCard
from experiments.evans2016 import article
from experiments.evans2016.black import WAYS as BLACK_WAYS
from experiments.evans2016.black import intended
from experiments.methods.sign_steps import asking, step
from experiments.toolkit import intervals
from experiments.toolkit.bases import OfNetwork

WAYS = {name: BLACK_WAYS[name] for name in ("one step", "nine steps")}


@dataclass(frozen=True)
class Rounding(OfNetwork):
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

    model: str = setting(article.NETWORK, "Network", "Which network looks.", main=True)
    n: int = setting(24, "Pictures", "How many black pictures are shaken.", low=2, high=1000)
    noise: float = setting(
        1e-6, "Noise", "Its standard deviation in grey levels of 255.", low=1e-9, high=1, main=True
    )

    def pieces(self) -> list[str]:
        """Return one piece for each picture."""
        return [str(index) for index in range(self.n)]

    def piece(self, name: str, store: Store) -> JSON:
        """Return the target's probability after each way of going from the shaken picture."""
        model = models.load(self.model).double()
        shape = (1, model.card.channels, model.card.size, model.card.size)
        rng = torch.Generator().manual_seed(1000 * self.seed + int(name))
        x = self.noise / 255 * torch.randn(shape, generator=rng, dtype=torch.float64)
        with torch.no_grad():
            target = intended(model.card, model(torch.zeros_like(x)).softmax(1)[0])
        ends = {
            way: float(step(asking(model), x, target, [0.9 / 255 / parts] * count, cut=False).p[-1, target])
            for way, (count, parts) in WAYS.items()
        }
        return {"target": model.card.labels[target], "ends": ends}

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the target, all ends by way, their means with intervals, and what the article prints."""
        ends = {way: [each["ends"][way] for each in done.values()] for way in WAYS}
        return {
            "target": next(iter(done.values()))["target"],
            "ends": {way: [round(value, 5) for value in values] for way, values in ends.items()},
            "means": {way: intervals.mean(values) for way, values in ends.items()},
            "editions": article.EDITIONS if self.model == article.NETWORK else None,
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return whether rounding moves the last number, and as far as the editions are apart."""
        low, high = min(figures["ends"]["nine steps"]), max(figures["ends"]["nine steps"])
        found = {"What no file can hold moves the ninth step by more than two points.": high - low > 0.02}
        if figures["editions"]:
            near = all(low - 0.01 <= said / 100 <= high + 0.01 for said in figures["editions"])
            found["The numbers of both editions are among what comes out, give or take one point."] = near
        return found
