"""How far pictures must be moved before a network takes them for each of several things."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

import models
from attacks.bim import BIM
from attacks.contract import Criterion, Stop, walk
from attacks.settings import setting
from experiments.core import JSON, ExperimentCard
from experiments.datasets.photos import Open, open_named
from experiments.datasets.superclasses import Network, families, least
from experiments.evans2016 import article
from experiments.toolkit.bases import OfNetworks
from models.core import Card, Classifier

ROWS = ("dog", "panda", "cat", "polar_bear", "macaw", "coffee", "baseball", "bridge")
"""Samples that ship, so that every row can be opened and is credited."""
IMAGENET = (207, 263, 162, 281, 23, 700, 852, 412)
"""Golden retriever, Pembroke, beagle; tabby, vulture; paper towel, tennis ball, ash can."""
EVERYDAY = ("dog", "cat", "giant panda", "bird", "car", "ship", "cup", "ball")
LEVELS = 0.9 / 255
"""The article's step: the sign of the gradient times .9 grey levels."""
MOST = 20
PARTS = ("kin to kin", "kin to others", "others to kin", "others to others")


@dataclass(frozen=True)
class Resistance(OfNetworks):
    """One piece for each cell: the least l2 change that DDN finds, and how many of the article's steps.
    ``open`` returns the picture of a name, such as an upload's in an app."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="resistance",
        title="You can't trick a dog",
        question="How far must each picture be moved to be taken for each of several things?",
        paper=article.TITLE,
        url=article.URL,
        source="The section on the dog that stays a dog",
        digits=False,
    )

    version: ClassVar[int] = 3

    n: int = setting(8, "Pictures", "How many pictures, one a row.", low=1, high=len(ROWS))
    networks: str = setting(models.FIRST, "Networks", "Names of networks, with commas between.", main=True)
    steps: int = setting(40, "Steps", "How many steps DDN takes.", low=5, high=1000)
    extra: str = setting("", "One more picture", "A sample, or photo:FILE, that comes first.")
    open: Open = field(default=open_named, compare=False, repr=False)

    def depends(self) -> JSON:
        """Return the pictures that are here, and the digests of the weights."""
        return [self.rows(), [models.card(name).weights.sha256 for name in self.named()]]

    def rows(self) -> list[str]:
        """Return the pictures of the rows."""
        first = [self.extra] if self.extra else []
        return list(dict.fromkeys([*first, *ROWS[: self.n]]))

    def pieces(self) -> list[str]:
        """Return one name for each cell, row by row."""
        return [
            f"{name} | {row} | {target}"
            for name in self.named()
            for row in self.rows()
            for target in columns(models.card(name))
        ]

    def piece(self, name: str, store: Any) -> JSON:
        """Measure one cell."""
        network, row, target = name.split(" | ")
        model = _loaded(network)
        return cell(model, model.card.see(self.open(row)), int(target), self.steps)

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return, for each network, rows, columns, cells, and medians within and across the family."""
        return {"networks": {name: table(models.card(name), self.rows(), done) for name in self.named()}}

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what the article says of its dog."""
        parts = [each["medians"] for each in figures["networks"].values()]
        return {
            "A member of the family is nearer to the family's other classes than to anything else.": all(
                _less(each["kin to kin"], each["kin to others"]) for each in parts
            ),
            "The family's classes are nearer to its members than to other pictures.": all(
                _less(each["kin to kin"], each["others to kin"]) for each in parts
            ),
            "To become something else, a member must move farther than other pictures.": all(
                _less(each["others to others"], each["kin to others"]) for each in parts
            ),
        }


def columns(card: Card) -> list[int]:
    """Return the classes aimed at, the first family's first."""
    return list(IMAGENET) if len(card.labels) == 1000 else [card.labels.index(each) for each in EVERYDAY]


def cell(net: Network, x: Tensor, target: int, steps: int) -> dict[str, JSON]:
    """Return how far ``x`` ``(c, h, w)`` must move to be taken for class ``target``: ``distance`` (l2) and
    ``steps`` (of .9 grey levels along the gradient's sign), None where none was found; ``own``: it is taken
    for that already; ``said``: what it is taken for, ``p``: with which probability."""
    with torch.no_grad():
        p = torch.softmax(net(x[None])[0].double(), 0)
    said = {"said": int(p.argmax()), "p": round(float(p.max()), 5), "own": int(p.argmax()) == target}
    if said["own"]:
        return said | {"distance": None, "steps": None}
    criterion = Criterion(torch.tensor([target]), targeted=True)
    far = float(least(net, x[None], criterion, steps)[0])
    signs = BIM(epsilon=1.0, step_size=LEVELS, steps=MOST)
    *_, last = walk(signs.search(x[None], criterion, torch.Generator()), net, criterion, Stop("success"))
    met = bool(criterion.met(last.evaluation.logits))
    return said | {
        "distance": round(far, 4) if math.isfinite(far) else None,
        "steps": last.index if met else None,
    }


def table(card: Card, rows: list[str], done: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the cells that are ``done``, by row, None for those to come; with medians of the distances."""
    family, classes = next(iter(families(card).items()))
    cells = [[done.get(f"{card.name} | {row} | {target}") for target in columns(card)] for row in rows]
    heads = [next((each for each in row if each), None) for row in cells]
    kin = [head["said"] in classes if head else None for head in heads]
    groups: dict[str, list[float]] = {part: [] for part in PARTS}
    for row, inside in zip(cells, kin, strict=True):
        for target, each in zip(columns(card), row, strict=True):
            if each and each["distance"] is not None:
                part = f"{'kin' if inside else 'others'} to {'kin' if target in classes else 'others'}"
                groups[part].append(each["distance"])
    return {
        "family": family,
        "size": len(classes),
        "of": len(card.labels),
        "rows": [
            {
                "image": row,
                "said": card.labels[head["said"]] if head else "",
                "p": head and head["p"],
                "kin": inside,
            }
            for row, head, inside in zip(rows, heads, kin, strict=True)
        ],
        "columns": [{"label": card.labels[t], "kin": t in classes} for t in columns(card)],
        "cells": cells,
        "medians": {part: float(np.median(each)) if each else None for part, each in groups.items()},
    }


def _less(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a < b


@lru_cache(maxsize=2)
def _loaded(name: str) -> Classifier:
    return models.load(name)
