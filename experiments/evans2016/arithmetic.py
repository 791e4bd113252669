"""The panda-to-vulture article's numbers of black, in the arithmetic in which it was computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

import models
from attacks.settings import setting
from errors import BadSetting
from experiments.cache import Store
from experiments.core import JSON, ExperimentCard
from experiments.evans2016 import article
from experiments.evans2016.black import told
from experiments.methods.sign_steps import asking, step
from experiments.toolkit.bases import OfNetwork
from models.caffe_exact.caffe import as_caffe

TARGET = "paper towel"
ONE, NINE = 1 / 255, 0.1 / 255
STEPS, AT_ONCE = 9, 3


@dataclass(frozen=True)
class Arithmetic(OfNetwork):
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

    model: str = setting(article.NETWORK, "Network", "Caffe's GoogLeNet, as the article feeds it.", main=True)
    n: int = setting(1, "Pictures", "The black one.", low=1, high=1)
    nine: bool = setting(True, "Nine steps", "Take the nine small steps too, which takes a while.")

    def __post_init__(self) -> None:
        """Check every setting; raises `errors.BadSetting` for another network than the article's."""
        super().__post_init__()
        if self.model != article.NETWORK:
            raise BadSetting(f"Expected model to be {article.NETWORK}, the article's, got “{self.model}”.")

    def pieces(self) -> list[str]:
        """Return the one step, then the nine, a few at once."""
        return ["one step", *self._parts()]

    def piece(self, name: str, store: Store) -> JSON:
        """Return what the network says at each step; the nine go on from where the last few ended."""
        model = as_caffe(models.load(self.model))
        target, first = model.card.label_index(TARGET), int(name.split()[1]) if name != "one step" else 1
        x = torch.zeros(1, 3, model.card.size, model.card.size, dtype=torch.float64)
        if first > 1:
            x = store.tensors(_part(first - AT_ONCE))["x"]
        steps = step(asking(model), x, target, [ONE] if name == "one step" else [NINE] * AT_ONCE, cut=False)
        store.put_tensors(name, {"x": steps.x[-1:]})
        return told(model.card, target, steps)

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the target, its probability at each step, the top five before and after, what is printed."""
        parts, one = [done[name]["curves"] for name in self._parts()], done["one step"]["curves"]
        ends = {"black": (one, 0), "one step": (one, -1)} | ({"nine steps": (parts[-1], -1)} if parts else {})
        return {
            "target": TARGET,
            "curve": [one[TARGET][0], *(p for part in parts for p in part[TARGET][1:])],
            "found": {
                name: {label: p[at] for label, p in curves.items()} for name, (curves, at) in ends.items()
            },
            "printed": article.PRINTED,
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return whether the numbers are the article's."""
        claims = {
            "black": "The five numbers for black are the article's, to the last digit printed.",
            "one step": "So are the five after one step of a whole grey level.",
            "nine steps": "So are the two after nine steps of a tenth.",
        }
        printed = figures["printed"]
        return {claims[name]: _same(found, printed[name]) for name, found in figures["found"].items()}

    def _parts(self) -> list[str]:
        return [_part(first) for first in range(1, STEPS, AT_ONCE)] if self.nine else []


def _same(found: Mapping[str, float], printed: Mapping[str, float]) -> bool:
    return all(round(100 * found.get(label, 0), 2) == said for label, said in printed.items())


def _part(first: int) -> str:
    return f"steps {first} to {first + AT_ONCE - 1}"
