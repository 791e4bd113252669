"""LeNet with weak and with strong weight decay (Tanay and Griffin 2018, the section on LeNet)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

import models
from attacks.settings import setting
from engine import intervals
from engine.intervals import Estimate
from engine.networks import shared
from engine.work import Evaluates
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Published, Stage, stored
from experiments.datasets.digit_sets import digits, source
from experiments.methods.probability_ascent import Ascent, Trajectory, ascend
from experiments.toolkit import image_sheets
from experiments.toolkit.calibration import median_temperature, top_scores
from experiments.toolkit.codec import OMITTED
from models.architectures.level_lenet import LevelLeNet
from models.records import read_record
from models.train.tanay import DECAYS, DecaySettings, Training, misread

T = TypeVar("T")
LOW, HIGH = DECAYS
SCORE, STEP = 0.95, 1 / 255
DRAWS_AT_ONCE = 5
LAYERS = {"conv1": "Conv1", "conv2": "Conv2", "fc1": "FC1", "fc2": "FC2"}

ERRORS = {LOW: Published(0.016), HIGH: Published(0.012)}
RMS = {
    LOW: {"conv1": 0.04, "conv2": 0.04, "fc1": 0.02, "fc2": 0.5},
    HIGH: {"conv1": 0.03, "conv2": 0.005, "fc1": 0.001, "fc2": 0.01},
}
L2 = {
    LOW: (2.28, 1.30, 1.56, 1.72, 2.37, 0.81, 2.33, 1.60, 1.88, 1.80),
    HIGH: (7.55, 4.53, 4.06, 6.51, 5.18, 4.42, 6.33, 5.52, 5.49, 7.90),
}
SCORES = {
    LOW: (0.98, 0.96, 1.00, 0.61, 0.94, 0.71, 0.95, 0.99, 0.83, 0.44),
    HIGH: (0.97, 0.90, 0.98, 0.74, 0.97, 0.78, 0.95, 0.98, 0.92, 0.79),
}


@dataclass(frozen=True)
class EpochErrors:
    """The mean ``loss`` of an epoch, and the training and test error in [0, 1]."""

    loss: float
    train: float
    test: float


@dataclass(frozen=True)
class Layer:
    """The weights of one layer: ``rms``: their root mean square; ``uneven``: the standard deviation of the
    filters' lengths over their mean; ``roughness``: see `roughness`; ``sheet``: ``tiles`` of the filters by
    random selection, on one grey scale, as PNG in base64. The last three are None for the last layer, whose
    weights are no filters."""

    rms: float
    uneven: float
    roughness: float | None = field(default=None, metadata=OMITTED)
    sheet: str | None = field(default=None, metadata=OMITTED)
    tiles: int | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True)
class LayerFigures(Layer):
    """A layer beside the article's root mean square."""

    published_rms: float = field(kw_only=True)


@dataclass(frozen=True)
class Layers:
    """The layers by name, in the order of `LAYERS`."""

    layers: dict[str, Layer]


@dataclass(frozen=True)
class Answers:
    """What a model answers for the test digits: its error in [0, 1]; the ``temperature`` at which the median
    top score is `SCORE`; that median at it and before; ``saturated_before``: the share of top scores that are
    1 in float32, where no gradient of a probability is left."""

    test_error: Estimate
    temperature: float
    median_score: float
    median_score_before: float
    saturated_before: Estimate


@dataclass(frozen=True)
class ChangedDigit:
    """One digit changed into the next: ``row`` of the test set, ``digit`` and ``target``.

    ``score_before``: the probability of the own class of the clean image; ``score``: of the target at the
    end, after so many ``steps``; ``length``: Euclidean, pixels in [0, 1]; ``original``, ``changed``,
    ``change``: PNG in base64, middle grey of the last being none, white and black plus and minus ``top``;
    ``curve``: at some of the steps (step, probability of the digit, probability of the target).
    """

    row: int
    digit: int
    target: int
    score_before: float
    score: float
    steps: int
    length: float
    top: float
    original: str
    changed: str
    change: str
    curve: list[tuple[int, float, float]]


@dataclass(frozen=True)
class Draws:
    """``lengths`` and ``scores`` of the changes ``(draws, 10)``, and the first draw at length."""

    lengths: list[list[float]]
    scores: list[list[float]]
    shown: list[ChangedDigit]


@dataclass(frozen=True)
class Curves:
    """``loss`` and the training and test error in [0, 1] by epoch; ``trained``: where; ``digits``: how many
    were learnt."""

    loss: list[float]
    train: list[float]
    test: list[float]
    trained: str
    digits: int


@dataclass(frozen=True)
class PublishedChanges:
    """The article's ten changes: Euclidean lengths, pixels in [0, 1], and final scores in [0, 1]."""

    lengths: list[float]
    scores: list[float]


@dataclass(frozen=True)
class Changes:
    """The digits of the first draw; ``reached``: the share of all that reached `SCORE`; ``draw_means``: the
    mean length of each draw, and their ``mean``."""

    shown: list[ChangedDigit]
    reached: Estimate
    draw_means: list[float]
    mean: Estimate
    published: PublishedChanges


@dataclass(frozen=True)
class ModelFigures:
    """One model: its weight decay, errors in [0, 1], `Answers`, and layers by name."""

    decay: float
    published_test_error: float
    test_error: Estimate
    temperature: float
    median_score: float
    median_score_before: float
    saturated_before: Estimate
    curves: Curves
    layers: dict[str, LayerFigures]
    changes: Changes


@dataclass(frozen=True)
class Ratio(Estimate):
    """The mean of ``ratios``: by draw, how many times as long changes are with strong decay."""

    ratios: list[float]


@dataclass(frozen=True)
class LeNetFigures:
    """``digits``: where they are from; ``networks``: by the model's name."""

    digits: str
    draws: int
    networks: dict[str, ModelFigures]
    ratio: Ratio
    published_ratio: float


@dataclass(frozen=True)
class ModelStage(Stage):
    """A stage of one ``model``."""

    model: str


@dataclass(frozen=True)
class EpochStage(ModelStage):
    """One epoch of training, counted from 1."""

    answer: ClassVar[type] = EpochErrors

    epoch: int

    @property
    def name(self) -> str:
        """Return model and epoch."""
        return f"{self.model} epoch {self.epoch}"


@dataclass(frozen=True)
class WeightsStage(ModelStage):
    """The weights of all layers are described."""

    answer: ClassVar[type] = Layers

    @property
    def name(self) -> str:
        """Return the model, and what of it."""
        return f"{self.model} weights"


@dataclass(frozen=True)
class AnswersStage(ModelStage):
    """The test digits are classified."""

    answer: ClassVar[type] = Answers

    @property
    def name(self) -> str:
        """Return the model, and what of it."""
        return f"{self.model} answers"


@dataclass(frozen=True)
class DrawsStage(ModelStage):
    """The digits of some draws are changed, from draw number ``start`` on, counted from 0."""

    answer: ClassVar[type] = Draws

    start: int

    @property
    def name(self) -> str:
        """Return the model and the number of the first draw, counted from 1."""
        return f"{self.model} draws {self.start + 1}"


Answer = EpochErrors | Layers | Answers | Draws


@dataclass(frozen=True)
class LeNetDecay(Experiment[Answer, LeNetFigures]):
    """Error curves, weights, and the least change towards the next digit, of both models.

    By default of the models that ship, and the curves are those of their training record; with ``train``
    both are trained again. Lengths of changes are Euclidean, with pixels in [0, 1].
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="lenet",
        title="LeNet with weak and strong weight decay",
        question="Does weight decay alone make a convolutional network harder to fool?",
        paper="A New Angle on L2 Regularization",
        url="https://arxiv.org/abs/1806.11186",
        source="LeNet on MNIST: the error curves, the weights and the adversarial examples",
        needs="MNIST, to train again",
    )

    result: ClassVar[type] = LeNetFigures
    version: ClassVar[int] = 3

    n: int = setting(
        10_000, "Test digits", "How many the temperature and the error are taken over.", low=100, high=10_000
    )
    draws: int = setting(
        10, "Draws", "How often ten digits, one of each kind, are drawn and changed.", low=1, high=200
    )
    steps: int = setting(
        5000, "Steps", "After how many steps a change is given up.", low=1, high=20_000, soft_high=5000
    )
    train: bool = setting(False, "Train again", "Train both networks first; else those that ship are taken.")
    train_n: int = setting(60_000, "Training digits", "How many digits to train with.", low=300, high=60_000)
    epochs: int = setting(50, "Epochs", "How often training goes through all digits.", low=1, high=200)
    spread: float = setting(
        0.0,
        "First weights",
        "Their standard deviation in training; 0 for the rule that the article's figures point to.",
        low=0,
        high=1,
    )
    longest: float = setting(
        DecaySettings.longest,
        "Longest gradient",
        "In training, a longer one is shortened to it: the first few are.",
        low=1,
        high=1e9,
        soft_high=1000,
    )

    def depends(self) -> object:
        """Return where the digits are from, and the hashes of the weights that ship."""
        return [source(self.data), *(models.card(name).weights.sha256 for name in DECAYS)]

    def stages(self) -> list[ModelStage]:
        """Return an epoch at a time where there is training, then weights, answers and draws by model."""
        stages: list[ModelStage] = []
        for model in DECAYS:
            stages += [EpochStage(model, epoch) for epoch in range(1, self.epochs + 1) if self.train]
            stages += [WeightsStage(model), AnswersStage(model)]
        starts = range(0, self.draws, DRAWS_AT_ONCE)
        return stages + [DrawsStage(model, start) for model in DECAYS for start in starts]

    def carry_out(self, stage: Stage, store: Store) -> Answer:
        """Return the answer of one stage."""
        if isinstance(stage, EpochStage):
            return self._epoch(stage, store)
        if isinstance(stage, WeightsStage):
            return Layers(weights(self._model(stage.model, store), self.seed))
        if isinstance(stage, AnswersStage):
            return self._answers(stage.model, store)
        assert isinstance(stage, DrawsStage)
        return self._changed(stage, store)

    def _settings(self, model: str) -> DecaySettings:
        plain = DecaySettings(DECAYS[model], epochs=self.epochs, seed=self.seed)
        return replace(plain, spread=self.spread, longest=self.longest)

    def _epoch(self, stage: EpochStage, store: Store) -> EpochErrors:
        """Train one epoch more. Only the last two states are stored, by turns: the one before must not be
        lost while this one is written."""
        data, model, epoch = digits(self.data), stage.model, stage.epoch
        training = Training(self._settings(model), data.train_x[: self.train_n])
        if epoch > 1:
            training.restore(store.tensors(f"{model} {(epoch - 1) % 2}"))
        done = training.epoch(data.train_x[: self.train_n], data.train_y[: self.train_n])
        store.put_tensors(f"{model} {epoch % 2}", training.tensors())
        test = misread(training.network, data.test_x[: self.n], data.test_y[: self.n])
        return EpochErrors(loss=round(done.loss, 5), train=round(done.error, 6), test=round(test, 6))

    def _model(self, name: str, store: Store) -> nn.Module:
        """Return the model: with float16 weights, as one ships."""
        if not self.train:
            return shared(name)
        model, tensors = LevelLeNet(), store.tensors(f"{name} {self.epochs % 2}")
        model.load_state_dict({key: tensors[key] for key in model.state_dict()})
        return model.half().float().eval().requires_grad_(False)

    @torch.no_grad()
    def _answers(self, name: str, store: Store) -> Answers:
        """Return the error over the test digits, and the temperature of the median score."""
        data, model = digits(self.data), self._model(name, store)
        x, y = data.test_x[: self.n], data.test_y[: self.n]
        logits = torch.cat([model(part) for part in x.split(1000)])
        temperature = median_temperature(logits, SCORE)
        return Answers(
            test_error=intervals.share(int((logits.argmax(1) != y).sum()), len(y)),
            temperature=temperature,
            median_score=float(top_scores(logits, temperature).quantile(0.5)),
            median_score_before=float(top_scores(logits).quantile(0.5)),
            saturated_before=intervals.share(int((logits.softmax(1).amax(1) == 1).sum()), len(y)),
        )

    def _draw_rows(self) -> Tensor:
        """Return ``(draws, 10)``: the row of a test digit of each class, the same for both models."""
        return draw_rows(digits(self.data).test_y[: self.n], self.draws, self.seed)

    def _changed(self, stage: DrawsStage, store: Store) -> Draws:
        """Change the digits of some draws, each to the next digit, and describe the first draw at length."""
        rows = self._draw_rows()[stage.start : stage.start + DRAWS_AT_ONCE]
        x, target = digits(self.data).test_x[rows.flatten()], (torch.arange(10) + 1).repeat(len(rows)) % 10
        temperature = stored(store, AnswersStage(stage.model)).temperature
        steps = ascend(self._model(stage.model, store), temperature, x, target, self.steps, SCORE, STEP)
        end = Ascent(x, steps).complete()
        lengths = (end.x - x).flatten(1).norm(dim=1).view(-1, 10)
        return Draws(
            lengths=[[round(value, 4) for value in row] for row in lengths.tolist()],
            scores=[[round(value, 4) for value in row] for row in end.scores.view(-1, 10).tolist()],
            shown=describe(end, x, rows.flatten()) if stage.start == 0 else [],
        )

    def summarise(self, answers: Sequence[Answer]) -> LeNetFigures:
        """Return everything of each model under its name, and what the two are to each other."""
        networks = {model: self._model_figures(model, answers) for model in DECAYS}
        means = [networks[model].changes.draw_means for model in DECAYS]
        ratios = [high / low for low, high in zip(*means, strict=True)]
        return LeNetFigures(
            digits=source(self.data),
            draws=self.draws,
            networks=networks,
            ratio=Ratio(**vars(intervals.mean(ratios)), ratios=[round(ratio, 3) for ratio in ratios]),
            published_ratio=round(sum(L2[HIGH]) / sum(L2[LOW]), 3),
        )

    def _of(self, model: str, kind: type[T], answers: Sequence[Answer]) -> list[T]:
        """Return the answers of one ``kind`` about a model, in order."""
        both = zip(self.stages(), answers, strict=True)
        return [answer for stage, answer in both if stage.model == model and isinstance(answer, kind)]

    def _model_figures(self, model: str, answers: Sequence[Answer]) -> ModelFigures:
        (own,), (layers,) = self._of(model, Answers, answers), self._of(model, Layers, answers)
        return ModelFigures(
            decay=DECAYS[model],
            published_test_error=ERRORS[model].value,
            **vars(own),
            curves=self._curves(model, self._of(model, EpochErrors, answers)),
            layers={
                name: LayerFigures(**vars(layer), published_rms=RMS[model][name])
                for name, layer in layers.layers.items()
            },
            changes=_changes(model, self._of(model, Draws, answers)),
        )

    def _curves(self, model: str, epochs: Sequence[EpochErrors]) -> Curves:
        """Return loss and errors by epoch: of this training, or those of the record of the model."""
        if not self.train:
            return Curves(**read_record(model)["curves"], trained="the network that ships", digits=60_000)
        return Curves(
            loss=[epoch.loss for epoch in epochs],
            train=[epoch.train for epoch in epochs],
            test=[epoch.test for epoch in epochs],
            trained="here",
            digits=min(self.train_n, len(digits(self.data).train_y)),
        )

    def claims(self, figures: LeNetFigures) -> dict[str, bool]:
        """Return the article's claims, and two corrections."""
        return _learning(figures.networks) | _weighing(figures.networks) | _fooling(figures)


def _changes(model: str, parts: Sequence[Draws]) -> Changes:
    lengths = [row for part in parts for row in part.lengths]
    scores = [value for part in parts for row in part.scores for value in row]
    means = [sum(row) / len(row) for row in lengths]
    return Changes(
        shown=parts[0].shown,
        reached=intervals.share(sum(value >= SCORE for value in scores), len(scores)),
        draw_means=[round(value, 4) for value in means],
        mean=intervals.mean(means),
        published=PublishedChanges(list(L2[model]), list(SCORES[model])),
    )


def draw_rows(y: Tensor, draws: int, seed: int) -> Tensor:
    """Return ``(draws, 10)``: at random, the row of a digit of each class among the labels ``y``."""
    generator, classes = torch.Generator().manual_seed(seed), []
    for digit in range(10):
        rows = (y == digit).nonzero()[:, 0]
        classes.append(rows[torch.randint(len(rows), (draws,), generator=generator)])
    return torch.stack(classes, 1)


@dataclass(frozen=True)
class DigitAscents:
    """Ten digits that models' gradients change into the next ones, ``at_once`` steps at a time. A piece of
    `engine.work`.

    ``temperatures``: by the model's name; ``rows``: which test digits they are; ``originals``: their images
    as PNGs in base64, so no data set is needed.
    """

    temperatures: dict[str, float]
    rows: list[int]
    originals: list[str]
    at_once: int
    model: ClassVar[str] = ""

    @classmethod
    def of(cls, figures: LeNetFigures, at_once: int) -> DigitAscents:
        """Return the digits that ``figures`` show, before the first step of their change."""
        shown = figures.networks[LOW].changes.shown
        temperatures = {name: figures.networks[name].temperature for name in DECAYS}
        rows, originals = [digit.row for digit in shown], [digit.original for digit in shown]
        return cls(temperatures, rows, originals, at_once)

    def carry_out(self, engine: Evaluates) -> Iterator[dict[str, list[ChangedDigit]]]:
        """Yield the digits as they are, by the model's name, at first and after each stretch of steps, until
        all have reached the score."""
        x = torch.from_numpy(np.stack([image_sheets.read(png)[:1] for png in self.originals]))
        rows, target = torch.tensor(self.rows), (torch.arange(10) + 1) % 10
        ascents = {
            name: Ascent(x, ascend(shared(name), heat, x, target, LeNetDecay.steps, SCORE, STEP))
            for name, heat in self.temperatures.items()
        }
        yield {name: describe(ascent.trajectory(), x, rows) for name, ascent in ascents.items()}
        while not all(ascent.finished for ascent in ascents.values()):
            for ascent in ascents.values():
                ascent.advance(self.at_once)
            yield {name: describe(ascent.trajectory(), x, rows) for name, ascent in ascents.items()}


def weights(model: nn.Module, seed: int, shown: int = 40) -> dict[str, Layer]:
    """Return each layer by name, with ``shown`` filters by random selection."""
    state, generator = dict(model.state_dict()), torch.Generator().manual_seed(seed)
    layers = {}
    for name in LAYERS:
        weight = next(value for key, value in state.items() if key.endswith(f"{name}.weight")).double()
        lengths = weight.flatten(1).norm(dim=1)
        rms, uneven = float(weight.square().mean().sqrt()), float(lengths.std() / lengths.mean())
        layers[name] = Layer(rms, uneven)
        if name != "fc2":
            slices = weight.reshape(-1, 4, 4) if name == "fc1" else weight.flatten(0, 1)
            rows = torch.randperm(len(slices), generator=generator)[:shown].sort().values
            tiles = image_sheets.signed(slices[rows], float(slices.abs().quantile(0.999))).float()
            layers[name] = Layer(rms, uneven, roughness(slices), image_sheets.sheet(tiles), len(rows))
    return layers


def roughness(slices: Tensor) -> float:
    """Return von Neumann's ratio of ``(n, height, width)`` over both axes: 1 for noise, 0 for smoothness."""
    centred = slices - slices.mean((1, 2), keepdim=True)
    steps = torch.cat([slices.diff(dim=axis).flatten() for axis in (1, 2)])
    shape = slices.shape[1] * slices.shape[2]
    variance = centred.square().sum() / (len(slices) * (shape - 1))
    return float(steps.square().mean() / (2 * variance))


def describe(end: Trajectory, x: Tensor, rows: Tensor) -> list[ChangedDigit]:
    """Return the first ten images of a trajectory from ``x`` ``(n, 1, h, w)``; ``rows`` ``(n,)``: which test
    digits they are."""
    shown = []
    for digit in range(10):
        change = (end.x[digit] - x[digit])[0]
        top = float(change.abs().amax())
        shown.append(
            ChangedDigit(
                row=int(rows[digit]),
                digit=digit,
                target=(digit + 1) % 10,
                score_before=round(end.first[digit], 4),
                score=round(float(end.scores[digit]), 4),
                steps=end.steps[digit],
                length=round(float(change.norm()), 4),
                top=round(top, 4),
                original=image_sheets.png(x[digit, 0]),
                changed=image_sheets.png(end.x[digit, 0]),
                change=image_sheets.png(image_sheets.signed(change, top)),
                curve=end.curves[digit],
            )
        )
    return shown


def _learning(networks: dict[str, ModelFigures]) -> dict[str, bool]:
    low, high = networks[LOW], networks[HIGH]
    errors = [low.test_error.value, high.test_error.value]
    gaps = [model.curves.test[-1] - model.curves.train[-1] for model in (low, high)]
    least = min(high.curves.train)
    return {
        "With weak decay the test error is 1.6 % give or take .2.": abs(errors[0] - 0.016) <= 0.002,
        "With strong decay the test error is 1.2 % give or take .2.": abs(errors[1] - 0.012) <= 0.002,
        "The test error is lower with strong decay.": errors[1] < errors[0],
        "With weak decay the training error falls to .01 % or less.": low.curves.train[-1] <= 1e-4,
        "With strong decay the training error rises again after its least, by a tenth or more.": (
            high.curves.train[-1] >= 1.1 * least > 0
        ),
        "With strong decay training and test error end nearer to each other.": abs(gaps[1]) < abs(gaps[0]),
    }


def _weighing(networks: dict[str, ModelFigures]) -> dict[str, bool]:
    low, high = (networks[model].layers for model in DECAYS)
    last = low["fc2"].rms
    return {
        "Every layer's weights are smaller with strong decay (root mean square).": all(
            high[layer].rms < low[layer].rms for layer in LAYERS
        ),
        "The filters of both convolutions are smoother with strong decay.": all(
            _rough(high[layer]) < _rough(low[layer]) for layer in ("conv1", "conv2")
        ),
        "With strong decay the filters of Conv2 and FC1 differ more in length: some are all grey.": all(
            high[layer].uneven > low[layer].uneven for layer in ("conv2", "fc1")
        ),
        "The .5 that the article prints for FC2 with weak decay is no misprint for .05.": (
            abs(last - 0.5) < abs(last - 0.05)
        ),
    }


def _rough(layer: Layer) -> float:
    assert layer.roughness is not None
    return layer.roughness


def _fooling(figures: LeNetFigures) -> dict[str, bool]:
    both = [figures.networks[model] for model in DECAYS]
    lengths = [[digit.length for digit in model.changes.shown] for model in both]
    return {
        "The median top score is .95 to within .001 once calibrated.": all(
            abs(model.median_score - SCORE) <= 1e-3 for model in both
        ),
        "Every digit can be changed into the next one with a score of .95.": all(
            model.changes.reached.value == 1 for model in both
        ),
        "The mean change is 2.5 to 4 times as long with strong decay.": 2.5 <= figures.ratio.value <= 4,
        "Each of the ten changes shown is longer with strong decay.": all(
            low < high for low, high in zip(*lengths, strict=True)
        ),
    }
