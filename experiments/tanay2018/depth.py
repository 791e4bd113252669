"""Tanay and Griffin 2018, section 4: what weight decay does to deeper nets, seen through their gradients.

A net with ReLU units is linear around each image: s(x') = g.x' + b with g the gradient of s at x, so
d(x) = s(x) / ||g|| is the distance to the boundary as that linear classifier sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attacks.contract import Criterion, walk
from attacks.ddn import DDN
from attacks.settings import setting
from engine.intervals import Estimate, mean
from experiments.cache import Store
from experiments.core import ExperimentCard, Stage
from experiments.tanay2018 import tilting_angle
from experiments.toolkit.bases import OfTwoDigits

DEPTHS = (2, 4, 6)
DECAYS = (0.0, 3e-3, 1e-2, 3e-2, 1e-1)
"""What every update takes off a weight, relative to it and to the learning rate; biases are left alone."""
WIDTH, BATCH, RATE, MOMENTUM = 100, 100, 0.05, 0.9
ATTACKED, TURNS = 150, 100
QUANTILES = (10, 25, 50, 75, 90)
ALLOWED = 0.01
"""By how much the test error may exceed the best of that depth."""


@dataclass(frozen=True, eq=False)
class ScoresAndGradients:
    """Scores ``(n,)`` and their gradients ``(n, 784)`` at images."""

    scores: Tensor
    gradients: Tensor


@dataclass(frozen=True)
class Net:
    """One trained net, over the test images: errors in [0, 1]; medians of the ``gradient``'s norm, of the
    ``distance`` y d(x) that it implies, and of the length of the perturbations that an attack finds
    (``attacked``), both Euclidean with pixels in [0, 1]; ``quantiles`` of the gradient's norm at
    `QUANTILES`; ``linear_missed``: the median relative error of the linear classifier's score near an image;
    ``gradient_missed``: the largest difference between `by_hand` and the gradient."""

    train_error: float
    test_error: float
    gradient: float
    distance: float
    attacked: float
    quantiles: list[float]
    linear_missed: float
    gradient_missed: float


@dataclass(frozen=True)
class Nets:
    """`Net` as lists by repeat."""

    train_error: list[float]
    test_error: list[float]
    gradient: list[float]
    distance: list[float]
    attacked: list[float]
    quantiles: list[list[float]]
    linear_missed: list[float]
    gradient_missed: list[float]


@dataclass(frozen=True)
class Gain:
    """What weight decay gains: ``best``: index of the decay that moves the boundary farthest at next to no
    cost in accuracy; ``gain`` and ``linear_gain``: the factors by which it lengthens the perturbations that
    are found and y d(x); ``overstated``: y d(x) over the perturbations, at that decay."""

    best: int
    gain: Estimate
    linear_gain: Estimate
    overstated: Estimate


@dataclass(frozen=True)
class DepthRow:
    """The nets of one depth: `Net` as means over the repeats, lists by decay, and a `Gain`."""

    train_error: list[Estimate]
    test_error: list[Estimate]
    gradient: list[Estimate]
    distance: list[Estimate]
    attacked: list[Estimate]
    linear_missed: list[Estimate]
    gradient_missed: list[Estimate]
    quantiles: list[list[float]]
    best: int
    gain: Estimate
    linear_gain: Estimate
    overstated: Estimate


@dataclass(frozen=True)
class DepthFigures:
    """``classes``: the two digits; ``decays``: relative to weight and learning rate; ``attacked``: how many
    images are attacked at most; ``quantiles_at``: in percent; ``depths``: by the number of layers."""

    classes: tuple[int, int]
    decays: list[float]
    repeats: int
    attacked: int
    quantiles_at: list[int]
    depths: dict[str, DepthRow]


@dataclass(frozen=True)
class NetsStage(Stage):
    """All repeats of one depth, in layers of weights, and one weight decay."""

    answer: ClassVar[type] = Nets

    depth: int
    decay: float

    @property
    def name(self) -> str:
        """Return depth and decay."""
        return f"{self.depth} layers, decay {self.decay:g}"


@dataclass(frozen=True)
class Depth(OfTwoDigits[Nets, DepthFigures]):
    """Nets of two, four and six layers for two digits, over a sweep of weight decay."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        "depth",
        "Deeper nets",
        "Does weight decay push the boundary away from the images in deeper nets, too?",
        "Tanay & Griffin 2018, A New Angle on L2 Regularization",
        "https://arxiv.org/abs/1806.11186",
        "Section 4 and its closing remark on non-linear models",
    )

    result: ClassVar[type] = DepthFigures

    epochs: int = setting(6, "Epochs", "How often each training sees every image.", low=1, high=100)
    repeats: int = setting(3, "Repeats", "Trainings from different random weights.", low=1, high=20)

    def stages(self) -> list[NetsStage]:
        """Return every depth with every decay."""
        return [NetsStage(depth, decay) for depth in DEPTHS for decay in DECAYS]

    def carry_out(self, stage: NetsStage, store: Store) -> Nets:
        """Train the stage's nets and measure them on the test images."""
        pair = tilting_angle.pair(self.first, self.second, self.n, self.data)
        nets = []
        for repeat in range(self.repeats):
            rng = torch.Generator().manual_seed(self.seed * 1_000 + repeat)
            trained = train(network(stage.depth, rng), pair, stage.decay, self.epochs, rng)
            nets.append(described(trained, pair))
        return Nets(*([getattr(net, field.name) for net in nets] for field in fields(Net)))

    def summarise(self, answers: Sequence[Nets]) -> DepthFigures:
        """Return, for each depth and decay, errors, gradients and distances; and what decay gains."""
        stages = self.stages()
        return DepthFigures(
            classes=(self.first, self.second),
            decays=list(DECAYS),
            repeats=self.repeats,
            attacked=ATTACKED,
            quantiles_at=list(QUANTILES),
            depths={
                str(depth): _row([a for s, a in zip(stages, answers, strict=True) if s.depth == depth])
                for depth in DEPTHS
            },
        )

    def claims(self, figures: DepthFigures) -> dict[str, bool]:
        """Return what the article states of two layers and of more."""
        depths = [figures.depths[str(depth)] for depth in DEPTHS]
        gains = [row.gain.value for row in depths]
        overstated = [row.overstated.value for row in depths]
        return {
            "The gradient is the product of the weights of the units that are on.": all(
                estimate.value < 1e-9 for row in depths for estimate in row.gradient_missed
            ),
            "Around most images a net is the linear classifier of its gradient.": all(
                estimate.value < 1e-3 for row in depths for estimate in row.linear_missed
            ),
            "Weight decay makes the gradients smaller, at every depth.": all(
                row.gradient[row.best].value < row.gradient[0].value for row in depths
            ),
            "Weight decay moves the boundary away from the images, at every depth.": min(gains) > 1,
            "It helps less as depth grows.": gains[0] > gains[1] > gains[2],
            "The deeper the net, the more the linear view overstates the distance.": (
                overstated[0] < overstated[1] < overstated[2]
            ),
        }


def network(depth: int, rng: torch.Generator) -> nn.Sequential:
    """Return a net of ``depth`` layers of weights from 784 pixels to one score, with ReLU between them."""
    sizes, layers = [784, *[WIDTH] * (depth - 1), 1], []
    for before, after in zip(sizes, sizes[1:], strict=False):
        layer = nn.Linear(before, after)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=rng)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train(
    net: nn.Sequential, pair: tilting_angle.Pair, decay: float, epochs: int, rng: torch.Generator
) -> nn.Sequential:
    """Return the net after stochastic gradient descent on the mean softplus of -y s(x), with weight decay."""
    x, y = torch.from_numpy(pair.x).float(), torch.from_numpy(pair.y).float()
    weights = [p for p in net.parameters() if p.dim() > 1]
    biases = [p for p in net.parameters() if p.dim() == 1]
    groups = [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=rng).split(BATCH):
            optimizer.zero_grad()
            functional.softplus(-y[rows] * net(x[rows])[:, 0]).mean().backward()
            optimizer.step()
            schedule.step()
    return net.requires_grad_(False).double()


def scores_and_gradients(net: nn.Sequential, x: Tensor) -> ScoresAndGradients:
    """Return the scores and their gradients at ``x`` ``(n, 784)``."""
    at = x.detach().requires_grad_()
    scores = net(at)[:, 0]
    (gradients,) = torch.autograd.grad(scores.sum(), at)
    return ScoresAndGradients(scores.detach(), gradients)


def by_hand(net: nn.Sequential, x: Tensor) -> Tensor:
    """Return the gradients at ``x`` ``(n, 784)`` as the article has them: the product of the layers' weights,
    without the rows of units that are off.
    """
    on, at = [], x
    for layer in net:
        if isinstance(layer, nn.ReLU):
            on.append(at > 0)
        at = layer(at)
    weights = [layer.weight for layer in net if isinstance(layer, nn.Linear)]
    product: Tensor = weights[-1].expand(len(x), -1)
    for units, weight in zip(reversed(on), reversed(weights[:-1]), strict=True):
        product = (product * units) @ weight
    return product


def attacked(net: nn.Sequential, x: Tensor, y: Tensor) -> Tensor:
    """Return the lengths ``(n,)`` of the perturbations that DDN finds for images ``x`` ``(n, 784)`` with
    labels ``y`` of -1 and +1, at pixels in [0, 1]; nan where it finds none.
    """
    criterion = Criterion((y > 0).long(), targeted=False)

    def model(at: Tensor) -> Tensor:
        score = net(at.flatten(1))
        return torch.cat([-score, score], 1) / 2

    pictures = x.view(-1, 1, 28, 28)
    *_, last = walk(DDN(steps=TURNS).search(pictures, criterion, torch.Generator()), model, criterion)
    lengths = (last.x - pictures).flatten(1).norm(dim=1)
    return torch.where(criterion.met(last.evaluation.logits), lengths, torch.nan)


def described(net: nn.Sequential, pair: tilting_angle.Pair) -> Net:
    """Return a net's errors, and the medians and quantiles of the gradients and distances at test images."""
    x, y = torch.from_numpy(pair.test_x), torch.from_numpy(pair.test_y)
    given = scores_and_gradients(net, x)
    sizes = given.gradients.norm(dim=1).clamp_min(1e-12)
    right = torch.nonzero(y * given.scores > 0)[:ATTACKED, 0]
    step = 1e-6 * given.gradients / sizes[:, None]
    risen = net(x + step)[:, 0] - given.scores
    quantiles = torch.tensor([percent / 100 for percent in QUANTILES], dtype=sizes.dtype)
    trained = torch.from_numpy(pair.y) * net(torch.from_numpy(pair.x))[:, 0]
    return Net(
        train_error=float((trained <= 0).double().mean()),
        test_error=float((y * given.scores <= 0).double().mean()),
        gradient=float(sizes.median()),
        distance=float((y * given.scores / sizes).median()),
        attacked=float(attacked(net, x[right], y[right]).nanmedian()),
        quantiles=torch.quantile(sizes, quantiles).tolist(),
        linear_missed=float((risen / (1e-6 * sizes) - 1).abs().median()),
        gradient_missed=float((by_hand(net, x) - given.gradients).abs().max()),
    )


def _row(rows: list[Nets]) -> DepthRow:
    """Return the means over the repeats; ``rows``: the nets of one depth, by decay."""
    names = [field.name for field in fields(Nets) if field.name != "quantiles"]
    means = {name: [mean(getattr(row, name)) for row in rows] for name in names}
    quantiles = [np.mean(row.quantiles, axis=0).round(5).tolist() for row in rows]
    gain = _gain(rows)
    return DepthRow(
        **means,
        quantiles=quantiles,
        best=gain.best,
        gain=gain.gain,
        linear_gain=gain.linear_gain,
        overstated=gain.overstated,
    )


def _gain(rows: list[Nets]) -> Gain:
    """Return what decay gains at its best; ``rows``: the nets of one depth, by decay."""
    errors = [float(np.mean(row.test_error)) for row in rows]
    fit = [k for k, error in enumerate(errors) if error <= min(errors) + ALLOWED]
    best = max(fit, key=lambda k: float(np.mean(rows[k].attacked)))
    return Gain(
        best=best,
        gain=mean(_ratios(rows[best].attacked, rows[0].attacked)),
        linear_gain=mean(_ratios(rows[best].distance, rows[0].distance)),
        overstated=mean(_ratios(rows[best].distance, rows[best].attacked)),
    )


def _ratios(values: list[float], others: list[float]) -> list[float]:
    return [value / other for value, other in zip(values, others, strict=True)]
