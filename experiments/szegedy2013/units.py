"""Szegedy et al.: Intriguing Properties of Neural Networks, section 3. https://arxiv.org/abs/1312.6199."""

from __future__ import annotations

import base64
import copy
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from scipy import stats
from torch import Tensor, nn

import models
from attacks.settings import setting
from engine import intervals
from engine.intervals import Estimate
from engine.networks import copied
from errors import BadSetting
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Stage
from experiments.datasets.images import origin, pictures
from experiments.methods import activations
from experiments.szegedy2013 import paper
from models.core import Classifier

CHUNK = 500
BLOCK = 100
MOST = 300_000_000
"""How many numbers the features of all pictures may be."""
LEAST = 1e-3
SHOWN = 8
THUMB = 28
QUERIES = 1000
SINGLE = "units"
FAMILIES = {
    SINGLE: "single units",
    "directions": "random directions",
    "scaled": "random directions, every unit first scaled to the same spread",
}


@dataclass(frozen=True)
class Row:
    """One row of a gallery.

    ``name``: number of the unit or of the direction. ``top``: numbers of the k pictures that excite it most,
    the most exciting first; ``labels``: theirs; ``heights``: how far above the mean of all pictures they
    lie. ``png``: the pictures side by side, in base 64.
    """

    name: int
    top: list[int]
    labels: list[int]
    heights: list[float]
    png: str


@dataclass(frozen=True)
class Batch:
    """How many pictures a batch holds, and whether somebody gave their labels."""

    count: int
    labelled: bool


@dataclass(frozen=True)
class Tops:
    """The pictures that most excite each unit or direction of one family.

    ``width``: units of the layer, of which ``dead_units`` excite fewer than k pictures. ``purity``: share of
    the most frequent label among the k pictures, from 1/k to 1, for each unit or direction; ``null``: mean
    of these after each shuffle of the labels. ``shown``: rows of the gallery.
    """

    width: int
    dead_units: int
    purity: list[float]
    null: list[float]
    shown: list[Row]


@dataclass(frozen=True)
class RotationCounts:
    """What a rotation of the layer ``layer``, of ``width`` units, changes for ``pictures`` pictures.

    ``logits``: largest difference of any logit. ``answers``: how many answers stay the same. ``common``: for
    each unit, the share of its k pictures that excite the rotated unit most too; ``by_chance``: what it would
    be for k random ones. ``neighbours``: how many pictures keep their nearest neighbour. ``classes``: how
    many different labels there are.
    """

    layer: str
    width: int
    pictures: int
    logits: float
    answers: int
    common: list[float]
    by_chance: float
    neighbours: int
    classes: int


@dataclass(frozen=True)
class RotationAnswer:
    """What a rotation changes; None for a network without a fully connected layer."""

    counts: RotationCounts | None


@dataclass(frozen=True)
class Family:
    """Purities of one family over ``count`` units or directions; ``what`` they are, in words.

    ``purity``: mean, from 1/k to 1. ``histogram``: for how many of them 1, 2 ... k pictures share a label.
    ``chance``: mean purity under shuffled labels and where 95 % of the shuffles lie; ``p``: of a mean purity
    so large by chance. ``shown``: rows of the gallery.
    """

    count: int
    purity: Estimate
    histogram: list[int]
    chance: Estimate
    p: float
    shown: list[Row]
    what: str


@dataclass(frozen=True)
class Comparison:
    """Difference of two means with its 95 % interval; ``p``: of one so large by chance."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Difference(Comparison):
    """By how much the mean purity of units is above that of directions; ``above``: how far that of directions
    is above chance, over how far that of units is."""

    above: Estimate


@dataclass(frozen=True)
class Rotation:
    """As `RotationCounts`; ``answers``, ``common`` and ``neighbours`` are shares, from 0 to 1."""

    layer: str
    width: int
    pictures: int
    logits: float
    answers: Estimate
    common: Estimate
    by_chance: float
    neighbours: Estimate
    classes: int


@dataclass(frozen=True)
class UnitsFigures:
    """Purities of units and of directions by the names in `FAMILIES`, and what a rotation changes.

    ``pictures``: how many; ``origin``: where they are from; ``labels``: who gave their labels; ``k``: how
    many of them each row has. ``width``: units of the layer, of which ``dead_units`` were not drawn.
    ``differences``: of units to each other family. ``rotation``: None without a fully connected layer.
    """

    model: str
    layer: str
    pictures: int
    origin: str = field(metadata={"json": "from"})
    labels: str
    k: int
    width: int
    dead_units: int = field(metadata={"json": "silent"})
    families: dict[str, Family]
    differences: dict[str, Difference]
    rotation: Rotation | None


@dataclass(frozen=True)
class FeatureStage(Stage):
    """Features of up to `CHUNK` pictures from number ``start`` on, stored as tensors."""

    answer: ClassVar[type] = Batch

    start: int

    @property
    def name(self) -> str:
        """Return the number of the first picture."""
        return f"features {self.start}"


@dataclass(frozen=True)
class FamilyStage(Stage):
    """The pictures that most excite the units or directions of one of `FAMILIES`."""

    answer: ClassVar[type] = Tops

    family: str

    @property
    def name(self) -> str:
        """Return the name of the family."""
        return self.family


@dataclass(frozen=True)
class RotationStage(Stage):
    """The rotation of the last hidden layer."""

    answer: ClassVar[type] = RotationAnswer

    @property
    def name(self) -> str:
        """Return "rotation"."""
        return "rotation"


@dataclass(frozen=True)
class Features:
    """What is known of n pictures: what the ``layer`` gives ``(n, units)``, labels ``y`` ``(n,)`` int64, and
    ``thumbs`` ``(n, THUMB, THUMB, c)`` uint8."""

    layer: Tensor
    y: Tensor
    thumbs: Tensor


UnitsStage = FeatureStage | FamilyStage | RotationStage
UnitsAnswer = Batch | Tops | RotationAnswer


@dataclass(frozen=True)
class Units(Experiment[UnitsAnswer, UnitsFigures]):
    """The pictures that most excite a unit, beside those farthest along a random direction.

    The paper shows both and finds them equally easy to describe; this adds a measure, the purity: the
    share of the most frequent label among the first ``k``. Features may be centred or not: that moves
    every picture alike along a direction and leaves their order. Scaling them does not, so directions are
    drawn both ways. Units that excite fewer than ``k`` pictures are dead and are not drawn.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="units",
        title="Units and random directions",
        question="Does a single unit stand for more than a random mixture of units does?",
        paper=paper.TITLE,
        url=paper.URL,
        source="Section 3, figures 1 to 4",
        needs="photos, for a network that reads photos",
    )

    result: ClassVar[type] = UnitsFigures
    version: ClassVar[int] = 2

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

    def depends(self) -> object:
        """Return where the pictures are from, and the digest of the weights."""
        card = models.card(self.model)
        return [origin(card, self.data), card.weights.sha256]

    def stages(self) -> list[UnitsStage]:
        """Return the batches of features, then what is made of them."""
        batches = [FeatureStage(start) for start in range(0, self.n, CHUNK)]
        return [*batches, *map(FamilyStage, FAMILIES), RotationStage()]

    def carry_out(self, stage: UnitsStage, store: Store) -> UnitsAnswer:
        """Compute features of some pictures, the tops of one family, or the rotation."""
        if isinstance(stage, FeatureStage):
            return self._batch(stage, store)
        if isinstance(stage, FamilyStage):
            return self._tops(stage.family, store)
        return RotationAnswer(self._rotation(store))

    def _batch(self, stage: FeatureStage, store: Store) -> Batch:
        model = copied(self.model)
        x, y, _ = pictures(model.card, self.data, stage.start, min(stage.start + CHUNK, self.n))
        if not len(x):
            return Batch(0, labelled=True)
        logits = torch.cat([model(part) for part in x.split(100)])
        phi = activations.features(model, x, self.layer)
        if phi.shape[1] * self.n > MOST:
            most = MOST // phi.shape[1]
            raise BadSetting(f"Expected n to be at most {most:,} for a layer of {phi.shape[1]:,} units.")
        labels = logits.argmax(1) if y is None else y
        store.put_tensors(stage.name, {"layer": phi, "y": labels, "thumbs": thumbnails(x)})
        return Batch(len(x), labelled=y is not None)

    def _features(self, store: Store) -> Features:
        """Return the features of all pictures; raises `errors.BadSetting` where there are too few."""
        names = [stage.name for stage in self.stages() if isinstance(stage, FeatureStage)]
        parts = [store.tensors(name) for name in names if store.has_tensors(name)]
        whole = Features(*(torch.cat([part[key] for part in parts]) for key in ("layer", "y", "thumbs")))
        if len(whole.y) <= self.k:
            raise BadSetting(f"Expected k to be below the {len(whole.y)} pictures there are, got {self.k}.")
        return whole

    def _tops(self, family: str, store: Store) -> Tops:
        features, rng = self._features(store), np.random.default_rng(self.seed)
        phi = features.layer.double()
        phi -= phi.mean(0)
        active = active_units(phi, self.k)
        drawn = np.arange(self.directions)
        if family == SINGLE:
            drawn = np.sort(rng.permutation(active)[: self.units])
        parts: list[np.ndarray] = []
        first: list[Tensor] = []
        for heights in projections(phi, family, drawn, rng):
            parts.append(tops(heights, self.k))
            first = first or list(heights.T[:SHOWN])
        top, y = np.concatenate(parts), features.y.numpy()
        return Tops(
            width=phi.shape[1],
            dead_units=phi.shape[1] - len(active),
            purity=[round(v, 6) for v in purity(y[top])],
            null=null(y, top, self.shuffles, rng),
            shown=[gallery_row(features, int(drawn[i]), top[i], column) for i, column in enumerate(first)],
        )

    def _rotation(self, store: Store) -> RotationCounts | None:
        model, features = copied(self.model), self._features(store)
        linear = activations.last_linear(model)
        if linear is None:
            return None
        turned = rotated(model, linear, torch.Generator().manual_seed(self.seed))
        x = pictures(model.card, self.data, 0, min(self.n, QUERIES)).x
        plain, other = (torch.cat([net(part) for part in x.split(100)]) for net in (model, turned))
        here = activations.features(model, x).double()
        there = activations.features(turned, x, f"{linear}.0").double()
        active = active_units(here, self.k)[: self.units]
        return RotationCounts(
            layer=f"what {linear} is given",
            width=here.shape[1],
            pictures=len(x),
            logits=float((plain - other).abs().max()),
            answers=int((plain.argmax(1) == other.argmax(1)).sum()),
            common=shared_tops(here[:, active], there[:, active], self.k),
            by_chance=self.k / len(x),
            neighbours=int((nearest(here) == nearest(there)).sum()),
            classes=len(features.y.unique()),
        )

    def summarise(self, answers: Sequence[UnitsAnswer]) -> UnitsFigures:
        """Return the galleries, the purities beside chance, their differences, and the rotation."""
        batches = [answer for answer in answers if isinstance(answer, Batch)]
        families = dict(zip(FAMILIES, (a for a in answers if isinstance(a, Tops)), strict=True))
        counts = next(answer.counts for answer in answers if isinstance(answer, RotationAnswer))
        labelled = all(batch.labelled for batch in batches)
        return UnitsFigures(
            model=self.model,
            layer=self.layer or "the last hidden layer",
            pictures=sum(batch.count for batch in batches),
            origin=origin(models.card(self.model), self.data),
            labels="given" if labelled else "the network's own answers",
            k=self.k,
            width=families[SINGLE].width,
            dead_units=families[SINGLE].dead_units,
            families={name: _summary(family, FAMILIES[name], self.k) for name, family in families.items()},
            differences=self._differences(families),
            rotation=_rotation_figures(counts) if counts else None,
        )

    def _differences(self, families: dict[str, Tops]) -> dict[str, Difference]:
        """Return how units differ from each other family."""
        rng, units = np.random.default_rng(self.seed), families[SINGLE]
        chance = float(np.mean(units.null))
        differences: dict[str, Difference] = {}
        for name, family in families.items():
            if name != SINGLE:
                gap = compared(units.purity, family.purity, self.shuffles, rng)
                ratio = above(units.purity, family.purity, chance, rng)
                differences[name] = Difference(gap.value, gap.low, gap.high, gap.p, ratio)
        return differences

    def claims(self, figures: UnitsFigures) -> dict[str, bool]:
        """Return what the paper says of units and directions, and what a rotation shows."""
        families, gaps = figures.families, figures.differences
        claims = {
            "The pictures that most excite a unit share a label more often than chance would have it.": (
                families["units"].p < 0.01
            ),
            "So do the pictures farthest along a random direction.": families["directions"].p < 0.01,
            "No difference in purity is to be seen between single units and random directions.": (
                gaps["directions"].p >= 0.05
            ),
            "Random directions are at least four fifths as far above chance as single units are.": (
                _at_least(gaps["directions"].above, 0.8)
            ),
            "So are directions over units that were first scaled to the same spread.": (
                _at_least(gaps["scaled"].above, 0.8)
            ),
        }
        return claims | (_rotation_claims(figures.rotation) if figures.rotation else {})


def _at_least(estimate: Estimate, bound: float) -> bool:
    """Return whether the whole interval lies at ``bound`` or above."""
    return estimate.low is not None and estimate.low >= bound


def _rotation_claims(rotation: Rotation) -> dict[str, bool]:
    return {
        "The network whose hidden layer was rotated says the same.": (
            rotation.logits < 1e-3 and rotation.answers.value == 1
        ),
        "Most of the pictures that excite its units are other ones.": (
            rotation.common.high is not None and rotation.common.high < 0.5
        ),
        "The nearest neighbours of 99 in 100 pictures or more stay the same.": (
            rotation.neighbours.value >= 0.99
        ),
    }


def projections(phi: Tensor, family: str, drawn: np.ndarray, rng: np.random.Generator) -> Iterator[Tensor]:
    """Yield how high ``(pictures, m)`` all pictures lie along units or directions, a hundred at a time.

    ``phi``: centred features ``(pictures, units)``. ``drawn``: the numbers of the units, or one number for
    each direction, which ``rng`` draws.
    """
    if family == SINGLE:
        yield from (phi[:, block] for block in parted(drawn))
        return
    scale = 1 / phi.std(0) if family == "scaled" else torch.ones(phi.shape[1])
    scale = scale.where(scale.isfinite(), 0)[:, None]
    for block in parted(drawn):
        yield phi @ (scale * directions(phi.shape[1], len(block), rng))


def shared_tops(here: Tensor, there: Tensor, k: int) -> list[float]:
    """Return, for each column of both ``(pictures, m)``, the share of its ``k`` highest pictures that are
    among those of the same column of the other."""
    pairs = zip(tops(here, k), tops(there, k), strict=True)
    return [len(set(a.tolist()) & set(b.tolist())) / k for a, b in pairs]


def parted(drawn: np.ndarray) -> list[np.ndarray]:
    """Return ``drawn`` a hundred at a time."""
    return np.split(drawn, range(BLOCK, len(drawn), BLOCK))


def directions(width: int, count: int, rng: np.random.Generator) -> Tensor:
    """Return ``count`` directions of length 1, drawn evenly from all, as columns ``(width, count)``."""
    drawn = torch.from_numpy(rng.standard_normal((width, count)))
    unit: Tensor = drawn / drawn.norm(dim=0)
    return unit


def active_units(phi: Tensor, k: int) -> np.ndarray:
    """Return the numbers of the units that lift at least ``k`` pictures above their lowest value."""
    return np.flatnonzero(((phi > phi.amin(0)).sum(0) >= k).numpy())


def tops(heights: Tensor, k: int) -> np.ndarray:
    """Return, for each column of ``(pictures, m)``, the ``k`` highest pictures, highest first: ``(m, k)``."""
    parts = [
        block.T.sort(dim=1, descending=True, stable=True).indices[:, :k] for block in heights.split(100, 1)
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
) -> Comparison:
    """Return the difference of the means, its 95 % interval (Welch), and p of a two-sided permutation test
    of the distributions' means."""
    joined, m = np.array([*first, *second]), len(first)
    gap = float(np.mean(first) - np.mean(second))
    drawn = (rng.permutation(joined) for _ in range(shuffles))
    beyond = sum(bool(abs(d[:m].mean() - d[m:].mean()) >= abs(gap) - 1e-12) for d in drawn)
    low, high = gap, gap
    if joined.std():
        low, high = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    return Comparison(gap, float(low), float(high), p=(1 + beyond) / (1 + shuffles))


def above(
    units: Sequence[float], others: Sequence[float], chance: float, rng: np.random.Generator
) -> Estimate:
    """Return how far above ``chance`` the mean of ``others`` is, over how far that of ``units`` is, with
    the 95 % interval of 2,000 bootstrap draws. Units count as `LEAST` above it at least."""
    one, two = np.array(units), np.array(others)

    def ratio(a: np.ndarray, b: np.ndarray) -> float:
        return float((b.mean() - chance) / max(a.mean() - chance, LEAST))

    drawn = [ratio(rng.choice(one, len(one)), rng.choice(two, len(two))) for _ in range(2000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(ratio(one, two), float(low), float(high), len(one) + len(two))


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


def gallery_row(features: Features, name: int, top: np.ndarray, heights: Tensor) -> Row:
    """Return one row of a gallery.

    ``top``: ``(k,)`` numbers of its pictures. ``heights``: ``(pictures,)`` how far each lies above the mean.
    """
    return Row(
        name=name,
        top=top.tolist(),
        labels=features.y[top].tolist(),
        heights=[round(v, 4) for v in heights[top].tolist()],
        png=strip(features.thumbs[top]),
    )


def _summary(answer: Tops, what: str, k: int) -> Family:
    chance, purities = np.array(answer.null), np.array(answer.purity)
    beyond = int((chance >= np.mean(purities) - 1e-12).sum())
    return Family(
        count=len(purities),
        purity=intervals.mean(answer.purity),
        histogram=np.bincount(np.rint(purities * k).astype(int), minlength=k + 1)[1:].tolist(),
        chance=Estimate(
            value=float(np.mean(chance)),
            low=float(np.quantile(chance, 0.025)),
            high=float(np.quantile(chance, 0.975)),
            n=len(chance),
        ),
        p=(1 + beyond) / (1 + len(chance)),
        shown=answer.shown,
        what=what,
    )


def _rotation_figures(counts: RotationCounts) -> Rotation:
    n = counts.pictures
    return Rotation(
        layer=counts.layer,
        width=counts.width,
        pictures=n,
        logits=counts.logits,
        answers=intervals.share(counts.answers, n),
        common=intervals.mean(counts.common),
        by_chance=counts.by_chance,
        neighbours=intervals.share(counts.neighbours, n),
        classes=counts.classes,
    )
