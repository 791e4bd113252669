"""Three signs that a network is regularised too little (Tanay and Griffin 2018), measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import models
from attacks.settings import setting
from experiments.cache import Store
from experiments.core import JSON, Experiment, ExperimentCard, Published
from experiments.datasets.digit_sets import digits, source
from experiments.methods import maxout
from experiments.methods.probability_ascent import Cooled
from experiments.toolkit import intervals
from experiments.toolkit.calibration import (
    BINS,
    bins,
    expected_error,
    likeliest_temperature,
    median_temperature,
    surprise,
    tally,
    top_scores,
)
from experiments.toolkit.intervals import Estimate
from models.train.tanay import DECAYS, DecaySettings, Training, misread

LOW, HIGH = DECAYS
TEMPERATURES = [round(10 ** (exponent / 10), 4) for exponent in range(-15, 16)]
EPSILONS = [0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]
PENALTIES = [0.0, 0.00025, 0.0025]
EPOCHS_AT_ONCE = 20
RESAMPLES = 200

L1_PENALTY, L1_ERROR = Published(0.0025), Published(0.05)


@dataclass(frozen=True)
class Calibration(Experiment):
    """How far scores can be trusted, whether labels drawn by lot are learnt by heart, and how small a change
    of one step does harm; and the l1 penalty that Goodfellow et al. compare with adversarial training.

    The reliability is that of every network for digits that ships. The temperature of the greatest likelihood
    is fitted to every other test digit and judged on the others.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="calibration",
        title="Signs of too little regularisation",
        question="Does weak weight decay show in scores, in labels drawn by lot, and under a small step?",
        paper="A New Angle on L2 Regularization",
        url="https://arxiv.org/abs/1806.11186",
        source="The list of symptoms before LeNet; Guo et al. 2017 (figures 1 and 4); Goodfellow et al. 2015",
    )

    version: ClassVar[int] = 3

    n: int = setting(10_000, "Test digits", "How many the scores are taken over.", low=100, high=10_000)
    attacked: int = setting(
        1000, "Attacked digits", "How many test digits are changed by one step.", low=10, high=10_000
    )
    random_n: int = setting(
        1000, "Digits with drawn labels", "How many digits get a label by lot.", low=20, high=60_000
    )
    random_epochs: int = setting(
        100, "Epochs with drawn labels", "How often training goes through them.", low=1, high=1000
    )
    l1_n: int = setting(
        20_000, "Digits under l1", "How many digits the penalised networks learn.", low=100, high=60_000
    )
    l1_epochs: int = setting(5, "Epochs under l1", "How often they go through them.", low=1, high=100)

    def depends(self) -> JSON:
        """Return where the digits are from, and the hash of every network's weights."""
        return [source(self.data), {name: models.card(name).weights.sha256 for name in readers()}]

    def pieces(self) -> list[str]:
        """Return scores and steps by network, then stretches of drawn labels, then the penalties."""
        names = [f"{kind} {net}" for net in readers() for kind in ("scores", "step")]
        starts = range(0, self.random_epochs, EPOCHS_AT_ONCE)
        names += [f"lot {net} {start}" for net in DECAYS for start in starts]
        return names + [f"l1 {penalty}" for penalty in PENALTIES]

    def piece(self, name: str, store: Store) -> JSON:
        """Carry out the piece that ``name`` begins to say."""
        kind, what, *start = name.split()
        if kind == "scores":
            return self._scores(what, store)
        if kind == "step":
            return self._step(what, store)
        if kind == "lot":
            return self._lot(what, int(start[0]), store)
        return self._penalised(float(what))

    @torch.no_grad()
    def _scores(self, net: str, store: Store) -> JSON:
        found, network = digits(self.data), models.load(net)
        y = found.test_y[: self.n]
        logits = torch.cat([network(part) for part in found.test_x[: self.n].split(1000)])
        # On every other digit, so that no temperature is judged on what it was fitted to.
        likeliest = likeliest_temperature(logits[::2], y[::2])
        scores = top_scores(logits)
        return {
            "error": intervals.share(int((logits.argmax(1) != y).sum()), len(y)),
            "mean_score": intervals.mean(scores.tolist()),
            "ece": self._resampled(logits, y, 1.0),
            "likeliest": likeliest,
            "ece_before_likeliest": self._resampled(logits[1::2], y[1::2], 1.0),
            "ece_at_likeliest": self._resampled(logits[1::2], y[1::2], likeliest),
            "median_temperature": median_temperature(logits),
            "temperatures": [at_temperature(logits, y, t, net in DECAYS) for t in TEMPERATURES],
            "saturated": intervals.share(int((logits.softmax(1).amax(1) == 1).sum()), len(y)),
        }

    def _resampled(self, logits: Tensor, y: Tensor, temperature: float) -> Estimate:
        """Return the calibration error with the middle 95 % of what digits drawn with repetition give."""
        scores, right = top_scores(logits, temperature), logits.argmax(1) == y
        chance, values = np.random.default_rng(self.seed), []
        for _ in range(RESAMPLES):
            rows = torch.from_numpy(chance.integers(len(y), size=len(y)))
            values.append(expected_error(tally(scores[rows], right[rows])))
        low, high = np.quantile(values, (0.025, 0.975))
        return {
            "value": expected_error(tally(scores, right)),
            "low": float(low),
            "high": float(high),
            "n": len(y),
        }

    def _step(self, net: str, store: Store) -> JSON:
        """Return the errors after one step along the sign of the loss's gradient, by length of the step:
        with the network's own scores, and with their temperature set so that they do not saturate."""
        found, network = digits(self.data), models.load(net)
        x, y = found.test_x[: self.attacked], found.test_y[: self.attacked]
        cooled = Cooled(network, store.get(f"scores {net}")["median_temperature"])
        own, calibrated = signs(network, x, y), signs(cooled, x, y)
        return {
            "own": stepped(network, x, y, own),
            "calibrated": stepped(network, x, y, calibrated),
            "without_gradient": intervals.share(int((own.flatten(1) == 0).all(1).sum()), len(y)),
        }

    def _lot(self, net: str, start: int, store: Store) -> JSON:
        """Train some epochs on labels drawn by lot; return the training error after each of them."""
        x = digits(self.data).train_x[: self.random_n]
        chance = torch.Generator().manual_seed(self.seed)
        y = torch.randint(0, 10, (len(x),), generator=chance)
        # With 150 labels by lot stop being learnt; of 50, 20, 10 and 5, weak decay learns all with 50 alone.
        training = Training(DecaySettings(DECAYS[net], seed=self.seed, batch=100, longest=50.0), x)
        if start:
            training.restore(store.tensors(f"lot {net} {start}"))
        errors = []
        for _ in range(min(EPOCHS_AT_ONCE, self.random_epochs - start)):
            training.epoch(x, y)
            errors.append(round(misread(training.network, x, y), 5))
        store.put_tensors(f"lot {net} {training.done}", training.tensors())
        return errors

    def _penalised(self, penalty: float) -> JSON:
        found, network = digits(self.data), maxout.begin(self.seed)
        x, y = found.train_x[: self.l1_n], found.train_y[: self.l1_n]
        maxout.train(network, x, y, penalty, self.l1_epochs, self.seed)
        tests = found.test_x[: self.n], found.test_y[: self.n]
        some = tests[0][: self.attacked], tests[1][: self.attacked]
        return {
            "penalty": penalty,
            "train_error": intervals.share(round(misread(network, x, y) * len(y)), len(y)),
            "test_error": intervals.share(round(misread(network, *tests) * len(tests[1])), len(tests[1])),
            "step": stepped(network, *some, signs(network, *some)),
            "near_zero": round(float((network.first.weight.abs() < 1e-3).float().mean()), 4),
        }

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return reliability and steps by network, the courses with drawn labels, and the penalties."""
        starts = range(0, self.random_epochs, EPOCHS_AT_ONCE)
        lots = {net: [e for start in starts for e in done[f"lot {net} {start}"]] for net in DECAYS}
        count = min(self.random_n, len(digits(self.data).train_y))
        return {
            "digits": source(self.data),
            "bins": BINS,
            "epsilons": EPSILONS,
            "networks": {net: done[f"scores {net}"] | {"step": done[f"step {net}"]} for net in readers()},
            "labels_by_lot": {
                net: {"errors": errors, "end": intervals.share(round(errors[-1] * count), count)}
                for net, errors in lots.items()
            },
            "l1": [done[f"l1 {penalty}"] for penalty in PENALTIES],
            "published_l1": {"penalty": L1_PENALTY.value, "train_error_above": L1_ERROR.value},
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return the three signs, what a temperature mends, and what is said of the l1 penalty."""
        return _signs(figures) | _temperatures(figures["networks"]) | _l1(figures["l1"])


def readers() -> list[str]:
    """Return the names of the networks for digits whose weights come with the program, of those that were
    trained for one experiment only the two under different decay."""
    digits = [card for card in models.cards() if card.offline and (card.channels, card.size) == (1, 28)]
    return [card.name for card in digits if not card.lab or card.name in DECAYS]


def at_temperature(logits: Tensor, labels: Tensor, temperature: float, whole: bool) -> JSON:
    """Return the calibration error and the surprise at a temperature, and the bins if ``whole`` says so."""
    found = bins(logits, labels, temperature)
    answer: dict[str, JSON] = {
        "temperature": temperature,
        "ece": round(expected_error(found), 5),
        "surprise": round(surprise(logits, labels, temperature), 5),
    }
    if whole:
        rounded = {"scores": found.scores, "right": found.right}
        answer |= {"counts": found.counts}
        answer |= {what: [round(value, 4) for value in values] for what, values in rounded.items()}
    return answer


def signs(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the signs of the gradient of the cross-entropy, of the shape of ``x`` ``(n, 1, h, w)``."""
    parts = []
    for part, label in zip(x.split(500), y.split(500), strict=True):
        at = part.detach().requires_grad_()
        loss = functional.cross_entropy(network(at), label, reduction="sum")
        parts.append(torch.autograd.grad(loss, at)[0].sign())
    return torch.cat(parts)


def stepped(network: nn.Module, x: Tensor, y: Tensor, direction: Tensor) -> list[Estimate]:
    """Return the error after a step of each of `EPSILONS` along ``direction``, clipped to [0, 1]."""
    errors = [misread(network, (x + epsilon * direction).clamp(0, 1), y) for epsilon in EPSILONS]
    return [intervals.share(round(error * len(y)), len(y)) for error in errors]


def _signs(figures: Mapping[str, JSON]) -> dict[str, bool]:
    low, high = (figures["networks"][net] for net in DECAYS)
    lots = figures["labels_by_lot"]
    at = EPSILONS.index(0.1)
    return {
        "With weak decay scores are higher than the share read rightly (over-confidence).": (
            low["mean_score"]["low"] > 1 - low["error"]["value"]
        ),
        "With strong decay scores are lower than the share read rightly (under-confidence).": (
            high["mean_score"]["high"] < 1 - high["error"]["value"]
        ),
        "With strong decay the calibration error is smaller.": high["ece"]["value"] < low["ece"]["value"],
        "With weak decay labels drawn by lot are learnt by heart.": lots[LOW]["end"]["value"] == 0,
        "With strong decay some labels drawn by lot are not learnt.": lots[HIGH]["end"]["value"] > 0,
        "A step of .1 along the gradient's sign does more harm with weak decay.": (
            low["step"]["calibrated"][at]["low"] > high["step"]["calibrated"][at]["high"]
        ),
    }


def _temperatures(nets: Mapping[str, JSON]) -> dict[str, bool]:
    low, high = (nets[net] for net in DECAYS)
    return {
        "Weak decay wants a higher temperature than strong decay does.": low["likeliest"] > high["likeliest"],
        "The likeliest temperature lowers the calibration error of both, judged on other digits.": (
            all(
                net["ece_at_likeliest"]["value"] < net["ece_before_likeliest"]["value"] for net in (low, high)
            )
        ),
        "With weak decay some scores are exactly 1 in float32.": low["saturated"]["value"] > 0,
        "With weak decay saturated scores hide harm: a step of .3 does more once they are calibrated.": (
            low["step"]["calibrated"][-1]["low"] > low["step"]["own"][-1]["high"]
        ),
    }


def _l1(found: list[JSON]) -> dict[str, bool]:
    none, small, large = found
    return {
        "An l1 penalty of .0025 on the first layer leaves more than 5 % training error.": (
            large["train_error"]["value"] > L1_ERROR.value
        ),
        "A tenth of that penalty does not lower the test error.": (
            small["test_error"]["value"] >= none["test_error"]["value"]
        ),
    }
