"""Three signs that a network is regularised too little (Tanay and Griffin 2018), measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import models
from attacks.settings import setting
from engine import intervals
from engine.intervals import Estimate
from engine.networks import shared
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Published, Stage, stored
from experiments.datasets.digit_sets import digits, source
from experiments.methods import maxout
from experiments.methods.probability_ascent import TemperatureScaled
from experiments.toolkit.calibration import (
    BINS,
    bins,
    ece,
    fit_temperature,
    median_temperature,
    nll,
    tally,
    top_scores,
)
from experiments.toolkit.codec import OMITTED, key
from models.train.tanay import DECAYS, DecaySettings, Training, misread

LOW, HIGH = DECAYS
TEMPERATURES = [round(10 ** (exponent / 10), 4) for exponent in range(-15, 16)]
EPSILONS = [0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]
PENALTIES = [0.0, 0.00025, 0.0025]
EPOCHS_AT_ONCE = 20
RESAMPLES = 200

L1_PENALTY, L1_ERROR = Published(0.0025), Published(0.05)


@dataclass(frozen=True)
class AtTemperature:
    """The calibration error ``ece`` in [0, 1] and the negative log-likelihood ``nll`` in nats at one
    temperature, and the reliability diagram there (`experiments.toolkit.calibration.Bins`), empty where it is
    not stored."""

    temperature: float
    ece: float
    nll: float = field(metadata=key("surprise"))
    counts: list[int] = field(default_factory=list, metadata=OMITTED)
    scores: list[float] = field(default_factory=list, metadata=OMITTED)
    right: list[float] = field(default_factory=list, metadata=OMITTED)


@dataclass(frozen=True)
class Scores:
    """How far a model's scores can be trusted, shares in [0, 1].

    ``fitted_temperature``: that of the least negative log-likelihood of every other test digit;
    ``ece_before_fit``, ``ece_after_fit``: the calibration error on the others, at temperature 1 and at that
    one; ``median_temperature``: at which the median top score is .95; ``saturated``: the share of top scores
    that are 1 in float32.
    """

    error: Estimate
    mean_score: Estimate
    ece: Estimate
    fitted_temperature: float = field(metadata=key("likeliest"))
    ece_before_fit: Estimate = field(metadata=key("ece_before_likeliest"))
    ece_after_fit: Estimate = field(metadata=key("ece_at_likeliest"))
    median_temperature: float
    temperatures: list[AtTemperature]
    saturated: Estimate


@dataclass(frozen=True)
class Steps:
    """The errors in [0, 1] after a step along the sign of the loss's gradient, by its length (`EPSILONS`):
    with the model's ``own`` scores and with ``calibrated`` ones; ``without_gradient``: the share of digits
    whose own gradient is 0 in float32."""

    own: list[Estimate]
    calibrated: list[Estimate]
    without_gradient: Estimate


@dataclass(frozen=True)
class ModelFigures(Scores):
    """Scores of one model, and the errors after a step."""

    step: Steps


@dataclass(frozen=True)
class RandomLabelErrors:
    """The training error in [0, 1] after each of some epochs on random labels."""

    errors: list[float]


@dataclass(frozen=True)
class RandomLabelFigures:
    """The training error in [0, 1] on random labels after each epoch, and that at the end."""

    errors: list[float]
    end: Estimate


@dataclass(frozen=True)
class Penalised:
    """A maxout network trained with an l1 ``penalty`` on its first weights: errors in [0, 1], those after a
    ``step`` by its length, and the share of first weights below .001 (``near_zero``)."""

    penalty: float
    train_error: Estimate
    test_error: Estimate
    step: list[Estimate]
    near_zero: float


@dataclass(frozen=True)
class PublishedPenalty:
    """The penalty that Goodfellow et al. name, and the training error in [0, 1] that it exceeds."""

    penalty: float
    train_error_above: float


@dataclass(frozen=True)
class CalibrationFigures:
    """``digits``: where they are from; ``bins`` of the reliability diagrams; ``epsilons``: lengths of the
    steps in the maximum norm, pixels in [0, 1]; ``networks`` and ``random_labels``: by the model's name;
    ``l1``: by penalty."""

    digits: str
    bins: int
    epsilons: list[float]
    networks: dict[str, ModelFigures]
    random_labels: dict[str, RandomLabelFigures] = field(metadata=key("labels_by_lot"))
    l1: list[Penalised]
    published_l1: PublishedPenalty


@dataclass(frozen=True)
class ScoresStage(Stage):
    """The scores of a model for all test digits."""

    answer: ClassVar[type] = Scores

    model: str

    @property
    def name(self) -> str:
        """Return what is done, and the model."""
        return f"scores {self.model}"


@dataclass(frozen=True)
class StepStage(Stage):
    """The steps along the sign of a model's gradient."""

    answer: ClassVar[type] = Steps

    model: str

    @property
    def name(self) -> str:
        """Return what is done, and the model."""
        return f"step {self.model}"


@dataclass(frozen=True)
class RandomLabelsStage(Stage):
    """Some epochs of training on random labels, after the first ``start``."""

    answer: ClassVar[type] = RandomLabelErrors

    model: str
    start: int

    @property
    def name(self) -> str:
        """Return what is done, the model and how many epochs come before."""
        return f"lot {self.model} {self.start}"


@dataclass(frozen=True)
class PenaltyStage(Stage):
    """A training with an l1 penalty."""

    answer: ClassVar[type] = Penalised

    penalty: float

    @property
    def name(self) -> str:
        """Return what is done, and the penalty."""
        return f"l1 {self.penalty}"


Answer = Scores | Steps | RandomLabelErrors | Penalised


@dataclass(frozen=True)
class Calibration(Experiment[Answer, CalibrationFigures]):
    """How far scores can be trusted, whether random labels are memorised, and how small a change of one step
    does harm; and the l1 penalty that Goodfellow et al. compare with adversarial training.

    The reliability is that of every model for digits that ships. The temperature is fitted to every other
    test digit and judged on the others.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="calibration",
        title="Signs of too little regularisation",
        question="Does weak weight decay show in scores, in labels drawn by lot, and under a small step?",
        paper="A New Angle on L2 Regularization",
        url="https://arxiv.org/abs/1806.11186",
        source="The list of symptoms before LeNet; Guo et al. 2017 (figures 1 and 4); Goodfellow et al. 2015",
    )

    result: ClassVar[type] = CalibrationFigures
    version: ClassVar[int] = 4

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

    def depends(self) -> object:
        """Return where the digits are from, and the hash of every model's weights."""
        return [source(self.data), {name: models.card(name).weights.sha256 for name in digit_models()}]

    def stages(self) -> list[Stage]:
        """Return scores and steps by model, then stretches of random labels, then the penalties."""
        starts = range(0, self.random_epochs, EPOCHS_AT_ONCE)
        return [
            *(stage for name in digit_models() for stage in (ScoresStage(name), StepStage(name))),
            *(RandomLabelsStage(name, start) for name in DECAYS for start in starts),
            *(PenaltyStage(penalty) for penalty in PENALTIES),
        ]

    def carry_out(self, stage: Stage, store: Store) -> Answer:
        """Return the answer of one stage."""
        if isinstance(stage, ScoresStage):
            return self._scores(stage.model)
        if isinstance(stage, StepStage):
            return self._step(stage.model, store)
        if isinstance(stage, RandomLabelsStage):
            return self._random_labels(stage, store)
        assert isinstance(stage, PenaltyStage)
        return self._penalised(stage.penalty)

    @torch.no_grad()
    def _scores(self, name: str) -> Scores:
        source, model = digits(self.data), shared(name)
        y = source.test_y[: self.n]
        logits = torch.cat([model(part) for part in source.test_x[: self.n].split(1000)])
        # On every other digit, so that no temperature is judged on what it was fitted to.
        fitted = fit_temperature(logits[::2], y[::2])
        return Scores(
            error=intervals.share(int((logits.argmax(1) != y).sum()), len(y)),
            mean_score=intervals.mean(top_scores(logits).tolist()),
            ece=self._resampled(logits, y, 1.0),
            fitted_temperature=fitted,
            ece_before_fit=self._resampled(logits[1::2], y[1::2], 1.0),
            ece_after_fit=self._resampled(logits[1::2], y[1::2], fitted),
            median_temperature=median_temperature(logits),
            temperatures=[at_temperature(logits, y, t, name in DECAYS) for t in TEMPERATURES],
            saturated=intervals.share(int((logits.softmax(1).amax(1) == 1).sum()), len(y)),
        )

    def _resampled(self, logits: Tensor, y: Tensor, temperature: float) -> Estimate:
        """Return the calibration error with the middle 95 % of bootstrap samples of the digits."""
        scores, right = top_scores(logits, temperature), logits.argmax(1) == y
        generator, values = np.random.default_rng(self.seed), []
        for _ in range(RESAMPLES):
            indices = torch.from_numpy(generator.integers(len(y), size=len(y)))
            values.append(ece(tally(scores[indices], right[indices])))
        low, high = np.quantile(values, (0.025, 0.975))
        return Estimate(ece(tally(scores, right)), float(low), float(high), len(y))

    def _step(self, name: str, store: Store) -> Steps:
        """Return the errors after one step along the sign of the loss's gradient, by length of the step:
        with the model's own scores, and with their temperature set so that they do not saturate."""
        source, model = digits(self.data), shared(name)
        x, y = source.test_x[: self.attacked], source.test_y[: self.attacked]
        temperature = stored(store, ScoresStage(name)).median_temperature
        own, calibrated = signs(model, x, y), signs(TemperatureScaled(model, temperature), x, y)
        return Steps(
            own=stepped(model, x, y, own),
            calibrated=stepped(model, x, y, calibrated),
            without_gradient=intervals.share(int((own.flatten(1) == 0).all(1).sum()), len(y)),
        )

    def _random_labels(self, stage: RandomLabelsStage, store: Store) -> RandomLabelErrors:
        """Train some epochs on random labels; return the training error after each of them."""
        x = digits(self.data).train_x[: self.random_n]
        generator = torch.Generator().manual_seed(self.seed)
        y = torch.randint(0, 10, (len(x),), generator=generator)
        # With 150 random labels stop being learnt; of 50, 20, 10 and 5, weak decay learns all with 50 alone.
        settings = DecaySettings(DECAYS[stage.model], seed=self.seed, batch=100, longest=50.0)
        training = Training(settings, x)
        if stage.start:
            training.restore(store.tensors(stage.name))
        errors = []
        for _ in range(min(EPOCHS_AT_ONCE, self.random_epochs - stage.start)):
            training.epoch(x, y)
            errors.append(round(misread(training.network, x, y), 5))
        store.put_tensors(RandomLabelsStage(stage.model, training.done).name, training.tensors())
        return RandomLabelErrors(errors)

    def _penalised(self, penalty: float) -> Penalised:
        source, network = digits(self.data), maxout.begin(self.seed)
        x, y = source.train_x[: self.l1_n], source.train_y[: self.l1_n]
        maxout.train(network, x, y, penalty, self.l1_epochs, self.seed)
        tests = source.test_x[: self.n], source.test_y[: self.n]
        some = tests[0][: self.attacked], tests[1][: self.attacked]
        return Penalised(
            penalty=penalty,
            train_error=intervals.share(round(misread(network, x, y) * len(y)), len(y)),
            test_error=intervals.share(round(misread(network, *tests) * len(tests[1])), len(tests[1])),
            step=stepped(network, *some, signs(network, *some)),
            near_zero=round(float((network.first.weight.abs() < 1e-3).float().mean()), 4),
        )

    def summarise(self, answers: Sequence[Answer]) -> CalibrationFigures:
        """Return reliability and steps by model, the training errors on random labels, and the penalties."""
        scores = [answer for answer in answers if isinstance(answer, Scores)]
        steps = [answer for answer in answers if isinstance(answer, Steps)]
        count = min(self.random_n, len(digits(self.data).train_y))
        return CalibrationFigures(
            digits=source(self.data),
            bins=BINS,
            epsilons=EPSILONS,
            networks={
                name: ModelFigures(**vars(own), step=step)
                for name, own, step in zip(digit_models(), scores, steps, strict=True)
            },
            random_labels={
                name: RandomLabelFigures(errors, intervals.share(round(errors[-1] * count), count))
                for name, errors in self._random_label_errors(answers).items()
            },
            l1=[answer for answer in answers if isinstance(answer, Penalised)],
            published_l1=PublishedPenalty(L1_PENALTY.value, L1_ERROR.value),
        )

    def _random_label_errors(self, answers: Sequence[Answer]) -> dict[str, list[float]]:
        """Return the training error after each epoch, by model."""
        errors: dict[str, list[float]] = {name: [] for name in DECAYS}
        for stage, answer in zip(self.stages(), answers, strict=True):
            if isinstance(stage, RandomLabelsStage) and isinstance(answer, RandomLabelErrors):
                errors[stage.model] += answer.errors
        return errors

    def claims(self, figures: CalibrationFigures) -> dict[str, bool]:
        """Return the three signs, what a temperature mends, and what is stated of the l1 penalty."""
        return _signs(figures) | _temperatures(figures.networks) | _l1(figures.l1)


def digit_models() -> list[str]:
    """Return the names of the models for digits whose weights come with the program, of those that were
    trained for one experiment only the two under different decay."""
    cards = [card for card in models.cards() if card.offline and (card.channels, card.size) == (1, 28)]
    return [card.name for card in cards if not card.lab or card.name in DECAYS]


def at_temperature(logits: Tensor, labels: Tensor, temperature: float, whole: bool) -> AtTemperature:
    """Return the calibration error and the negative log-likelihood of logits ``(n, 10)`` at a temperature,
    and the reliability diagram if ``whole`` says so."""
    diagram = bins(logits, labels, temperature)
    error, loss = round(ece(diagram), 5), round(nll(logits, labels, temperature), 5)
    if not whole:
        return AtTemperature(temperature, error, loss)
    scores, right = ([round(v, 4) for v in values] for values in (diagram.scores, diagram.right))
    return AtTemperature(temperature, error, loss, diagram.counts, scores, right)


def signs(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the signs of the gradient of the cross-entropy, of the shape of ``x`` ``(n, 1, h, w)``."""
    parts = []
    for part, label in zip(x.split(500), y.split(500), strict=True):
        at = part.detach().requires_grad_()
        loss = functional.cross_entropy(model(at), label, reduction="sum")
        parts.append(torch.autograd.grad(loss, at)[0].sign())
    return torch.cat(parts)


def stepped(model: nn.Module, x: Tensor, y: Tensor, direction: Tensor) -> list[Estimate]:
    """Return the error after a step of each of `EPSILONS` along ``direction``, clipped to [0, 1]."""
    errors = [misread(model, (x + epsilon * direction).clamp(0, 1), y) for epsilon in EPSILONS]
    return [intervals.share(round(error * len(y)), len(y)) for error in errors]


def _signs(figures: CalibrationFigures) -> dict[str, bool]:
    low, high = (figures.networks[name] for name in DECAYS)
    labels = figures.random_labels
    at = EPSILONS.index(0.1)
    return {
        "With weak decay scores are higher than the share read rightly (over-confidence).": (
            _above(low.mean_score.low, 1 - low.error.value)
        ),
        "With strong decay scores are lower than the share read rightly (under-confidence).": (
            _above(1 - high.error.value, high.mean_score.high)
        ),
        "With strong decay the calibration error is smaller.": high.ece.value < low.ece.value,
        "With weak decay labels drawn by lot are learnt by heart.": labels[LOW].end.value == 0,
        "With strong decay some labels drawn by lot are not learnt.": labels[HIGH].end.value > 0,
        "A step of .1 along the gradient's sign does more harm with weak decay.": (
            _above(low.step.calibrated[at].low, high.step.calibrated[at].high)
        ),
    }


def _temperatures(networks: dict[str, ModelFigures]) -> dict[str, bool]:
    low, high = (networks[name] for name in DECAYS)
    return {
        "Weak decay wants a higher temperature than strong decay does.": (
            low.fitted_temperature > high.fitted_temperature
        ),
        "The likeliest temperature lowers the calibration error of both, judged on other digits.": (
            all(model.ece_after_fit.value < model.ece_before_fit.value for model in (low, high))
        ),
        "With weak decay some scores are exactly 1 in float32.": low.saturated.value > 0,
        "With weak decay saturated scores hide harm: a step of .3 does more once they are calibrated.": (
            _above(low.step.calibrated[-1].low, low.step.own[-1].high)
        ),
    }


def _above(low: float | None, high: float | None) -> bool:
    """Return whether the ends of two intervals are known and the first is greater."""
    return low is not None and high is not None and low > high


def _l1(trained: list[Penalised]) -> dict[str, bool]:
    none, small, large = trained
    return {
        "An l1 penalty of .0025 on the first layer leaves more than 5 % training error.": (
            large.train_error.value > L1_ERROR.value
        ),
        "A tenth of that penalty does not lower the test error.": (
            small.test_error.value >= none.test_error.value
        ),
    }
