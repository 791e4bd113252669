"""Tanay and Griffin 2018, section 4: what weight decay does to deeper nets, seen through their gradients.

A net with ReLU units is linear around each image: s(x') = g.x' + b with g the gradient of s at x, so
d(x) = s(x) / ||g|| is the distance to the boundary as that linear classifier sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attacks.contract import Criterion, walk
from attacks.ddn import DDN
from attacks.settings import setting
from experiments.cache import Store
from experiments.core import JSON, ExperimentCard
from experiments.tanay2018 import tilting_angle
from experiments.toolkit.bases import OfTwoDigits
from experiments.toolkit.intervals import mean

DEPTHS = (2, 4, 6)
DECAYS = (0.0, 3e-3, 1e-2, 3e-2, 1e-1)
"""What every update takes off a weight, relative to it and to the learning rate; biases are left alone."""
WIDTH, BATCH, RATE, MOMENTUM = 100, 100, 0.05, 0.9
ATTACKED, TURNS = 150, 100
QUANTILES = (10, 25, 50, 75, 90)
ALLOWED = 0.01
"""By how much the test error may exceed the best of that depth."""


class Seen(NamedTuple):
    """Scores ``(n,)`` and gradients ``(n, 784)`` of a net at images."""

    scores: Tensor
    gradients: Tensor


@dataclass(frozen=True)
class Depth(OfTwoDigits):
    """Nets of two, four and six layers for two digits, over a sweep of weight decay."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        "depth",
        "Deeper nets",
        "Does weight decay push the boundary away from the images in deeper nets, too?",
        "Tanay & Griffin 2018, A New Angle on L2 Regularization",
        "https://arxiv.org/abs/1806.11186",
        "Section 4 and its closing remark on non-linear models",
    )

    epochs: int = setting(6, "Epochs", "How often each training sees every image.", low=1, high=100)
    repeats: int = setting(3, "Repeats", "Trainings from different random weights.", low=1, high=20)

    def pieces(self) -> list[str]:
        """Return one name for each depth and decay."""
        return [f"{depth} layers, decay {decay:g}" for depth in DEPTHS for decay in DECAYS]

    def piece(self, name: str, store: Store) -> JSON:
        """Train the piece's nets and look at them through the test images."""
        index = self.pieces().index(name)
        depth, decay = DEPTHS[index // len(DECAYS)], DECAYS[index % len(DECAYS)]
        pair = tilting_angle.pair(self.first, self.second, self.n, self.data)
        found = []
        for repeat in range(self.repeats):
            rng = torch.Generator().manual_seed(self.seed * 1_000 + repeat)
            trained = train(network(depth, rng), pair, decay, self.epochs, rng)
            found.append(described(trained, pair))
        return {key: [each[key] for each in found] for key in found[0]}

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return, for each depth and decay, errors, gradients and distances; and what decay gains."""
        result: dict[str, JSON] = {}
        for depth in DEPTHS:
            rows = [done[f"{depth} layers, decay {decay:g}"] for decay in DECAYS]
            scalars = {key: [mean(row[key]) for row in rows] for key in rows[0] if key != "quantiles"}
            quantiles = [np.mean(row["quantiles"], axis=0).round(5).tolist() for row in rows]
            result[str(depth)] = {**scalars, "quantiles": quantiles} | _gain(rows)
        return {
            "classes": [self.first, self.second],
            "decays": list(DECAYS),
            "repeats": self.repeats,
            "attacked": ATTACKED,
            "quantiles_at": list(QUANTILES),
            "depths": result,
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what the article states of two layers and of more."""
        depths = [figures["depths"][str(depth)] for depth in DEPTHS]
        gains = [each["gain"]["value"] for each in depths]
        return {
            "The gradient is the product of the weights of the units that are on.": all(
                value["value"] < 1e-9 for each in depths for value in each["gradient_missed"]
            ),
            "Around most images a net is the linear classifier of its gradient.": all(
                value["value"] < 1e-3 for each in depths for value in each["linear_missed"]
            ),
            "Weight decay makes the gradients smaller, at every depth.": all(
                each["gradient"][each["best"]]["value"] < each["gradient"][0]["value"] for each in depths
            ),
            "Weight decay moves the boundary away from the images, at every depth.": min(gains) > 1,
            "It helps less as depth grows.": gains[0] > gains[1] > gains[2],
            "The deeper the net, the more the linear view overstates the distance.": depths[0]["overstated"][
                "value"
            ]
            < depths[1]["overstated"]["value"]
            < depths[2]["overstated"]["value"],
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


def seen(net: nn.Sequential, x: Tensor) -> Seen:
    """Return the scores and their gradients at ``x`` ``(n, 784)``."""
    at = x.detach().requires_grad_()
    scores = net(at)[:, 0]
    (gradients,) = torch.autograd.grad(scores.sum(), at)
    return Seen(scores.detach(), gradients)


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


def described(net: nn.Sequential, pair: tilting_angle.Pair) -> dict[str, JSON]:
    """Return a net's errors, and the medians and quantiles of the gradients and distances at test images."""
    x, y = torch.from_numpy(pair.test_x), torch.from_numpy(pair.test_y)
    given = seen(net, x)
    sizes = given.gradients.norm(dim=1).clamp_min(1e-12)
    right = torch.nonzero(y * given.scores > 0)[:ATTACKED, 0]
    step = 1e-6 * given.gradients / sizes[:, None]
    risen = net(x + step)[:, 0] - given.scores
    quantiles = torch.tensor([each / 100 for each in QUANTILES], dtype=sizes.dtype)
    trained = torch.from_numpy(pair.y) * net(torch.from_numpy(pair.x))[:, 0]
    return {
        "train_error": float((trained <= 0).double().mean()),
        "test_error": float((y * given.scores <= 0).double().mean()),
        "gradient": float(sizes.median()),
        "distance": float((y * given.scores / sizes).median()),
        "attacked": float(attacked(net, x[right], y[right]).nanmedian()),
        "quantiles": torch.quantile(sizes, quantiles).tolist(),
        "linear_missed": float((risen / (1e-6 * sizes) - 1).abs().median()),
        "gradient_missed": float((by_hand(net, x) - given.gradients).abs().max()),
    }


def _gain(rows: list[dict[str, list[float]]]) -> dict[str, JSON]:
    """Return the decay that moves the boundary farthest at next to no cost in accuracy, and by what factor.

    ``gain`` is of the shortest perturbations found, ``linear_gain`` of y d(x), both over the nets without
    decay; ``overstated``: y d(x) over the perturbations, at that decay.
    """
    errors = [float(np.mean(row["test_error"])) for row in rows]
    fit = [k for k, error in enumerate(errors) if error <= min(errors) + ALLOWED]
    best = max(fit, key=lambda k: float(np.mean(rows[k]["attacked"])))
    gains = {
        name: mean([own / none for own, none in zip(rows[best][key], rows[0][key], strict=True)])
        for name, key in (("gain", "attacked"), ("linear_gain", "distance"))
    }
    over = [d / a for d, a in zip(rows[best]["distance"], rows[best]["attacked"], strict=True)]
    return {"best": best, **gains, "overstated": mean(over)}
