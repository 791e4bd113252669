"""Learning by heart: random labels, random pixels, the network of 2n + d weights, and the least norm.

Zhang et al.: Understanding Deep Learning Requires Rethinking Generalization. https://arxiv.org/abs/1611.03530.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attacks.settings import setting
from experiments.core import JSON, Experiment, ExperimentCard, Published
from experiments.datasets import digit_sets
from experiments.datasets.digit_sets import Digits
from experiments.methods.distortion import distortions
from experiments.methods.perceptron import Perceptron
from experiments.toolkit import intervals
from experiments.toolkit.image_sheets import png
from experiments.zhang2016.fitting import Fit, fit, patterns
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
class Memorisation(Experiment):
    """One network learns true labels, random ones and noise equally well by heart; see `Experiment`."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="memorisation",
        title="Learning by heart",
        question="Can a network that learns digits also learn random labels, and what does that cost it?",
        paper="Understanding Deep Learning Requires Rethinking Generalization",
        url="https://arxiv.org/abs/1611.03530",
        source="Table 1, figure 1, theorem 1 and section 5",
    )

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

    def depends(self) -> JSON:
        """Return where the digits come from."""
        return digit_sets.source(self.data)

    def pieces(self) -> list[str]:
        """Return one name for each condition, then the attack, the theorem, the least norm and the ink."""
        return [*CONDITIONS, "distortion", *map(str, self.sizes()), "least norm", "ink"]

    def sizes(self) -> list[int]:
        """Return for how many digits the theorem's network is built: 10, 30, 100 ... `theorem`."""
        return [n for n in (10, 30, 100, 300, 1000) if n < self.theorem] + [self.theorem]

    def piece(self, name: str, store: Any) -> JSON:
        """Carry out one piece; see `pieces`."""
        digits = self._digits()
        if name in CONDITIONS:
            return self._learn(name, digits, store)
        if name == "ink":
            return ink(digits)
        if name == "distortion":
            return {each: self._distortions(each, digits, store) for each in ATTACKED}
        rng = np.random.default_rng(self.seed)
        return least_norm(digits, rng) if name == "least norm" else construct(digits, int(name), rng)

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

    def _network(self) -> Perceptron:
        widths = [784, *[self.units] * self.layers, 10]
        return Perceptron(widths, "relu", torch.Generator().manual_seed(self.seed))

    def _learn(self, name: str, digits: Digits, store: Any) -> JSON:
        here, net, condition = self._condition(name, digits), self._network(), CONDITIONS[name]
        how = Fit(self.epochs, decay=condition.decay, drop=condition.drop)
        curves = fit(net, here, how, torch.Generator().manual_seed(self.seed + 2))
        if name in ATTACKED:
            store.put_tensors(name, net.state_dict())
        return {
            "curves": curves.as_json(),
            "fitted": curves.fitted(),
            "right": round(curves.test[-1] * len(here.test_y)),
            "tests": len(here.test_y),
            "norm": math.sqrt(float(net.squares().detach())),
            "digits": len(here.train_y),
            "patterns": patterns(net, here.train_x),
            "picture": png(here.train_x[0, 0]),
            "label": int(here.train_y[0]),
        }

    def _distortions(self, name: str, digits: Digits, store: Any) -> list[float]:
        """Return the distortions of those first training digits whose labels the network has learnt."""
        here, net = self._condition(name, digits), self._network()
        net.load_state_dict(store.tensors(name))
        net.requires_grad_(False)
        x, y = here.train_x[: self.attacked], here.train_y[: self.attacked]
        known = net(x).argmax(1) == y
        found = distortions(net, x[known], y[known])
        return [round(each, 6) for each in found if math.isfinite(each)]

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return every condition with its curves, the distortions, the theorem, and the least norm."""
        widths = [784, *[self.units] * self.layers, 10]
        return {
            "parameters": sum(a * b + b for a, b in zip(widths, widths[1:], strict=False)),
            "conditions": {name: _told(name, done[name]) for name in CONDITIONS},
            "distortion": {name: intervals.mean(values) for name, values in done["distortion"].items()},
            "theorem": [done[str(n)] for n in self.sizes()],
            "least_norm": done["least norm"] | {"published_kernel_error": vars(KERNEL_PUBLISHED)},
            "ink": done["ink"],
            "published": {
                "note": OTHER_DATA,
                "rows": {k: {"train": vars(a), "test": vars(b)} for k, (a, b) in PUBLISHED.items()},
            },
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what the figures say of the paper's sentences."""
        return _learning(figures["conditions"]) | _mathematics(figures)


def _told(name: str, answer: Mapping[str, JSON]) -> JSON:
    """Return a condition's figures: its answer, titled, with an interval for the test."""
    kept = {key: value for key, value in answer.items() if key not in ("right", "tests")}
    test = intervals.share(answer["right"], answer["tests"])
    return {"title": CONDITIONS[name].title, **kept, "train": answer["curves"]["train"][-1], "test": test}


def _learning(told: Mapping[str, JSON]) -> dict[str, bool]:
    """Return the claims about trained networks."""
    true, passes = told["true"]["test"], {name: told[name]["fitted"] for name in CONDITIONS}
    guess = {name: abs(told[name]["test"]["value"] - 0.1) <= CLOSE for name in HOPELESS}
    took = [passes[name] for name in ("true", "quarter", "half", "random_labels")]
    return {
        "Without regularisers every condition is learnt by heart: all training answers are right.": all(
            told[name]["train"] == 1 for name in CONDITIONS if name not in REGULARISED
        ),
        "Trained on random labels, a network guesses: within 3 points of one test digit in ten.": guess[
            "random_labels"
        ],
        "Trained on noise, a network guesses: within 3 points of one test picture in ten.": guess["gaussian"],
        "Trained on digits shuffled each in its own way, a network guesses: within 3 points of one in "
        "ten.": guess["random_pixels"],
        "A shuffle that is the same for all digits makes no difference: the intervals overlap.": overlap(
            told["shuffled_pixels"]["test"], true
        ),
        "Without weight decay and dropout the network generalises: more than 80 % of test digits.": (
            true["low"] > 0.8
        ),
        "Weight decay, dropout or both change the test by less than 5 points.": all(
            abs(told[name]["test"]["value"] - true["value"]) < 0.05 for name in REGULARISED
        ),
        "Every training digit switches on a set of units that is its own.": (
            told["true"]["patterns"] == told["true"]["digits"]
        ),
        "The more labels are random, the more passes it takes to learn them.": None not in took
        and all(a < b for a, b in zip(took, took[1:], strict=False)),
    }


def _mathematics(figures: Mapping[str, JSON]) -> dict[str, bool]:
    """Return the claims about the construction, the least norm and the nearest change."""
    theorem, least, far = figures["theorem"], figures["least_norm"], figures["distortion"]
    return {
        "2n + d weights give n digits any labels: exactly so many, and no answer off by 0.001.": all(
            each["parameters"] == 2 * each["n"] + each["d"] and each["residual"] < 1e-3 for each in theorem
        ),
        "The 2n + d weights learn nothing else: with true labels, under a third of test digits.": (
            theorem[-1]["test"]["high"] < 1 / 3
        ),
        "Brightness, which no shuffle hides, tells more than guessing: over one test digit in ten.": (
            figures["ink"]["low"] > 0.1
        ),
        "Gradient descent from 0 ends in the solution of least norm, to one part in a million.": (
            least["from_zero"]["off"] < 1e-6
        ),
        "From elsewhere it keeps all of its start that no digit can change.": (
            abs(least["from_elsewhere"]["distance"] / least["start_left_over"] - 1) < 1e-6
        ),
        "A kernel's solution of least norm generalises with no regulariser: under 10 % wrong.": (
            least["kernel"]["test"]["high"] < 0.1
        ),
        "Where labels were learnt by heart, a smaller change undoes them: the intervals are apart.": bool(
            far["random_labels"]["high"] and far["true"]["low"]
        )
        and far["random_labels"]["high"] < far["true"]["low"],
    }


def ink(digits: Digits) -> JSON:
    """Return the share of test digits right for who knows only how bright a digit is, the one thing that no
    shuffle hides: the digit whose mean over the training set is nearest."""
    bright, test = digits.train_x.mean((1, 2, 3)), digits.test_x.mean((1, 2, 3))
    means = torch.stack([bright[digits.train_y == digit].mean() for digit in range(10)])
    guess = (test[:, None] - means).abs().argmin(1)
    return intervals.share(int((guess == digits.test_y).sum()), len(guess))


def overlap(a: Mapping[str, float], b: Mapping[str, float]) -> bool:
    """Return whether two intervals share a value."""
    return a["low"] <= b["high"] and b["low"] <= a["high"]


def construct(digits: Digits, n: int, rng: np.random.Generator) -> JSON:
    """Return how the 2n + d weights do with random labels 0 to 9 for the first ``n`` digits, and, with true
    labels instead, what share of the test digits they get right (their answer rounded)."""
    x, y = flat(digits.train_x[:n]), digits.train_y[:n].double().numpy()
    labels = rng.integers(0, 10, n).astype(np.float64)
    net = memorise(x, labels, rng)
    gaps = np.diff(np.sort(x @ net.direction))
    true = memorise(x, y, rng)
    answers = true(flat(digits.test_x)).round().clip(0, 9)
    right = int((answers == digits.test_y.numpy()).sum())
    return {
        "n": n,
        "d": x.shape[1],
        "parameters": net.parameters,
        "residual": float(np.abs(net(x) - labels).max()),
        "smallest_gap": float(gaps.min()),
        "largest_weight": float(np.abs(net.weights).max()),
        "condition": float(np.linalg.cond(hidden(x @ net.direction, net.offsets))),
        "test": intervals.share(right, len(digits.test_y)),
    }


def least_norm(digits: Digits, rng: np.random.Generator) -> JSON:
    """Return how near gradient descent comes to the solution of least norm, from 0 and from elsewhere, for
    100 digits, even against odd; and the test errors of a Gaussian kernel of least norm."""
    x, y = flat(digits.train_x[:100]), (digits.train_y[:100] % 2).double().numpy() * 2 - 1
    least: Array = np.linalg.pinv(x) @ y
    start: Array = rng.standard_normal((x.shape[1],)) / 10
    ends = {"from_zero": descend(x, y, np.zeros_like(start)), "from_elsewhere": descend(x, y, start)}
    wrong = kernel_errors(
        flat(digits.train_x[:KERNEL]),
        digits.train_y[:KERNEL].numpy(),
        flat(digits.test_x),
        digits.test_y.numpy(),
    )
    return {
        "digits": len(x),
        "norm": float(np.linalg.norm(least)),
        **{name: _off(end, least, x, y) for name, end in ends.items()},
        "start_left_over": float(np.linalg.norm(start - span(x, start))),
        "kernel": {"n": min(KERNEL, len(digits.train_y)), "test": intervals.share(wrong, len(digits.test_y))},
    }


def _off(end: Array, least: Array, x: Array, y: Array) -> JSON:
    return {
        "norm": float(np.linalg.norm(end)),
        "off": float(np.linalg.norm(end - least) / np.linalg.norm(least)),
        "distance": float(np.linalg.norm(end - least)),
        "residual": float(np.abs(x @ end - y).max()),
    }


def flat(x: Tensor) -> Array:
    """Return pictures ``(n, ...)`` as float64 rows ``(n, d)``."""
    rows: Array = x.flatten(1).double().numpy()
    return rows
