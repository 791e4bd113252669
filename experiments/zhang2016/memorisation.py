"""Learning by heart: random labels, random pixels, the network of 2n + d weights, and the least norm.

Zhang et al.: Understanding Deep Learning Requires Rethinking Generalization. https://arxiv.org/abs/1611.03530.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attacks.settings import setting
from engine import intervals
from engine.intervals import Estimate
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Published, Stage
from experiments.datasets import digit_sets
from experiments.datasets.digit_sets import Digits
from experiments.methods.distortion import distortions
from experiments.methods.perceptron import Perceptron
from experiments.toolkit.image_sheets import png
from experiments.zhang2016.fitting import Curves, Fit, fit, patterns
from experiments.zhang2016.label_noise import (
    Replace,
    gaussian,
    random_labels,
    random_pixels,
    shuffled_pixels,
    unchanged,
)
from experiments.zhang2016.least_norm import descend, kernel_errors, span
from experiments.zhang2016.memoriser import Array, hidden, memorise

DECAY, DROP = 1e-4, 0.5
KERNEL = 2000
"""How many digits a kernel is fitted to at most: its equations grow with their square."""
CLOSE = 0.03
"""How far from one in ten still counts as guessing."""


class Condition(NamedTuple):
    """A title, what is done to the digits, and the explicit regularisers of the training."""

    title: str
    replace: Replace
    decay: float = 0.0
    drop: float = 0.0


CONDITIONS = {
    "true": Condition("True labels", unchanged),
    "quarter": Condition("One label in four random", random_labels(0.25)),
    "half": Condition("Every second label random", random_labels(0.5)),
    "random_labels": Condition("Random labels", random_labels(1.0)),
    "shuffled_pixels": Condition("Shuffled pixels, all alike", shuffled_pixels),
    "random_pixels": Condition("Shuffled pixels, each in its own way", random_pixels),
    "gaussian": Condition("Noise in place of pictures", gaussian),
    "decay": Condition("True labels, weight decay", unchanged, decay=DECAY),
    "dropout": Condition("True labels, dropout", unchanged, drop=DROP),
    "both": Condition("True labels, weight decay and dropout", unchanged, decay=DECAY, drop=DROP),
}
HOPELESS = ("random_labels", "random_pixels", "gaussian")
REGULARISED = ("decay", "dropout", "both")
ATTACKED = ("true", "random_labels")

OTHER_DATA = "CIFAR-10: another data set, for comparison of kind, not of size"
PUBLISHED = {
    "MLP 1 x 512, weight decay": (Published(99.80), Published(50.39)),
    "MLP 1 x 512": (Published(100.0), Published(50.51)),
    "MLP 1 x 512, random labels": (Published(99.34), Published(10.61)),
    "MLP 3 x 512": (Published(100.0), Published(52.39)),
    "MLP 3 x 512, random labels": (Published(100.0), Published(10.48)),
    "Inception, everything on": (Published(100.0), Published(89.05)),
    "Inception, nothing on": (Published(100.0), Published(85.75)),
    "Inception, random labels": (Published(100.0), Published(9.78)),
}
"""Percent right in training and test."""
KERNEL_PUBLISHED = Published(1.2, recalled=True)
"""Percent of MNIST's test digits that a Gaussian kernel of least norm gets wrong, from 60,000 digits."""


@dataclass(frozen=True)
class Learnt:
    """One network that was trained under a condition.

    ``fitted``: after how many passes every training picture was right for the first time, None for never.
    ``right``: of ``tests`` test digits, how many it gets right. ``norm``: Euclidean, of all weights.
    ``digits``: training digits; ``patterns``: how many different sets of units of the first hidden layer
    they switch on. ``picture``: the first training picture as PNG in base 64, and its ``label``.
    """

    curves: Curves
    fitted: int | None
    right: int
    tests: int
    norm: float
    digits: int
    patterns: int
    picture: str
    label: int


@dataclass(frozen=True)
class Distortions:
    """Least changes that undo what was learnt, by condition: for each digit, root mean square of pixels from
    0 to 1."""

    values: dict[str, list[float]]


@dataclass(frozen=True)
class TheoremNetwork:
    """The network of 2n + d weights for ``n`` digits of ``d`` pixels.

    ``residual``: largest error of any answer to random labels 0 to 9. ``smallest_gap``: between two digits
    along its direction. ``largest_weight``: of its output weights. ``condition``: condition number of its
    hidden layer. ``test``: share of test digits right, with true labels.
    """

    n: int
    d: int
    parameters: int
    residual: float
    smallest_gap: float
    largest_weight: float
    condition: float
    test: Estimate


@dataclass(frozen=True)
class Descent:
    """Where gradient descent ends: its ``norm``, its ``distance`` from the solution of least norm, ``off``:
    that over the least norm, and the largest ``residual`` of any equation."""

    norm: float
    off: float
    distance: float
    residual: float


@dataclass(frozen=True)
class Kernel:
    """A Gaussian kernel of least norm, fitted to ``n`` digits: ``test``: share of test digits wrong."""

    n: int
    test: Estimate


@dataclass(frozen=True)
class LeastNorm:
    """The least ``norm`` of a solution for ``digits`` digits, and gradient descent from 0 and from elsewhere;
    ``start_left_over``: norm of the part of that other start that no digit can change."""

    digits: int
    norm: float
    from_zero: Descent
    from_elsewhere: Descent
    start_left_over: float
    kernel: Kernel


@dataclass(frozen=True)
class LeastNormFigures(LeastNorm):
    """As `LeastNorm`; ``published_kernel_error``: in percent of test digits."""

    published_kernel_error: Published


@dataclass(frozen=True)
class ConditionFigures:
    """As `Learnt`, with the ``title`` of the condition and shares right in ``train`` and ``test``, from 0 to
    1."""

    title: str
    curves: Curves
    fitted: int | None
    norm: float
    digits: int
    patterns: int
    picture: str
    label: int
    train: float
    test: Estimate


@dataclass(frozen=True)
class PublishedRow:
    """A row of the paper's table 1: percent right in training and test."""

    train: Published
    test: Published


@dataclass(frozen=True)
class PublishedTable:
    """The paper's table 1 by the name of the network; ``note``: which data it is for."""

    note: str
    rows: dict[str, PublishedRow]


@dataclass(frozen=True)
class MemorisationFigures:
    """Figures of all conditions, the theorem and the least norm.

    ``parameters``: of a network. ``conditions``: by their names in `CONDITIONS`. ``distortion``: by
    condition, mean of `Distortions`. ``theorem``: a network for each number of digits. ``ink``: share of test
    digits right for who knows only how bright a digit is.
    """

    parameters: int
    conditions: dict[str, ConditionFigures]
    distortion: dict[str, Estimate]
    theorem: list[TheoremNetwork]
    least_norm: LeastNormFigures
    ink: Estimate
    published: PublishedTable


@dataclass(frozen=True)
class LearningStage(Stage):
    """Training under one of `CONDITIONS`; stores the weights of those in `ATTACKED` as tensors."""

    answer: ClassVar[type] = Learnt

    condition: str

    @property
    def name(self) -> str:
        """Return the name of the condition."""
        return self.condition


@dataclass(frozen=True)
class DistortionStage(Stage):
    """The nearest changes for the networks of `ATTACKED`."""

    answer: ClassVar[type] = Distortions

    @property
    def name(self) -> str:
        """Return "distortion"."""
        return "distortion"


@dataclass(frozen=True)
class TheoremStage(Stage):
    """The network of 2n + d weights for ``n`` digits."""

    answer: ClassVar[type] = TheoremNetwork

    n: int

    @property
    def name(self) -> str:
        """Return the number of digits."""
        return str(self.n)


@dataclass(frozen=True)
class LeastNormStage(Stage):
    """The solution of least norm."""

    answer: ClassVar[type] = LeastNorm

    @property
    def name(self) -> str:
        """Return "least norm"."""
        return "least norm"


@dataclass(frozen=True)
class InkStage(Stage):
    """What brightness alone tells of digits."""

    answer: ClassVar[type] = Estimate

    @property
    def name(self) -> str:
        """Return "ink"."""
        return "ink"


MemorisationStage = LearningStage | DistortionStage | TheoremStage | LeastNormStage | InkStage
MemorisationAnswer = Learnt | Distortions | TheoremNetwork | LeastNorm | Estimate


@dataclass(frozen=True)
class Memorisation(Experiment[MemorisationAnswer, MemorisationFigures]):
    """One network memorises true labels, random ones and noise equally well; see `Experiment`."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="memorisation",
        title="Learning by heart",
        question="Can a network that learns digits also learn random labels, and what does that cost it?",
        paper="Understanding Deep Learning Requires Rethinking Generalization",
        url="https://arxiv.org/abs/1611.03530",
        source="Table 1, figure 1, theorem 1 and section 5",
    )

    result: ClassVar[type] = MemorisationFigures
    version: ClassVar[int] = 2

    n: int = setting(2000, "Training digits", "How many digits are to be learnt.", low=100, high=10_000)
    units: int = setting(512, "Units", "Rectified units in a hidden layer.", low=8, high=2048)
    layers: int = setting(1, "Hidden layers", "How many hidden layers there are.", low=1, high=4)
    epochs: int = setting(200, "Passes", "When to give up learning by heart.", low=1, high=2000)
    tests: int = setting(2000, "Test digits", "How many digits a network is judged on.", low=100, high=10_000)
    attacked: int = setting(
        100, "Attacked digits", "For how many digits the nearest change is sought.", low=5, high=1000
    )
    theorem: int = setting(
        1000, "Digits of the theorem", "For how many digits the 2n + d weights are found.", low=10, high=2000
    )

    def depends(self) -> object:
        """Return where the digits come from."""
        return digit_sets.source(self.data)

    def stages(self) -> list[MemorisationStage]:
        """Return a stage for each condition, then the attack, the theorem, the least norm and the ink."""
        learning = map(LearningStage, CONDITIONS)
        theorem = map(TheoremStage, self.sizes())
        return [*learning, DistortionStage(), *theorem, LeastNormStage(), InkStage()]

    def sizes(self) -> list[int]:
        """Return for how many digits the theorem's network is built: 10, 30, 100 ... `theorem`."""
        return [n for n in (10, 30, 100, 300, 1000) if n < self.theorem] + [self.theorem]

    def carry_out(self, stage: MemorisationStage, store: Store) -> MemorisationAnswer:
        """Train under a condition, seek the nearest changes, or work out one part of the mathematics."""
        digits = self._digits()
        if isinstance(stage, LearningStage):
            return self._learn(stage, digits, store)
        if isinstance(stage, DistortionStage):
            return Distortions({name: self._distortions(name, digits, store) for name in ATTACKED})
        if isinstance(stage, InkStage):
            return ink(digits)
        rng = np.random.default_rng(self.seed)
        return construct(digits, stage.n, rng) if isinstance(stage, TheoremStage) else least_norm(digits, rng)

    def _digits(self) -> Digits:
        whole = digit_sets.digits(self.data)
        n = min(max(self.n, self.theorem), len(whole.train_y))
        tests = slice(0, self.tests)
        return Digits(
            whole.train_x[:n], whole.train_y[:n], whole.test_x[tests], whole.test_y[tests], whole.source
        )

    def _condition(self, name: str, digits: Digits) -> Digits:
        """Return the digits under a condition; drawn anew from the seed, so that they are always the same."""
        first = digits._replace(train_x=digits.train_x[: self.n], train_y=digits.train_y[: self.n])
        return CONDITIONS[name].replace(first, torch.Generator().manual_seed(self.seed + 1))

    def _widths(self) -> list[int]:
        return [784, *[self.units] * self.layers, 10]

    def _network(self) -> Perceptron:
        return Perceptron(self._widths(), "relu", torch.Generator().manual_seed(self.seed))

    def _learn(self, stage: LearningStage, digits: Digits, store: Store) -> Learnt:
        condition, net = CONDITIONS[stage.condition], self._network()
        digits = self._condition(stage.condition, digits)
        settings = Fit(self.epochs, decay=condition.decay, drop=condition.drop)
        curves = fit(net, digits, settings, torch.Generator().manual_seed(self.seed + 2))
        if stage.condition in ATTACKED:
            store.put_tensors(stage.name, net.state_dict())
        return Learnt(
            curves=curves.rounded(),
            fitted=curves.fitted(),
            right=round(curves.test[-1] * len(digits.test_y)),
            tests=len(digits.test_y),
            norm=math.sqrt(float(net.squares().detach())),
            digits=len(digits.train_y),
            patterns=patterns(net, digits.train_x),
            picture=png(digits.train_x[0, 0]),
            label=int(digits.train_y[0]),
        )

    def _distortions(self, name: str, digits: Digits, store: Store) -> list[float]:
        """Return the distortions of those first training digits whose labels the network has learnt."""
        digits, net = self._condition(name, digits), self._network()
        net.load_state_dict(store.tensors(LearningStage(name).name))
        net.requires_grad_(False)
        x, y = digits.train_x[: self.attacked], digits.train_y[: self.attacked]
        learnt = net(x).argmax(1) == y
        values = distortions(net, x[learnt], y[learnt])
        return [round(value, 6) for value in values if math.isfinite(value)]

    def summarise(self, answers: Sequence[MemorisationAnswer]) -> MemorisationFigures:
        """Return every condition with its curves, the distortions, the theorem, and the least norm."""
        learnt = [answer for answer in answers if isinstance(answer, Learnt)]
        changes = next(answer for answer in answers if isinstance(answer, Distortions))
        least = next(answer for answer in answers if isinstance(answer, LeastNorm))
        names = zip(CONDITIONS, learnt, strict=True)
        return MemorisationFigures(
            parameters=sum(a * b + b for a, b in itertools.pairwise(self._widths())),
            conditions={name: _condition_figures(name, answer) for name, answer in names},
            distortion={name: intervals.mean(values) for name, values in changes.values.items()},
            theorem=[answer for answer in answers if isinstance(answer, TheoremNetwork)],
            least_norm=LeastNormFigures(**vars(least), published_kernel_error=KERNEL_PUBLISHED),
            ink=next(answer for answer in answers if isinstance(answer, Estimate)),
            published=PublishedTable(OTHER_DATA, {k: PublishedRow(*row) for k, row in PUBLISHED.items()}),
        )

    def claims(self, figures: MemorisationFigures) -> dict[str, bool]:
        """Return what the figures say of the paper's sentences."""
        return _learning(figures.conditions) | _mathematics(figures)


def _condition_figures(name: str, answer: Learnt) -> ConditionFigures:
    return ConditionFigures(
        title=CONDITIONS[name].title,
        curves=answer.curves,
        fitted=answer.fitted,
        norm=answer.norm,
        digits=answer.digits,
        patterns=answer.patterns,
        picture=answer.picture,
        label=answer.label,
        train=answer.curves.train[-1],
        test=intervals.share(answer.right, answer.tests),
    )


def _learning(conditions: Mapping[str, ConditionFigures]) -> dict[str, bool]:
    """Return the claims about trained networks."""
    true = conditions["true"].test
    guess = {name: abs(conditions[name].test.value - 0.1) <= CLOSE for name in HOPELESS}
    passes = [conditions[name].fitted for name in ("true", "quarter", "half", "random_labels")]
    return {
        "Without regularisers every condition is learnt by heart: all training answers are right.": all(
            conditions[name].train == 1 for name in CONDITIONS if name not in REGULARISED
        ),
        "Trained on random labels, a network guesses: within 3 points of one test digit in ten.": guess[
            "random_labels"
        ],
        "Trained on noise, a network guesses: within 3 points of one test picture in ten.": guess["gaussian"],
        "Trained on digits shuffled each in its own way, a network guesses: within 3 points of one in "
        "ten.": guess["random_pixels"],
        "A shuffle that is the same for all digits makes no difference: the intervals overlap.": overlap(
            conditions["shuffled_pixels"].test, true
        ),
        "Without weight decay and dropout the network generalises: more than 80 % of test digits.": (
            true.least > 0.8
        ),
        "Weight decay, dropout or both change the test by less than 5 points.": all(
            abs(conditions[name].test.value - true.value) < 0.05 for name in REGULARISED
        ),
        "Every training digit switches on a set of units that is its own.": (
            conditions["true"].patterns == conditions["true"].digits
        ),
        "The more labels are random, the more passes it takes to learn them.": _increasing(passes),
    }


def _mathematics(figures: MemorisationFigures) -> dict[str, bool]:
    """Return the claims about the construction, the least norm and the nearest change."""
    theorem, least, distortion = figures.theorem, figures.least_norm, figures.distortion
    return {
        "2n + d weights give n digits any labels: exactly so many, and no answer off by 0.001.": all(
            net.parameters == 2 * net.n + net.d and net.residual < 1e-3 for net in theorem
        ),
        "The 2n + d weights learn nothing else: with true labels, under a third of test digits.": (
            theorem[-1].test.most < 1 / 3
        ),
        "Brightness, which no shuffle hides, tells more than guessing: over one test digit in ten.": (
            figures.ink.least > 0.1
        ),
        "Gradient descent from 0 ends in the solution of least norm, to one part in a million.": (
            least.from_zero.off < 1e-6
        ),
        "From elsewhere it keeps all of its start that no digit can change.": (
            abs(least.from_elsewhere.distance / least.start_left_over - 1) < 1e-6
        ),
        "A kernel's solution of least norm generalises with no regulariser: under 10 % wrong.": (
            least.kernel.test.most < 0.1
        ),
        "Where labels were learnt by heart, a smaller change undoes them: the intervals are apart.": (
            distortion["random_labels"].most < distortion["true"].least
        ),
    }


def _increasing(passes: Sequence[int | None]) -> bool:
    """Return whether no number is missing and each is larger than the one before."""
    numbers = [number for number in passes if number is not None]
    return len(numbers) == len(passes) and all(a < b for a, b in itertools.pairwise(numbers))


def ink(digits: Digits) -> Estimate:
    """Return the share of test digits right for who knows only how bright a digit is, the one thing that no
    shuffle hides: the digit whose mean over the training set is nearest."""
    bright, test = digits.train_x.mean((1, 2, 3)), digits.test_x.mean((1, 2, 3))
    means = torch.stack([bright[digits.train_y == digit].mean() for digit in range(10)])
    guess = (test[:, None] - means).abs().argmin(1)
    return intervals.share(int((guess == digits.test_y).sum()), len(guess))


def overlap(a: Estimate, b: Estimate) -> bool:
    """Return whether two intervals share a value."""
    return a.least <= b.most and b.least <= a.most


def construct(digits: Digits, n: int, rng: np.random.Generator) -> TheoremNetwork:
    """Return how the 2n + d weights do with random labels 0 to 9 for the first ``n`` digits, and, with true
    labels instead, what share of the test digits they get right (their answer rounded)."""
    x, y = flat(digits.train_x[:n]), digits.train_y[:n].double().numpy()
    labels = rng.integers(0, 10, n).astype(np.float64)
    net = memorise(x, labels, rng)
    gaps = np.diff(np.sort(x @ net.direction))
    true = memorise(x, y, rng)
    answers = true(flat(digits.test_x)).round().clip(0, 9)
    right = int((answers == digits.test_y.numpy()).sum())
    return TheoremNetwork(
        n=n,
        d=x.shape[1],
        parameters=net.parameters,
        residual=float(np.abs(net(x) - labels).max()),
        smallest_gap=float(gaps.min()),
        largest_weight=float(np.abs(net.weights).max()),
        condition=float(np.linalg.cond(hidden(x @ net.direction, net.offsets))),
        test=intervals.share(right, len(digits.test_y)),
    )


def least_norm(digits: Digits, rng: np.random.Generator) -> LeastNorm:
    """Return how near gradient descent comes to the solution of least norm, from 0 and from elsewhere, for
    100 digits, even against odd; and the test errors of a Gaussian kernel of least norm."""
    x, y = flat(digits.train_x[:100]), (digits.train_y[:100] % 2).double().numpy() * 2 - 1
    least: Array = np.linalg.pinv(x) @ y
    start: Array = rng.standard_normal((x.shape[1],)) / 10
    wrong = kernel_errors(
        flat(digits.train_x[:KERNEL]),
        digits.train_y[:KERNEL].numpy(),
        flat(digits.test_x),
        digits.test_y.numpy(),
    )
    test = intervals.share(wrong, len(digits.test_y))
    return LeastNorm(
        digits=len(x),
        norm=float(np.linalg.norm(least)),
        from_zero=_descent(descend(x, y, np.zeros_like(start)), least, x, y),
        from_elsewhere=_descent(descend(x, y, start), least, x, y),
        start_left_over=float(np.linalg.norm(start - span(x, start))),
        kernel=Kernel(min(KERNEL, len(digits.train_y)), test),
    )


def _descent(end: Array, least: Array, x: Array, y: Array) -> Descent:
    distance = np.linalg.norm(end - least)
    return Descent(
        norm=float(np.linalg.norm(end)),
        off=float(distance / np.linalg.norm(least)),
        distance=float(distance),
        residual=float(np.abs(x @ end - y).max()),
    )


def flat(x: Tensor) -> Array:
    """Return pictures ``(n, ...)`` as float64 rows ``(n, d)``."""
    rows: Array = x.flatten(1).double().numpy()
    return rows
