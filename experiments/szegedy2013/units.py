"""Szegedy et al.: Intriguing Properties of Neural Networks, section 3. https://arxiv.org/abs/1312.6199."""

from __future__ import annotations

import base64
import copy
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from scipy import stats
from torch import Tensor, nn

import models
from attacks.settings import setting
from errors import BadSetting
from experiments.cache import Store
from experiments.core import JSON, Experiment, ExperimentCard
from experiments.datasets.images import origin, pictures
from experiments.methods import activations
from experiments.toolkit import intervals
from models.core import Classifier

CHUNK = 500
BLOCK = 100
MOST = 300_000_000
"""How many numbers the features of all pictures may be."""
LEAST = 1e-3
SHOWN = 8
THUMB = 28
QUERIES = 1000
FAMILIES = {
    "units": "single units",
    "directions": "random directions",
    "scaled": "random directions, every unit first scaled to the same spread",
}


@dataclass(frozen=True)
class Units(Experiment):
    """The pictures that most excite a unit, beside those farthest along a random direction.

    The paper shows both and finds them equally easy to describe; this adds a measure, the purity: the
    share of the most frequent label among the first ``k``. Features may be centred or not: that moves
    every picture alike along a direction and leaves their order. Scaling them does not, so directions are
    drawn both ways. Units that excite fewer than ``k`` pictures are silent and are not drawn.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="units",
        title="Units and random directions",
        question="Does a single unit stand for more than a random mixture of units does?",
        paper="Intriguing Properties of Neural Networks",
        url="https://arxiv.org/abs/1312.6199",
        source="Section 3, figures 1 to 4",
        needs="photos, for a network that reads photos",
    )

    model: str = setting(
        "lenet", "Network", "Whose layer is looked into.", choices=tuple(models.registry()), main=True
    )
    layer: str = setting(
        activations.HIDDEN, "Layer", "Which layer, by its name in the network; empty: the last hidden one."
    )
    n: int = setting(
        10_000, "Pictures", "Among how many pictures the most exciting are sought.", low=10, high=60_000
    )
    units: int = setting(500, "Units", "How many units are looked at.", low=8, high=5000)
    directions: int = setting(
        2000, "Directions", "How many random directions are looked at.", low=8, high=5000
    )
    k: int = setting(8, "Pictures of each", "How many of the most exciting pictures count.", low=2, high=50)
    shuffles: int = setting(
        1000, "Shuffles", "How often labels are shuffled to see what chance does.", low=100, high=100_000
    )

    def depends(self) -> JSON:
        """Return where the pictures are from, and the digest of the weights."""
        card = models.card(self.model)
        return [origin(card, self.data), card.weights.sha256]

    def pieces(self) -> list[str]:
        """Return the parts of the features, then what is made of them."""
        parts = [f"features {start}" for start in range(0, self.n, CHUNK)]
        return [*parts, *FAMILIES, "rotation"]

    def piece(self, name: str, store: Store) -> JSON:
        """Compute features of some pictures, the tops of one family, or the rotation."""
        if name.startswith("features"):
            return self._features(name, store)
        if name == "rotation":
            return self._rotation(store)
        return self._family(name, store)

    def _features(self, name: str, store: Store) -> JSON:
        start = int(name.split()[1])
        model = models.load(self.model)
        x, y, _ = pictures(model.card, self.data, start, min(start + CHUNK, self.n))
        if not len(x):
            return {"count": 0, "labelled": True}
        logits = torch.cat([model(rows) for rows in x.split(100)])
        phi = activations.features(model, x, self.layer)
        if phi.shape[1] * self.n > MOST:
            most = MOST // phi.shape[1]
            raise BadSetting(f"Expected n to be at most {most:,} for a layer of {phi.shape[1]:,} units.")
        store.put_tensors(
            name,
            {
                "layer": phi,
                "y": logits.argmax(1) if y is None else y,
                "thumbs": thumbnails(x),
            },
        )
        return {"count": len(x), "labelled": y is not None}

    def _known(self, store: Store) -> dict[str, Tensor]:
        """Return the features ``layer``, the labels ``y`` and the ``thumbs`` of all pictures."""
        parts = [store.tensors(p) for p in self.pieces() if p.startswith("features") and store.has_tensors(p)]
        known = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        if len(known["y"]) <= self.k:
            raise BadSetting(
                f"Expected k to be below the {len(known['y'])} pictures there are, got {self.k}."
            )
        return known

    def _family(self, name: str, store: Store) -> JSON:
        known, rng = self._known(store), np.random.default_rng(self.seed)
        phi = known["layer"].double()
        phi -= phi.mean(0)
        loud = audible(phi, self.k)
        if name == "units":
            drawn = np.sort(rng.permutation(loud)[: self.units])
            blocks = (phi[:, block] for block in parted(drawn))
        else:
            drawn = np.arange(self.directions)
            scale = 1 / phi.std(0) if name == "scaled" else torch.ones(phi.shape[1])
            scale = scale.where(scale.isfinite(), 0)[:, None]
            blocks = (phi @ (scale * directions(phi.shape[1], len(block), rng)) for block in parted(drawn))
        found: list[np.ndarray] = []
        first: list[Tensor] = []
        for heights in blocks:
            found.append(tops(heights, self.k))
            first = first or list(heights.T[:SHOWN])
        top, y = np.concatenate(found), known["y"].numpy()
        return {
            "width": phi.shape[1],
            "silent": phi.shape[1] - len(loud),
            "purity": [round(v, 6) for v in purity(y[top])],
            "null": null(y, top, self.shuffles, rng),
            "shown": [shown(known, int(drawn[i]), top[i], each) for i, each in enumerate(first)],
        }

    def _rotation(self, store: Store) -> JSON:
        model, known = models.load(self.model), self._known(store)
        linear = activations.last_linear(model)
        if linear is None:
            return None
        generator = torch.Generator().manual_seed(self.seed)
        turned = rotated(model, linear, generator)
        x = pictures(model.card, self.data, 0, min(self.n, QUERIES)).x
        plain, other = (torch.cat([net(rows) for rows in x.split(100)]) for net in (model, turned))
        here = activations.features(model, x).double()
        there = activations.features(turned, x, f"{linear}.0").double()
        loud = audible(here, self.k)[: self.units]
        pairs = zip(tops(here[:, loud], self.k), tops(there[:, loud], self.k), strict=True)
        common = [len(set(a.tolist()) & set(b.tolist())) / self.k for a, b in pairs]
        return {
            "layer": f"what {linear} is given",
            "width": here.shape[1],
            "pictures": len(x),
            "logits": float((plain - other).abs().max()),
            "answers": int((plain.argmax(1) == other.argmax(1)).sum()),
            "common": common,
            "by_chance": self.k / len(x),
            "neighbours": int((nearest(here) == nearest(there)).sum()),
            "classes": len(known["y"].unique()),
        }

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the galleries, the purities beside chance, their differences, and the rotation."""
        parts = [done[name] for name in self.pieces() if name.startswith("features")]
        families = {name: _summary(done[name], self.k) | {"what": what} for name, what in FAMILIES.items()}
        rng = np.random.default_rng(self.seed)
        units = done["units"]["purity"]
        turned = done["rotation"]
        return {
            "model": self.model,
            "layer": self.layer or "the last hidden layer",
            "pictures": sum(part["count"] for part in parts),
            "from": origin(models.card(self.model), self.data),
            "labels": "given" if all(part["labelled"] for part in parts) else "the network's own answers",
            "k": self.k,
            "width": done["units"]["width"],
            "silent": done["units"]["silent"],
            "families": families,
            "differences": {
                name: compared(units, done[name]["purity"], self.shuffles, rng)
                | {"above": above(units, done[name]["purity"], float(np.mean(done["units"]["null"])), rng)}
                for name in FAMILIES
                if name != "units"
            },
            "rotation": turned and _turned(turned),
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what the paper says of units and directions, and what a rotation shows."""
        families, gaps = figures["families"], figures["differences"]
        said = {
            "The pictures that most excite a unit share a label more often than chance would have it.": (
                families["units"]["p"] < 0.01
            ),
            "So do the pictures farthest along a random direction.": families["directions"]["p"] < 0.01,
            "No difference in purity is to be seen between single units and random directions.": (
                gaps["directions"]["p"] >= 0.05
            ),
            "Random directions are at least four fifths as far above chance as single units are.": (
                gaps["directions"]["above"]["low"] >= 0.8
            ),
            "So are directions over units that were first scaled to the same spread.": (
                gaps["scaled"]["above"]["low"] >= 0.8
            ),
        }
        turned = figures["rotation"]
        if turned is None:
            return said
        return said | {
            "The network whose hidden layer was rotated says the same.": (
                turned["logits"] < 1e-3 and turned["answers"]["value"] == 1
            ),
            "Most of the pictures that excite its units are other ones.": turned["common"]["high"] < 0.5,
            "The nearest neighbours of 99 in 100 pictures or more stay the same.": (
                turned["neighbours"]["value"] >= 0.99
            ),
        }


def parted(drawn: np.ndarray) -> list[np.ndarray]:
    """Return ``drawn`` a hundred at a time."""
    return np.split(drawn, range(BLOCK, len(drawn), BLOCK))


def directions(width: int, count: int, rng: np.random.Generator) -> Tensor:
    """Return ``count`` directions of length 1, drawn evenly from all, as columns ``(width, count)``."""
    ways = torch.from_numpy(rng.standard_normal((width, count)))
    unit: Tensor = ways / ways.norm(dim=0)
    return unit


def audible(phi: Tensor, k: int) -> np.ndarray:
    """Return the numbers of the units that lift at least ``k`` pictures above their lowest value."""
    return np.flatnonzero(((phi > phi.amin(0)).sum(0) >= k).numpy())


def tops(heights: Tensor, k: int) -> np.ndarray:
    """Return, for each column of ``(pictures, m)``, the ``k`` highest pictures, highest first: ``(m, k)``."""
    parts = [
        each.T.sort(dim=1, descending=True, stable=True).indices[:, :k] for each in heights.split(100, 1)
    ]
    best: np.ndarray = torch.cat(parts).numpy()
    return best


def purity(labels: np.ndarray) -> np.ndarray:
    """Return, for each row of labels ``(m, k)``, the share of its most frequent one."""
    ordered = np.sort(labels, axis=1)
    run = np.ones(len(labels))
    best = run.copy()
    for column in range(1, labels.shape[1]):
        run = np.where(ordered[:, column] == ordered[:, column - 1], run + 1, 1)
        best = np.maximum(best, run)
    share: np.ndarray = best / labels.shape[1]
    return share


def null(y: np.ndarray, top: np.ndarray, shuffles: int, rng: np.random.Generator) -> list[float]:
    """Return the mean purity of the same tops ``(m, k)`` under labels that were shuffled, so many times."""
    return [round(float(purity(rng.permutation(y)[top]).mean()), 6) for _ in range(shuffles)]


def compared(
    first: Sequence[float], second: Sequence[float], shuffles: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the difference of the means, its 95 % interval (Welch), and p of a two-sided permutation test
    of the distributions' means."""
    joined, m = np.array([*first, *second]), len(first)
    gap = float(np.mean(first) - np.mean(second))
    drawn = (rng.permutation(joined) for _ in range(shuffles))
    beyond = sum(bool(abs(d[:m].mean() - d[m:].mean()) >= abs(gap) - 1e-12) for d in drawn)
    low, high = gap, gap
    if joined.std():
        low, high = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    return {"value": gap, "low": float(low), "high": float(high), "p": (1 + beyond) / (1 + shuffles)}


def above(
    units: Sequence[float], others: Sequence[float], chance: float, rng: np.random.Generator
) -> intervals.Estimate:
    """Return how far above ``chance`` the mean of ``others`` is, over how far that of ``units`` is, with
    the 95 % interval of 2,000 bootstrap draws. Units count as `LEAST` above it at least."""
    one, two = np.array(units), np.array(others)

    def ratio(a: np.ndarray, b: np.ndarray) -> float:
        return float((b.mean() - chance) / max(a.mean() - chance, LEAST))

    drawn = [ratio(rng.choice(one, len(one)), rng.choice(two, len(two))) for _ in range(2000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = ratio(one, two)
    return {"value": float(value), "low": float(low), "high": float(high), "n": len(one) + len(two)}


def rotated(model: Classifier, linear: str, generator: torch.Generator) -> Classifier:
    """Return a network with the same function whose last hidden layer is rotated at random.

    Before the fully connected layer ``linear`` comes an orthogonal Q, and its weights W become W Q^T, so
    that W Q^T Q h = W h. The rotated layer is called ``<linear>.0``.
    """
    turned = copy.deepcopy(model)
    old = turned.network.get_submodule(linear)
    assert isinstance(old, nn.Linear)
    turn = orthogonal(old.in_features, generator)
    rotate, back = nn.Linear(old.in_features, old.in_features, bias=False), copy.deepcopy(old)
    rotate.weight.data = turn.float()
    back.weight.data = (old.weight.double() @ turn.T).float()
    turned.network.set_submodule(linear, nn.Sequential(rotate, back))
    return turned.requires_grad_(False)


def orthogonal(size: int, generator: torch.Generator) -> Tensor:
    """Return an orthogonal matrix, drawn evenly from all of them (QR with the signs of R's diagonal)."""
    q, r = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator))
    turn: Tensor = q * r.diagonal().sign()
    return turn


def nearest(phi: Tensor) -> Tensor:
    """Return each row's nearest other row, ``(n,)``."""
    apart: Tensor = torch.cdist(phi, phi, compute_mode="donot_use_mm_for_euclid_dist")
    apart.fill_diagonal_(torch.inf)
    return apart.argmin(1)


def thumbnails(x: Tensor) -> Tensor:
    """Return small pictures ``(n, THUMB, THUMB, c)`` uint8 of pictures ``(n, c, h, w)`` in [0, 1]."""
    small = nn.functional.interpolate(x, (THUMB, THUMB), mode="area")
    return (small * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def strip(thumbs: Tensor) -> str:
    """Return thumbnails side by side as a PNG picture in base 64."""
    row = torch.cat(list(thumbs), 1).numpy()
    file = io.BytesIO()
    Image.fromarray(row[:, :, 0] if row.shape[2] == 1 else row).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def shown(known: Mapping[str, Tensor], name: int, top: np.ndarray, heights: Tensor) -> dict[str, Any]:
    """Return one row of a gallery: which pictures, their labels, how high above the mean, and the strip."""
    return {
        "name": name,
        "top": top.tolist(),
        "labels": known["y"][top].tolist(),
        "heights": [round(v, 4) for v in heights[top].tolist()],
        "png": strip(known["thumbs"][top]),
    }


def _summary(answer: Mapping[str, Any], k: int) -> dict[str, Any]:
    """``histogram``: of how many units or directions 1, 2 ... ``k`` of the first ``k`` pictures agree."""
    chance, found = answer["null"], answer["purity"]
    beyond = int((np.array(chance) >= np.mean(found) - 1e-12).sum())
    return {
        "count": len(found),
        "purity": intervals.mean(found),
        "histogram": np.bincount(np.rint(np.array(found) * k).astype(int), minlength=k + 1)[1:].tolist(),
        "chance": {
            "value": float(np.mean(chance)),
            "low": float(np.quantile(chance, 0.025)),
            "high": float(np.quantile(chance, 0.975)),
            "n": len(chance),
        },
        "p": (1 + beyond) / (1 + len(chance)),
        "shown": answer["shown"],
    }


def _turned(answer: Mapping[str, Any]) -> dict[str, Any]:
    n = answer["pictures"]
    return dict(answer) | {
        "answers": intervals.share(answer["answers"], n),
        "common": intervals.mean(answer["common"]),
        "neighbours": intervals.share(answer["neighbours"], n),
    }
