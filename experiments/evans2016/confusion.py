"""Where photos of a family (all dogs, all animals) go when they are moved as little as possible."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

import models
from attacks.contract import Criterion
from attacks.settings import setting
from errors import BadSetting
from experiments.core import JSON, ExperimentCard
from experiments.datasets import superclasses
from experiments.evans2016 import article
from experiments.toolkit import intervals
from experiments.toolkit.bases import OfNetworks

AT_ONCE = 10


@dataclass(frozen=True)
class Confusion(OfNetworks):
    """The least change to another answer, and the least to an answer outside the family, for photos of each
    family that the network gets right."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="confusion",
        title="It stays in the family",
        question="Do photos of a family stay in it when a network is fooled with the least change?",
        paper=article.TITLE,
        url=article.URL,
        source="The section on the dog that stays a dog",
        needs="photos",
        digits=False,
    )

    n: int = setting(30, "Photos", "How many photos of each family.", low=4, high=1000)
    networks: str = setting(models.FIRST, "Networks", "Names of networks, with commas between.", main=True)
    steps: int = setting(20, "Steps", "How many steps DDN takes.", low=5, high=1000)

    def depends(self) -> JSON:
        """Return the digests of the weights."""
        return [models.card(name).weights.sha256 for name in self.named()]

    def pieces(self) -> list[str]:
        """Return one name for ten photos of each network's families."""
        return [f"{name} | {f} | {at}" for name, f in self._families() for at in range(0, self.n, AT_ONCE)]

    def _families(self) -> list[tuple[str, str]]:
        return [
            (name, family) for name in self.named() for family in superclasses.families(models.card(name))
        ]

    def piece(self, name: str, store: Any) -> JSON:
        """Move ten photos of one family, from the one of that number on."""
        network, family, start = name.split(" | ")
        model = models.load(network)
        x, label = superclasses.members(model.card, family, 2 * self.n, self.data)
        with torch.no_grad():
            right = torch.cat([model(part).argmax(1) for part in x.split(AT_ONCE)]) == label
        rows = slice(int(start), min(int(start) + AT_ONCE, self.n))
        x, own = x[right][rows], label[right][rows]
        if not len(x):
            return {"near": [], "leave": [], "lands": [], "from": []}
        inside = superclasses.mask(model.card, superclasses.families(model.card)[family])
        near, lands = superclasses.least(model, x, Criterion(own, targeted=False), self.steps)
        leave, _ = superclasses.least(model, x, superclasses.Leaving(own, False, inside), self.steps)
        found = {"near": near, "leave": leave, "lands": lands, "from": own}
        return {key: values.tolist() for key, values in found.items()}

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return, for each network and family, where its photos land and how far that is."""
        networks: dict[str, JSON] = {name: {} for name in self.named()}
        for name, family in self._families():
            parts = [done[f"{name} | {family} | {at}"] for at in range(0, self.n, AT_ONCE)]
            joined = {key: [v for part in parts for v in part[key]] for key in parts[0]}
            networks[name][family] = family_figures(name, family, joined)
        return {"on": "photos of each family", "networks": networks}

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what the article says of dogs, of every family."""
        nets = [list(each.values()) for each in figures["networks"].values()]
        first = [net[0] for net in nets]
        return {
            "Fooled with the least change, a dog stays a dog (or an animal an animal) more often than chance "
            "has it.": all(each["stays"]["low"] > each["chance"] for each in first),
            "To leave that family a photo must be moved farther than to another of its classes.": all(
                (each["farther"]["low"] or 0) > 1 for each in first
            ),
            "That family, the largest, is the farthest to leave.": all(
                net[0]["leave"]["value"] == max(each["leave"]["value"] for each in net) for net in nets
            ),
        }


def family_figures(network: str, family: str, answer: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the figures of one family; photos that DDN did not move out are counted and left out."""
    card = models.card(network)
    classes = superclasses.families(card)[family]
    rows = zip(answer["near"], answer["leave"], answer["lands"], answer["from"], strict=True)
    kept = [row for row in rows if math.isfinite(row[0]) and math.isfinite(row[1])]
    if not kept:
        raise BadSetting(f"No photo of the family “{family}” that {card.title} gets right was fooled.")
    ways = Counter((card.labels[own], card.labels[lands]) for *_, lands, own in kept)
    return {
        "size": len(classes),
        "of": len(card.labels),
        "chance": (len(classes) - 1) / (len(card.labels) - 1),
        "stays": intervals.share(sum(lands in classes for _, _, lands, _ in kept), len(kept)),
        "near": intervals.median([near for near, *_ in kept]),
        "leave": intervals.median([leave for _, leave, *_ in kept]),
        "farther": intervals.median([leave / near for near, leave, *_ in kept]),
        "lost": len(answer["near"]) - len(kept),
        "ways": [[*way, count] for way, count in ways.most_common(5)],
    }
