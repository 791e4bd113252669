"""The panda-to-vulture article's numbers of black, in the arithmetic in which it was computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

import models
from attacks.core import setting
from experiments import vulture
from experiments.black import told
from experiments.core import JSON, ExperimentCard
from experiments.families import OfNetwork
from experiments.signs import asking, step
from experiments.store import Store
from models.caffe import as_caffe

TARGET = "paper towel"
ONE, NINE = 1 / 255, 0.1 / 255
STEPS, AT_ONCE = 9, 3


@dataclass(frozen=True)
class Arithmetic(OfNetwork):
    """Black, one step of a whole grey level from it, and nine of a tenth, as Caffe sums (`models.caffe`).

    On black every maximum of a pool is a tie, and the last bit of a sum decides where its gradient goes; so
    the article's numbers come out only where each sum is taken in the order of its library.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="arithmetic",
        title="To the last digit",
        question="Do the article's numbers come out where sums are taken in its library's order?",
        paper=vulture.TITLE,
        url=vulture.URL,
        source="the black picture, one step rounded to whole grey levels, and nine steps (second edition)",
        digits=False,
    )

    model: str = setting(vulture.NETWORK, "Network", "Caffe's GoogLeNet, as the article feeds it.", main=True)
    n: int = setting(1, "Pictures", "The black one.", low=1, high=1)

    def pieces(self) -> list[str]:
        """Return the one step, then the nine, a few at once."""
        return ["one step", *(_part(first) for first in range(1, STEPS, AT_ONCE))]

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
        parts = [done[_part(first)]["curves"] for first in range(1, STEPS, AT_ONCE)]
        one = done["one step"]["curves"]
        return {
            "target": TARGET,
            "curve": [parts[0][TARGET][0], *(p for part in parts for p in part[TARGET][1:])],
            "found": {
                "black": {label: values[0] for label, values in one.items()},
                "one step": {label: values[-1] for label, values in one.items()},
                "nine steps": {label: values[-1] for label, values in parts[-1].items()},
            },
            "printed": vulture.PRINTED,
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return whether the numbers are the article's."""
        same = {
            name: all(
                round(100 * figures["found"][name].get(label, 0), 2) == said for label, said in rows.items()
            )
            for name, rows in figures["printed"].items()
        }
        return {
            "The five numbers for black are the article's, to the last digit printed.": same["black"],
            "So are the five after one step of a whole grey level.": same["one step"],
            "So are the two after nine steps of a tenth.": same["nine steps"],
        }


def _part(first: int) -> str:
    return f"steps {first} to {first + AT_ONCE - 1}"
