"""Karpathy: Breaking Linear Classifiers on ImageNet. https://karpathy.github.io/2015/03/30/breaking-convnets/."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.spatial.distance import cdist
from scipy.special import softmax
from torch import Tensor
from torch.nn import functional

from attacks.settings import setting
from engine import intervals
from engine.intervals import Estimate
from engine.run import Floats
from errors import BadSetting, MissingData
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Stage, stored
from experiments.toolkit.image_sheets import colour, read
from models.records import FOLDER
from models.train.data import ARCHIVES, data_root, load_photos, read_classes

SIDE = 32
CLASSES = (
    "cat", "dog", "giant panda", "leopard", "flower", "road sign", "motorbike", "airplane", "ship", "watch"
)  # fmt: skip
DECAYS = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
HELD = 0.3
"""The share of photos that no classifier is trained on."""
SOURCE = "photos of Caltech-101, of pets and pandas, and of ImageNet"
HUES = {
    "red": (0, 1),
    "green": (1, 1),
    "blue": (2, 1),
    "turquoise": (0, -1),
    "purple": (1, -1),
    "yellow": (2, -1),
}
"""A colour by the channel that it has more or less of than the others."""
GRID: Floats = np.arange(1, 2001, dtype=np.float32) / np.float32(1000)
Ints = npt.NDArray[np.int64]


class Linear(NamedTuple):
    """A linear classifier: ``weights`` ``(k, 3, side, side)`` and ``bias`` ``(k,)``."""

    weights: Floats
    bias: Floats

    def logits(self, x: Floats) -> Floats:
        """Return ``(n, k)`` for pictures ``(n, 3, side, side)`` in [0, 1], which are centred at 1/2."""
        logits = (_flat(x) - np.float32(0.5)) @ _flat(self.weights).T + self.bias
        return logits.astype(np.float32, copy=False)

    def probabilities(self, x: Floats) -> list[float]:
        """Return the probability of each class for one picture ``(3, side, side)``."""
        values: list[float] = softmax(self.logits(x[None])[0].astype(np.float64)).tolist()
        return values

    def distances(self, x: Floats, y: Ints) -> Floats:
        """Return ``(n,)``: how far (l2, [0, 1] left aside) the nearest other answer is; negative where the
        answer is not ``y`` already. For a linear classifier that is exact."""
        flat, scores, rows = _flat(self.weights), self.logits(x), np.arange(len(y))
        apart = np.maximum(cdist(flat, flat)[y], 1e-12)
        gaps = (scores[rows, y][:, None] - scores) / apart
        gaps[rows, y] = np.inf
        nearest: Floats = gaps.min(1).astype(np.float32)
        return nearest

    def added(self, x: Floats, target: int, alpha: float | Floats) -> Floats:
        """Return pictures ``x`` and ``alpha`` times the target's template (at most 1), clipped."""
        template = self.weights[target]
        after: Floats = np.clip(x + alpha * template / np.abs(template).max(), 0, 1)
        return after

    def least(self, x: Floats, target: int) -> float | None:
        """Return the least alpha, in thousandths up to 2, at which ``x`` ``(3, side, side)`` is taken for
        ``target``; None where none does."""
        met = self.logits(self.added(x[None], target, GRID.reshape(-1, 1, 1, 1))).argmax(1) == target
        return round(float(GRID[met][0]), 3) if met.any() else None


def _flat(x: Floats) -> Floats:
    return x.reshape(len(x), -1)


@dataclass(frozen=True)
class PublishedAccuracy:
    """Percent right on 1000 classes of 64 x 64 pixels, with noisy and with smooth templates."""

    noisy: float
    smooth: float


PUBLISHED = PublishedAccuracy(noisy=2.6, smooth=1.4)


@dataclass(frozen=True)
class Pictures:
    """The classifier of one weight ``decay``, as it is stored: a template for each class as a PNG in base64,
    whose levels 0 to 255 mean weights from ``-top`` to ``top``, and the ``bias`` of each class."""

    decay: float
    top: float
    pictures: list[str]
    bias: list[float]


@dataclass(frozen=True)
class Fitted(Pictures):
    """A classifier with its errors: (wrong, of so many) in training and on held-out photos.

    ``rough``: how rough its templates are (`rough`); ``asks``: what each asks for on the whole (`asks`).
    """

    train: tuple[int, int]
    test: tuple[int, int]
    rough: float
    asks: list[str]


@dataclass(frozen=True)
class DecayFigures(Pictures):
    """As `Fitted`, with the share of errors from 0 to 1, and ``distance``: the median l2 distance of
    held-out photos, pixels in [0, 1], to the nearest other answer."""

    train: Estimate
    test: Estimate
    rough: float
    asks: list[str]
    distance: Estimate


@dataclass(frozen=True)
class Distances:
    """For each of `DECAYS`, in their order, how far the held-out photos are from the nearest other answer
    (l2, pixels in [0, 1]); those photos that every classifier gets right."""

    distances: list[list[float]]


@dataclass(frozen=True)
class TemplatesFigures:
    """The figures for each decay, the names of the classes, the ``side`` of the photos in pixels, and what
    Karpathy published."""

    classes: list[str]
    side: int
    decays: list[DecayFigures]
    published: PublishedAccuracy


@dataclass(frozen=True)
class Fit(Stage):
    """The training with one weight decay."""

    answer: ClassVar[type] = Fitted

    decay: float

    @property
    def name(self) -> str:
        """Return the decay."""
        return f"decay {self.decay:g}"


@dataclass(frozen=True)
class Measure(Stage):
    """The distances to other answers, of all classifiers."""

    answer: ClassVar[type] = Distances

    @property
    def name(self) -> str:
        """Return "distances"."""
        return "distances"


@dataclass(frozen=True)
class Templates(Experiment[Fitted | Distances, TemplatesFigures]):
    """Softmax regression on small photos for several weight decays: errors, templates, distances.

    The loss is the mean cross-entropy, every class with the same weight in it, plus half the decay times the
    sum of the squared weights. What is judged are the weights as their pictures hold them, in 255 levels.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="templates",
        title="Templates of a linear classifier",
        question="What does a linear classifier look for, and are smooth templates harder to fool?",
        paper="Breaking Linear Classifiers on ImageNet",
        url="https://karpathy.github.io/2015/03/30/breaking-convnets/",
        source="Figures of templates, and of accuracy against regularisation",
        needs="photos",
        digits=False,
    )
    result: ClassVar[type] = TemplatesFigures
    version: ClassVar[int] = 2

    n: int = setting(300, "Photos per class", "At most so many photos of each class.", low=10, high=2000)
    iterations: int = setting(
        200, "Iterations", "After how many steps of L-BFGS the training ends.", low=1, high=2000
    )

    def depends(self) -> object:
        """Return where the photos come from."""
        return SOURCE

    def stages(self) -> list[Fit | Measure]:
        """Return one stage for each decay, then the distances."""
        return [*(Fit(decay) for decay in DECAYS), Measure()]

    def carry_out(self, stage: Fit | Measure, store: Store) -> Fitted | Distances:
        """Train with one decay, or measure how far the held-out photos are from other answers."""
        photos = small_photos(self.data, self.n, self.seed)
        if isinstance(stage, Fit):
            return trained(photos, stage.decay, self.iterations)
        nets = [opened(stored(store, Fit(decay))) for decay in DECAYS]
        far = np.stack([net.distances(photos.test_x, photos.test_y) for net in nets])
        common = (far > 0).all(0)
        if int(common.sum()) < 2:
            raise BadSetting("Hardly a photo is recognised with every weight decay: take more photos.")
        return Distances(far[:, common].tolist())

    def summarise(self, answers: Sequence[Fitted | Distances]) -> TemplatesFigures:
        """Return templates, errors and distances for each decay."""
        fits = [answer for answer in answers if isinstance(answer, Fitted)]
        (measured,) = [answer for answer in answers if isinstance(answer, Distances)]
        decays = [_figures(*pair) for pair in zip(fits, measured.distances, strict=True)]
        return TemplatesFigures(list(CLASSES), SIDE, decays, PUBLISHED)

    def claims(self, figures: TemplatesFigures) -> dict[str, bool]:
        """Return what Karpathy says of smooth and noisy templates."""
        decays, noisiest = figures.decays, figures.decays[0]
        rough, far = [row.rough for row in decays], [row.distance for row in decays]
        return {
            "The more weight decay, the smoother the templates.": rough == sorted(rough, reverse=True),
            "The smoother the templates, the farther the nearest other answer.": all(
                a.value < b.value for a, b in zip(far, far[1:], strict=False)
            )
            and _less(far[0].high, far[-1].low),
            "Each classifier is better than guessing on photos that it has never seen.": all(
                _less(row.test.high, 1 - 1 / len(CLASSES)) for row in decays
            ),
            "The noisiest templates know the training photos by heart and err on more than one new photo in "
            "four.": noisiest.train.value < 0.01 and _less(0.25, noisiest.test.low),
        }


def _figures(fit: Fitted, distances: Sequence[float]) -> DecayFigures:
    return DecayFigures(
        fit.decay,
        fit.top,
        fit.pictures,
        fit.bias,
        train=intervals.share(*fit.train),
        test=intervals.share(*fit.test),
        rough=fit.rough,
        asks=fit.asks,
        distance=intervals.median(distances),
    )


def _less(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a < b


class Photos(NamedTuple):
    """Photos ``(n, 3, side, side)`` float32 in [0, 1] and the number of each one's class in `CLASSES`."""

    train_x: Floats
    train_y: Ints
    test_x: Floats
    test_y: Ints


def here() -> bool:
    """Say whether the photos to train on are here."""
    try:
        root = data_root()
    except MissingData:
        return False
    return all((root / file).is_file() for file in ARCHIVES.values())


@lru_cache(maxsize=2)
def small_photos(folder: str, n: int, seed: int) -> Photos:
    """Return the first ``n`` photos of each class at most, split by class; raises `errors.MissingData`."""
    known = read_classes(FOLDER / "photos_classes.json")
    root = Path(folder) if folder else data_root()
    photos = load_photos(root, {name: known[name] for name in CLASSES}, SIDE, n)
    split = photos.split(HELD, seed)
    parts = [((part.pictures.float() / 255).numpy(), part.labels.numpy()) for part in split]
    return Photos(*parts[0], *parts[1])


def trained(photos: Photos, decay: float, iterations: int) -> Fitted:
    """Return a classifier's templates as pictures, with what makes weights of them again, and its errors."""
    net = fit(photos.train_x, photos.train_y, decay, iterations)
    top = float(np.abs(net.weights).max())
    pictures = [colour(0.5 + template / (2 * top)) for template in net.weights]
    stored_net = Pictures(decay, top, pictures, net.bias.tolist())
    net = opened(stored_net)
    return Fitted(
        **asdict(stored_net),
        train=_errors(net, photos.train_x, photos.train_y),
        test=_errors(net, photos.test_x, photos.test_y),
        rough=rough(net.weights),
        asks=[asks(template) for template in centred(net.weights)],
    )


def _errors(net: Linear, x: Floats, y: Ints) -> tuple[int, int]:
    """Return how many are wrong, of how many."""
    return int((net.logits(x).argmax(1) != y).sum()), len(y)


def opened(pictures: Pictures) -> Linear:
    """Return the classifier whose templates `trained` made pictures of."""
    levels = np.stack([read(picture) for picture in pictures.pictures])
    weights = (np.round(levels * 255) - np.float32(127.5)) / np.float32(127.5) * np.float32(pictures.top)
    return Linear(weights, np.array(pictures.bias, np.float32))


def fit(x: Floats, y: Ints, decay: float, iterations: int) -> Linear:
    """Return the softmax regression of ``y`` on ``x``; L-BFGS from 0, so nothing is drawn at random."""
    k, labels = int(y.max()) + 1, torch.from_numpy(y)
    flat = torch.from_numpy(x).flatten(1) - 0.5
    share = 1 / torch.bincount(labels, minlength=k).clamp(min=1).float()[labels] / k
    w = torch.zeros(k, flat.shape[1], requires_grad=True)
    b = torch.zeros(k, requires_grad=True)
    optimiser = torch.optim.LBFGS([w, b], max_iter=iterations, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        errors = functional.cross_entropy(flat @ w.T + b, labels, reduction="none")
        value = share @ errors + decay / 2 * w.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return Linear(w.detach().numpy().reshape(k, *x.shape[1:]), b.detach().numpy())


def centred(weights: Floats) -> Floats:
    """Return the templates less their mean: what all classes ask for tells nothing."""
    mean: Floats = weights.mean(0)
    return weights - mean


def rough(weights: Floats) -> float:
    """Return how much neighbouring weights differ, against their size: 0 for a plain field, sqrt 2 for
    noise."""
    steps = weights[..., 1:] - weights[..., :-1]
    return round(float(np.sqrt(np.square(steps).mean() / np.square(weights).mean())), 4)


def asks(template: Floats) -> str:
    """Return what a template ``(3, h, w)`` asks for on the whole: "bright", "dark" or one of `HUES`."""
    means = template.mean((1, 2))
    brightness = float(means.mean())
    tints = {name: sign * float(means[c] - brightness) for name, (c, sign) in HUES.items()}
    strongest = max(tints, key=lambda name: tints[name])
    if abs(brightness) > tints[strongest]:
        return "bright" if brightness > 0 else "dark"
    return strongest


def see(picture: Image.Image) -> Floats:
    """Return the central square of a picture ``(3, side, side)`` in [0, 1], as the photos were read."""
    short = min(picture.size)
    left, top = (picture.width - short) // 2, (picture.height - short) // 2
    box = (left, top, left + short, top + short)
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
    levels = np.asarray(small, dtype=np.float32) / np.float32(255)
    return levels.transpose(2, 0, 1).copy()
