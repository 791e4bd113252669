"""One step down the gradient of what a network says of a picture, of a size that nobody sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

import models
from attacks.settings import setting
from experiments.cache import Store
from experiments.core import JSON, ExperimentCard
from experiments.datasets.photos import Open, open_named
from experiments.methods.sign_steps import asking, step
from experiments.toolkit.bases import OfNetwork

SIZES = {"small": 0.9, "famous": 0.007 * 255}
"""In grey levels: the article's step, and the .007 of Goodfellow et al. 2014 (figure 1)."""


@dataclass(frozen=True)
class StepAway(OfNetwork):
    """One step against the sign of the gradient of the first class's probability, for each of `SIZES`.

    ``open`` returns the picture of a name, such as an upload's in an app.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="step_away",
        title="One step away",
        question="Does one step that nobody can see change what a network says of a photo?",
        paper="Explaining and Harnessing Adversarial Examples",
        url="https://arxiv.org/abs/1412.6572",
        source="Figure 1 (a step of .007), and the article's step of .9 grey levels",
        digits=False,
    )

    n: int = setting(1, "Pictures", "The one picture.", low=1, high=1)
    image: str = setting("panda", "Picture", "A sample, or photo:FILE of the data folder.")
    open: Open = field(default=open_named, compare=False, repr=False)

    def pieces(self) -> list[str]:
        """Return the sizes by name."""
        return list(SIZES)

    def piece(self, name: str, store: Store) -> JSON:
        """Return what the network says before the step and after it: the five most probable classes."""
        model = models.load(self.model)
        x = model.card.see(self.open(self.image))[None]
        with torch.no_grad():
            own = int(model(x).argmax())
        taken = step(asking(model), x, own, [-SIZES[name] / 255], cut=True)
        labels = model.card.labels
        return {"own": labels[own], "before": _five(taken.p[0], labels), "after": _five(taken.p[1], labels)}

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return both steps by name."""
        return {"steps": dict(done)}

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return whether the steps change the answer, or at least weaken it."""
        steps: Mapping[str, Any] = figures["steps"]
        return {
            "A step of .9 grey levels makes the network less sure of what it says.": (
                steps["small"]["after"][0][0] != steps["small"]["own"]
                or steps["small"]["after"][0][1] < steps["small"]["before"][0][1]
            ),
            "A step of .007 changes what it says.": (
                steps["famous"]["after"][0][0] != steps["famous"]["own"]
            ),
        }


def _five(p: Tensor, labels: tuple[str, ...]) -> list[list[Any]]:
    best = p.topk(5)
    return [
        [labels[i], round(v, 5)] for i, v in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
