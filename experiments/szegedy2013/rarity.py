"""Szegedy et al.: Intriguing Properties of Neural Networks, section 4. https://arxiv.org/abs/1312.6199."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

import models
from attacks.contract import Criterion, walk
from attacks.lbfgs import LBFGS
from attacks.random_noise import reach
from attacks.settings import setting
from errors import BadSetting
from experiments.cache import Store
from experiments.core import JSON, ExperimentCard
from experiments.datasets.digit_sets import digits
from experiments.datasets.images import origin, pictures
from experiments.toolkit import intervals
from experiments.toolkit.bases import OfNetworks
from models.core import Card, Classifier

CHUNK = 10
CURVE = [round(0.1 * i, 1) for i in range(31)] + [4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 40.0]
"""Where the true class's probability is read, in lengths of the picture's own adversarial change."""
FARTHEST = 256.0
KINDS = {
    "clipped": "drawn evenly from the sphere, then clipped to [0, 1], which shortens them",
    "full": "drawn evenly from the sphere and followed inside [0, 1] until they are as long",
}
LINEAR = 1 / 0.674489750196
"""Along a random line a flat boundary is, in the median, this times sqrt(d) as far as it is straight ahead:
d^-1/2 times the median of a standard normal's size is what the line has in common with the normal."""


@dataclass(frozen=True)
class Rarity(OfNetworks):
    """Random changes as large as the adversarial one, counted, and followed until they flip the answer.

    The adversarial change is that of L-BFGS for pictures that the network gets right. "As far as" is the
    Euclidean length. Along a random line both ways count, as in https://arxiv.org/abs/1608.08967.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="rarity",
        title="Pockets that chance does not find",
        question="Would a random change as large as the adversarial one fool the network?",
        paper="Intriguing Properties of Neural Networks",
        url="https://arxiv.org/abs/1312.6199",
        source="Section 4: adversarial examples are hard to find by sampling around an example",
        needs="photos, for a network that reads photos",
    )

    n: int = setting(80, "Pictures", "How many pictures per network.", low=10, high=10_000)
    draws: int = setting(
        1000, "Draws", "How many random changes of each kind per picture.", low=10, high=1_000_000
    )
    lines: int = setting(
        5, "Lines", "Along how many random lines each picture is followed.", low=1, high=1000
    )

    def pieces(self) -> list[str]:
        """Return, for each network, the attack, then the draws and lines of ten pictures at a time."""
        parts = [f"{what} {start}" for start in range(0, self.n, CHUNK) for what in ("draws", "lines")]
        return [f"{name} {part}" for name in self.named() for part in ["attack 0", *parts]]

    def piece(self, name: str, store: Store) -> JSON:
        """Attack the pictures of a network, or draw around some of them, or follow lines from them."""
        network, what, start = name.rsplit(" ", 2)
        model = models.load(network)
        if what == "attack":
            return self._attack(name, model, store)
        kept, rows = store.tensors(f"{network} attack 0"), slice(int(start), int(start) + CHUNK)
        x, adv, label = kept["x"][rows], kept["adv"][rows], kept["label"][rows]
        number = np.random.SeedSequence([self.seed, int(start), what == "lines"]).generate_state(1)[0]
        rng = torch.Generator().manual_seed(int(number))
        each = [self._draws, self._lines][what == "lines"]
        found = [each(model, *row, rng) for row in zip(x, adv, label, strict=True)]
        return {key: [one[key] for one in found] for key in found[0]} if found else {}

    def _attack(self, name: str, model: Classifier, store: Store) -> JSON:
        x, label = right(model, self.data, self.n)
        criterion = Criterion(label, targeted=False)
        *_, last = walk(LBFGS().search(x, criterion, torch.Generator()), model, criterion)
        met = criterion.met(last.evaluation.logits)
        if not met.any():
            raise BadSetting(f"L-BFGS fooled {model.card.title} on no picture: take more of them.")
        adv = last.x[met]
        store.put_tensors(name, {"x": x[met], "adv": adv, "label": label[met]})
        length = (adv - x[met]).flatten(1).norm(dim=1)
        return {
            "tried": len(x),
            "length": length.tolist(),
            "nearest": nearest_training(model.card, self.data, adv),
            "d": x[0].numel(),
        }

    def _draws(self, model: Classifier, x: Tensor, adv: Tensor, label: Tensor, rng: torch.Generator) -> JSON:
        """Return how many draws of each kind flip the answer, and how long the clipped ones are."""
        flips = dict.fromkeys(KINDS, 0)
        length, clipped = float((adv - x).norm()), 0.0
        for size in chunks(self.draws, 500):
            many = x.expand(size, *x.shape)
            way = sphere(size, x, rng)
            moved = {"clipped": (many + length * way).clamp(0, 1), "full": reach(many, way, length)}
            clipped += float((moved["clipped"] - many).flatten(1).norm(dim=1).sum())
            for kind, where in moved.items():
                flips[kind] += int((answers(model, where).argmax(1) != label).sum())
        return flips | {"clipped length": clipped / self.draws / length}

    def _lines(self, model: Classifier, x: Tensor, adv: Tensor, label: Tensor, rng: torch.Generator) -> JSON:
        """Return the probabilities along the adversarial and random ways, and how far the answer flips."""
        r = adv - x
        way = sphere(self.lines, x, rng)
        steps = torch.tensor(CURVE)[:, None, None, None]
        adversarial = (x + steps * r).clamp(0, 1)
        random = (x + (steps * r.norm())[None] * way[:, None]).clamp(0, 1).flatten(0, 1)
        p = torch.softmax(answers(model, torch.cat([adversarial, random])).double(), 1)[:, label]
        p = p.view(1 + self.lines, len(CURVE))
        return {
            "adversarial": [round(v, 5) for v in p[0].tolist()],
            "random": [round(v, 5) for v in p[1:].mean(0).tolist()],
            "open": farther(model, x, label, way, float(r.norm()), boxed=False),
            "boxed": farther(model, x, label, way, float(r.norm()), boxed=True),
        }

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return, for each network, flips among random changes, curves, and how much farther chance goes."""
        return {
            "curve": CURVE,
            "draws": self.draws,
            "lines": self.lines,
            "kinds": KINDS,
            "farthest": FARTHEST,
            "networks": {name: self._figures(name, done) for name in self.named()},
        }

    def _figures(self, name: str, done: Mapping[str, JSON]) -> dict[str, JSON]:
        attack = done[f"{name} attack 0"]
        length, starts = attack["length"], range(0, self.n, CHUNK)
        drawn = joined([done[f"{name} draws {start}"] for start in starts])
        followed = joined([done[f"{name} lines {start}"] for start in starts])
        return {
            "from": origin(models.card(name), self.data),
            "found": intervals.share(len(length), attack["tried"]),
            "length": intervals.median(length),
            "rms": intervals.mean([v / math.sqrt(attack["d"]) for v in length]),
            "d": attack["d"],
            "flips": {kind: _flips(drawn[kind], self.draws) for kind in KINDS},
            "clipped length": intervals.mean(drawn["clipped length"]),
            "probability": {way: _curve(followed[way]) for way in ("adversarial", "random")},
            "farther": {way: _farther(followed[way]) for way in ("open", "boxed")},
            "sqrt d": math.sqrt(attack["d"]),
            "flat": LINEAR * math.sqrt(attack["d"]),
            "training": _training(attack),
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what the paper says of pockets, and what Fawzi et al. say of random directions."""
        nets = list(figures["networks"].values())
        at = figures["curve"].index(1.0)
        flips = [flips["share"]["high"] for net in nets for flips in net["flips"].values()]
        kept = [net["probability"]["random"]["median"][at] for net in nets]
        ratios = [net["farther"]["open"]["ratio"] for net in nets]
        square = [ratio["value"] / net["sqrt d"] for net, ratio in zip(nets, ratios, strict=True)]
        said = {
            "Optimisation finds an adversarial change for every picture.": (
                all(net["found"]["value"] == 1 for net in nets)
            ),
            "Fewer than one in a hundred random changes as large as the adversarial one fool the network.": (
                max(flips) < 0.01
            ),
            "As far along a random direction the true class keeps nine tenths of the probability or more.": (
                min(kept) >= 0.9
            ),
            "A random direction must be followed more than twice as far before the answer changes.": (
                all((ratio["low"] or 0) > 2 for ratio in ratios)
            ),
            "How much farther is the square root of the number of pixels, to within a factor of three.": (
                all(1 / 3 <= each <= 3 for each in square)
            ),
        }
        training = [net["training"] for net in nets if net["training"]]
        if not training:
            return said
        return said | {
            "No training picture is nearer to an adversarial one than the picture it was made from.": all(
                each["nearer"] == 0 for each in training
            )
        }


def right(model: Classifier, folder: str, n: int) -> tuple[Tensor, Tensor]:
    """Return the first ``n`` pictures (fewer where there are no more) that ``model`` gets right, and their
    classes; photos count as right, and their class is what the network says.

    Raises `errors.BadSetting` where there are none.
    """
    found = pictures(model.card, folder, 0, 2 * n if model.card.channels == 1 else n)
    said = answers(model, found.x).argmax(1)
    if model.card.channels == 1 and found.y is not None:
        kept = said == found.y
        found, said = found._replace(x=found.x[kept]), said[kept]
    if not len(said):
        raise BadSetting(f"{model.card.title} gets none of the pictures right.")
    return found.x[:n], said[:n]


def nearest_training(card: Card, folder: str, adv: Tensor) -> list[float] | None:
    """Return how far each picture is from the nearest training digit; None for networks of photos."""
    if card.channels != 1:
        return None
    parts = digits(folder).train_x.flatten(1).split(5000)
    nearest = [torch.cdist(adv.flatten(1), part).amin(1) for part in parts]
    values: list[float] = torch.stack(nearest).amin(0).tolist()
    return values


def sphere(n: int, x: Tensor, rng: torch.Generator) -> Tensor:
    """Return ``n`` directions of length 1 and of the shape of the picture ``x``, drawn evenly from all."""
    way = torch.randn((n, *x.shape), generator=rng)
    unit: Tensor = way / way.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return unit


def chunks(total: int, most: int) -> list[int]:
    """Return numbers of at most ``most`` that add up to ``total``."""
    return [min(most, total - start) for start in range(0, total, most)]


def answers(model: Classifier, x: Tensor) -> Tensor:
    """Return the logits ``(n, classes)``, a few hundred pictures at a time."""
    rows = max(1, 500 * 784 // x[0].numel())
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(rows)])


def farther(
    model: Classifier, x: Tensor, label: Tensor, way: Tensor, length: float, boxed: bool
) -> list[float | None]:
    """Return for each line ``way`` ``(m, c, h, w)`` through ``x`` how far, in units of ``length``, the
    answer first changes, the nearer of both ways; None where it does not within `FARTHEST`.

    ``boxed``: pictures are clipped to [0, 1], and it is the change after that whose length counts. Flips
    are sought at lengths that grow by a quarter, then by bisection.
    """

    def place(times: Tensor, ways: Tensor) -> Tensor:
        there = x + (times * length).view(-1, 1, 1, 1) * ways
        return there.clamp(0, 1) if boxed else there

    grid = 1.25 ** torch.arange(-7, math.floor(math.log(FARTHEST, 1.25)) + 1)
    both = torch.cat([way, -way])
    times = grid.repeat(len(both))
    ways = both.repeat_interleave(len(grid), 0)
    flipped = (answers(model, place(times, ways)).argmax(1) != label).view(len(both), len(grid))
    first = flipped.float().argmax(1)
    high, low = grid[first], grid[first] / 1.25
    for _ in range(6):
        middle = (low * high).sqrt()
        there = answers(model, place(middle, both)).argmax(1) != label
        high, low = torch.where(there, middle, high), torch.where(there, low, middle)
    apart = (place(high, both) - x).flatten(1).norm(dim=1) / length
    apart = torch.where(flipped.any(1), apart, torch.inf).view(2, -1).amin(0)
    return [v if math.isfinite(v) else None for v in apart.tolist()]


def joined(parts: list[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """Return the lists of all parts, end to end."""
    full = [part for part in parts if part]
    return {key: [value for part in full for value in part[key]] for key in full[0]}


def _flips(counts: list[int], draws: int) -> dict[str, Any]:
    """``share``: among all draws, for these pictures; ``pictures``: that any draw flips at all."""
    return {
        "share": intervals.share(sum(counts), len(counts) * draws),
        "pictures": intervals.share(sum(count > 0 for count in counts), len(counts)),
        "count": sum(counts),
        "counts": sorted(counts, reverse=True),
    }


def _curve(rows: list[list[float]]) -> dict[str, Any]:
    """``low`` and ``high``: the quarters of the pictures."""
    low, middle, high = np.quantile(np.array(rows), [0.25, 0.5, 0.75], axis=0)
    return {
        "low": np.round(low, 5).tolist(),
        "median": np.round(middle, 5).tolist(),
        "high": np.round(high, 5).tolist(),
        "n": len(rows),
    }


def _farther(rows: list[list[float | None]]) -> dict[str, Any]:
    """``ratio``: the median over pictures of each one's median line; `FARTHEST` stands for "never"."""
    values = [[FARTHEST if v is None else v for v in row] for row in rows]
    ratio = intervals.median([float(np.quantile(row, 0.5, method="lower")) for row in values])
    return {
        "ratio": ratio,
        "never": sum(v is None for row in rows for v in row),
        "lines": sum(map(len, rows)),
    }


def _training(attack: Mapping[str, Any]) -> dict[str, Any] | None:
    if attack["nearest"] is None:
        return None
    pairs = list(zip(attack["nearest"], attack["length"], strict=True))
    return {
        "nearest": intervals.median(attack["nearest"]),
        "nearer": sum(far <= length for far, length in pairs),
        "n": len(pairs),
    }
