"""LeNet with weak and with strong weight decay (Tanay and Griffin 2018, the section on LeNet)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

import models
from attacks.settings import setting
from experiments.cache import Store
from experiments.core import JSON, Experiment, ExperimentCard, Published
from experiments.datasets.digit_sets import digits, source
from experiments.methods.probability_ascent import Trail, Way, climb
from experiments.toolkit import image_sheets, intervals
from experiments.toolkit.calibration import median_temperature, top_scores
from models.architectures.level_lenet import LevelLeNet
from models.records import read_record
from models.train.tanay import DECAYS, DecaySettings, Training, misread

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
class LeNetDecay(Experiment):
    """Error curves, weights, and the least change towards the next digit, of both networks.

    By default of the networks that ship, and the curves are those of their training record; with ``train``
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

    version: ClassVar[int] = 2

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

    def depends(self) -> JSON:
        """Return where the digits are from, and the hashes of the weights that ship."""
        return [source(self.data), *(models.card(name).weights.sha256 for name in DECAYS)]

    def pieces(self) -> list[str]:
        """Return an epoch at a time where there is training, then weights, logits and draws by network."""
        names = []
        for net in DECAYS:
            names += [f"{net} epoch {epoch}" for epoch in range(1, self.epochs + 1) if self.train]
            names += [f"{net} weights", f"{net} answers"]
        starts = range(0, self.draws, DRAWS_AT_ONCE)
        return names + [f"{net} draws {start + 1}" for net in DECAYS for start in starts]

    def piece(self, name: str, store: Store) -> JSON:
        """Carry out the piece that ``name`` begins to say."""
        net, what, *number = name.split()
        if what == "epoch":
            return self._epoch(net, int(number[0]), store)
        if what == "weights":
            return weights(self._network(net, store), self.seed)
        if what == "answers":
            return self._answers(net, store)
        return self._changed(net, int(number[0]) - 1, store)

    def _settings(self, net: str) -> DecaySettings:
        plain = DecaySettings(DECAYS[net], epochs=self.epochs, seed=self.seed)
        return replace(plain, spread=self.spread, longest=self.longest)

    def _epoch(self, net: str, epoch: int, store: Store) -> JSON:
        """Train one epoch more. Only the last two states are kept, by turns: the one before must not be
        lost while this one is written."""
        found = digits(self.data)
        training = Training(self._settings(net), found.train_x[: self.train_n])
        if epoch > 1:
            training.restore(store.tensors(f"{net} {(epoch - 1) % 2}"))
        done = training.epoch(found.train_x[: self.train_n], found.train_y[: self.train_n])
        store.put_tensors(f"{net} {epoch % 2}", training.tensors())
        test = misread(training.network, found.test_x[: self.n], found.test_y[: self.n])
        return {"loss": round(done.loss, 5), "train": round(done.error, 6), "test": round(test, 6)}

    def _network(self, net: str, store: Store) -> nn.Module:
        """Return the network: with float16 weights, as one ships."""
        if not self.train:
            return models.load(net)
        network, tensors = LevelLeNet(), store.tensors(f"{net} {self.epochs % 2}")
        network.load_state_dict({name: tensors[name] for name in network.state_dict()})
        return network.half().float().eval().requires_grad_(False)

    @torch.no_grad()
    def _answers(self, net: str, store: Store) -> JSON:
        """Return the error over the test digits, and the temperature of the median score."""
        found, network = digits(self.data), self._network(net, store)
        x, y = found.test_x[: self.n], found.test_y[: self.n]
        logits = torch.cat([network(part) for part in x.split(1000)])
        temperature = median_temperature(logits, SCORE)
        return {
            "test_error": intervals.share(int((logits.argmax(1) != y).sum()), len(y)),
            "temperature": temperature,
            "median_score": float(top_scores(logits, temperature).quantile(0.5)),
            "median_score_before": float(top_scores(logits).quantile(0.5)),
            # There the gradient of a probability is lost: nothing is left of 1 - p.
            "saturated_before": intervals.share(int((logits.softmax(1).amax(1) == 1).sum()), len(y)),
        }

    def _drawn(self) -> Tensor:
        """Return ``(draws, 10)``: the row of a test digit of each kind, the same for both networks."""
        return drawn(digits(self.data).test_y[: self.n], self.draws, self.seed)

    def _changed(self, net: str, start: int, store: Store) -> JSON:
        """Change the digits of some draws, each to the next digit, and describe the first draw at length."""
        rows = self._drawn()[start : start + DRAWS_AT_ONCE]
        x, target = digits(self.data).test_x[rows.flatten()], (torch.arange(10) + 1).repeat(len(rows)) % 10
        temperature = store.get(f"{net} answers")["temperature"]
        way = climb(self._network(net, store), temperature, x, target, self.steps, SCORE, STEP)
        trail = Way(x, way).whole()
        lengths = (trail.x - x).flatten(1).norm(dim=1).view(-1, 10)
        shown = describe(trail, x, rows.flatten()) if start == 0 else []
        return {
            "lengths": [[round(value, 4) for value in row] for row in lengths.tolist()],
            "scores": [[round(value, 4) for value in row] for row in trail.scores.view(-1, 10).tolist()],
            "shown": shown,
        }

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return everything of each network under its name, and what the two are to each other."""
        nets = {net: self._figures(net, done) for net in DECAYS}
        means = [nets[net]["changes"]["draw_means"] for net in DECAYS]
        ratios = [high / low for low, high in zip(*means, strict=True)]
        published = sum(L2[HIGH]) / sum(L2[LOW])
        return {
            "digits": source(self.data),
            "draws": self.draws,
            "networks": nets,
            "ratio": intervals.mean(ratios) | {"ratios": [round(ratio, 3) for ratio in ratios]},
            "published_ratio": round(published, 3),
        }

    def _figures(self, net: str, done: Mapping[str, JSON]) -> JSON:
        return {
            "decay": DECAYS[net],
            "published_test_error": ERRORS[net].value,
            **done[f"{net} answers"],
            "curves": self._curves(net, done),
            "layers": _beside(done[f"{net} weights"], net),
            "changes": self._changes(net, done),
        }

    def _curves(self, net: str, done: Mapping[str, JSON]) -> JSON:
        """Return ``loss``, ``train`` and ``test`` (shares in [0, 1]) by epoch."""
        if not self.train:
            record = read_record(net)
            return record["curves"] | {"trained": "the network that ships", "digits": 60_000}
        epochs = [done[f"{net} epoch {epoch}"] for epoch in range(1, self.epochs + 1)]
        columns = {what: [epoch[what] for epoch in epochs] for what in ("loss", "train", "test")}
        return columns | {"trained": "here", "digits": min(self.train_n, len(digits(self.data).train_y))}

    def _changes(self, net: str, done: Mapping[str, JSON]) -> JSON:
        parts = [done[f"{net} draws {start + 1}"] for start in range(0, self.draws, DRAWS_AT_ONCE)]
        lengths = [row for part in parts for row in part["lengths"]]
        scores = [value for part in parts for row in part["scores"] for value in row]
        means = [sum(row) / len(row) for row in lengths]
        return {
            "shown": parts[0]["shown"],
            "reached": intervals.share(sum(value >= SCORE for value in scores), len(scores)),
            "draw_means": [round(value, 4) for value in means],
            "mean": intervals.mean(means),
            "published": {"lengths": list(L2[net]), "scores": list(SCORES[net])},
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return the article's claims, and two corrections."""
        return _learning(figures["networks"]) | _weighing(figures["networks"]) | _fooling(figures)


def drawn(y: Tensor, draws: int, seed: int) -> Tensor:
    """Return ``(draws, 10)``: by lot, the row of a digit of each kind among the labels ``y``."""
    chance, kinds = torch.Generator().manual_seed(seed), []
    for digit in range(10):
        rows = (y == digit).nonzero()[:, 0]
        kinds.append(rows[torch.randint(len(rows), (draws,), generator=chance)])
    return torch.stack(kinds, 1)


def again(figures: Mapping[str, JSON]) -> dict[str, OnTheWay]:
    """Return, for each network, the ten digits that ``figures`` of this experiment show, before the first
    step of their change; the figures hold their pictures, so no data set is needed."""
    nets, shown = figures["networks"], figures["networks"][LOW]["changes"]["shown"]
    rows = torch.tensor([each["row"] for each in shown])
    x = torch.stack([image_sheets.read(each["original"])[:1] for each in shown])
    target, ways = (torch.arange(10) + 1) % 10, {}
    for net in DECAYS:
        moments = climb(models.load(net), nets[net]["temperature"], x, target, LeNetDecay.steps, SCORE, STEP)
        ways[net] = OnTheWay(Way(x, moments), rows)
    return ways


class OnTheWay(NamedTuple):
    """Ten digits on their way to the next one under one network; ``rows``: which test digits they are."""

    way: Way
    rows: Tensor

    def shown(self) -> list[JSON]:
        """Return what a page shows of them now; see `describe`."""
        return describe(self.way.trail(), self.way.x, self.rows)


def weights(network: nn.Module, seed: int, shown: int = 40) -> JSON:
    """Return for each layer: the root mean square of its weights, how rough its filters are, how much the
    filters differ in length, and a random selection of them as a sheet of pictures with one scale.

    ``roughness``: the mean squared difference of neighbouring values over twice their variance within a
    filter's slice, 1 for noise and 0 for what does not vary; ``uneven``: the standard deviation of the
    filters' lengths over their mean.
    """
    state, chance = dict(network.state_dict()), torch.Generator().manual_seed(seed)
    described = {}
    for layer in LAYERS:
        weight = next(value for name, value in state.items() if name.endswith(f"{layer}.weight")).double()
        lengths = weight.flatten(1).norm(dim=1)
        each: dict[str, JSON] = {
            "rms": float(weight.square().mean().sqrt()),
            "uneven": float(lengths.std() / lengths.mean()),
        }
        if layer != "fc2":
            slices = weight.reshape(-1, 4, 4) if layer == "fc1" else weight.flatten(0, 1)
            rows = torch.randperm(len(slices), generator=chance)[:shown].sort().values
            tiles = image_sheets.signed(slices[rows], float(slices.abs().quantile(0.999))).float()
            each |= {"roughness": roughness(slices), "sheet": image_sheets.sheet(tiles), "tiles": len(rows)}
        described[layer] = each
    return described


def roughness(slices: Tensor) -> float:
    """Return von Neumann's ratio of ``(n, height, width)`` over both axes: 1 for noise, 0 for smoothness."""
    centred = slices - slices.mean((1, 2), keepdim=True)
    steps = torch.cat([slices.diff(dim=axis).flatten() for axis in (1, 2)])
    shape = slices.shape[1] * slices.shape[2]
    variance = centred.square().sum() / (len(slices) * (shape - 1))
    return float(steps.square().mean() / (2 * variance))


def _beside(layers: JSON, net: str) -> JSON:
    return {layer: {**each, "published_rms": RMS[net][layer]} for layer, each in layers.items()}


def describe(trail: Trail, x: Tensor, rows: Tensor) -> list[JSON]:
    """Return for the first ten pictures what a page shows: three pictures, scores, and the way there.

    ``curve``: at some of the steps ``[step, probability of the digit, probability of the target]``.
    ``change``: middle grey is none, white and black are plus and minus ``top``.
    """
    shown = []
    for digit in range(10):
        change = (trail.x[digit] - x[digit])[0]
        top = float(change.abs().amax())
        shown.append(
            {
                "row": int(rows[digit]),
                "digit": digit,
                "target": (digit + 1) % 10,
                "score_before": round(trail.first[digit], 4),
                "score": round(float(trail.scores[digit]), 4),
                "steps": trail.steps[digit],
                "length": round(float(change.norm()), 4),
                "top": round(top, 4),
                "original": image_sheets.png(x[digit, 0]),
                "changed": image_sheets.png(trail.x[digit, 0]),
                "change": image_sheets.png(image_sheets.signed(change, top)),
                "curve": trail.curves[digit],
            }
        )
    return shown


def _learning(nets: Mapping[str, JSON]) -> dict[str, bool]:
    (low, high), curves = (nets[LOW], nets[HIGH]), {net: nets[net]["curves"] for net in DECAYS}
    errors = [low["test_error"]["value"], high["test_error"]["value"]]
    gaps = [curves[net]["test"][-1] - curves[net]["train"][-1] for net in DECAYS]
    least = min(curves[HIGH]["train"])
    return {
        "With weak decay the test error is 1.6 % give or take .2.": abs(errors[0] - 0.016) <= 0.002,
        "With strong decay the test error is 1.2 % give or take .2.": abs(errors[1] - 0.012) <= 0.002,
        "The test error is lower with strong decay.": errors[1] < errors[0],
        "With weak decay the training error falls to .01 % or less.": curves[LOW]["train"][-1] <= 1e-4,
        "With strong decay the training error rises again after its least, by a tenth or more.": (
            curves[HIGH]["train"][-1] >= 1.1 * least > 0
        ),
        "With strong decay training and test error end nearer to each other.": abs(gaps[1]) < abs(gaps[0]),
    }


def _weighing(nets: Mapping[str, JSON]) -> dict[str, bool]:
    low, high = (nets[net]["layers"] for net in DECAYS)
    last = low["fc2"]["rms"]
    return {
        "Every layer's weights are smaller with strong decay (root mean square).": all(
            high[layer]["rms"] < low[layer]["rms"] for layer in LAYERS
        ),
        "The filters of both convolutions are smoother with strong decay.": all(
            high[layer]["roughness"] < low[layer]["roughness"] for layer in ("conv1", "conv2")
        ),
        "With strong decay the filters of Conv2 and FC1 differ more in length: some are all grey.": all(
            high[layer]["uneven"] > low[layer]["uneven"] for layer in ("conv2", "fc1")
        ),
        "The .5 that the article prints for FC2 with weak decay is no misprint for .05.": (
            abs(last - 0.5) < abs(last - 0.05)
        ),
    }


def _fooling(figures: Mapping[str, JSON]) -> dict[str, bool]:
    nets, ratio = figures["networks"], figures["ratio"]
    shown = [each["changes"] for each in nets.values()]
    lengths = [[each["length"] for each in part["shown"]] for part in shown]
    return {
        "The median top score is .95 to within .001 once calibrated.": all(
            abs(each["median_score"] - SCORE) <= 1e-3 for each in nets.values()
        ),
        "Every digit can be changed into the next one with a score of .95.": all(
            part["reached"]["value"] == 1 for part in shown
        ),
        "The mean change is 2.5 to 4 times as long with strong decay.": 2.5 <= ratio["value"] <= 4,
        "Each of the ten changes shown is longer with strong decay.": all(
            low < high for low, high in zip(*lengths, strict=True)
        ),
    }
