"""Training the nets of 1312.6199, tables 1 to 4: Adam while much is left to learn, then L-BFGS over the
whole training set at each step.

A training is cut into rounds, after each of which it can be put down and taken up again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.architectures.perceptrons import NETWORKS
from models.train.digits import digit_answers

MEMORY = 20
"""From how many of its last steps L-BFGS knows the curvature."""
Objective = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Sparse:
    """An autoencoder's settings: the decay of its weights (times half the sum of squares), how often a
    unit shall be active, and how much that weighs."""

    decay: float = 1e-4
    activity: float = 0.05
    weight: float = 0.1


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    ``decay``: for each layer with weights, from the pixels to the logits. ``half``: 0 for the whole
    training set, 1 or 2 for one half. ``rounds``: how many there are in all; the first ``stirred`` of
    them are ``epochs`` of Adam each, every other is ``steps`` of L-BFGS. A network with hidden layers is
    done once it is wrong about nothing that it learns. ``sparse``: the first layer is the encoder of a
    sparse autoencoder, trained in the stirred rounds without labels, and stays as it is.
    """

    decay: tuple[float, ...]
    half: int = 0
    rounds: int = 3
    stirred: int = 0
    epochs: int = 6
    rate: float = 3e-3
    steps: int = 40
    sparse: Sparse | None = None


HIDDEN = Recipe((1e-5, 1e-5, 1e-6), rounds=12, stirred=4)
FIRST, SECOND = (Recipe(HIDDEN.decay, half, HIDDEN.rounds, HIDDEN.stirred, 12) for half in (1, 2))
RECIPES = {
    "fc10_1e-4": Recipe((1e-4,)),
    "fc10_1e-2": Recipe((1e-2,)),
    "fc10_1": Recipe((1.0,)),
    "fc100_100": HIDDEN,
    "fc200_200": HIDDEN,
    "conv": Recipe((1e-5, 1e-5, 1e-5), rounds=2, stirred=2, epochs=2),
    "fc100_p1": FIRST,
    "fc123_p1": FIRST,
    "fc100_p2": SECOND,
    "ae400": Recipe((1e-6, 1e-6), rounds=8, stirred=1, epochs=18, sparse=Sparse()),
}


def part(half: int, n: int) -> slice:
    """Return which of ``n`` training pictures belong to a half: 1 or 2, or all of them for 0."""
    return slice(0, n) if half == 0 else slice(0, n // 2) if half == 1 else slice(n // 2, n)


def layers(network: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """Return the layers of ``network`` that have weights, from the pixels to the logits."""
    return [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]


def penalty(
    weighted: list[nn.Linear | nn.Conv2d], decay: tuple[float, ...], as_printed: bool = False
) -> Tensor:
    """Return the sum over layers of ``decay / 2 * (sum(w ** 2) + sum(b ** 2))``.

    ``as_printed``: of ``decay * sum(w ** 2) / k`` instead, k the number of units of the layer, as the
    paper defines it (1312.6199, 4.2). With that, the linear nets are far from the paper's errors; with
    half the sum of squares, the biases' among them, they have them to a tenth of a point.
    """
    terms = []
    for layer, rate in zip(weighted, decay, strict=True):
        squares, bias = layer.weight.pow(2).sum(), cast(Tensor, layer.bias)
        terms.append(rate * squares / len(bias) if as_printed else rate / 2 * (squares + bias.pow(2).sum()))
    return torch.stack(terms).sum()


def fresh(name: str, seed: int) -> nn.Module:
    """Return the network ``name`` with initial weights that follow from ``seed``; a linear one has zeros."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = NETWORKS[name]()
    if len(layers(network)) == 1:
        for parameter in network.parameters():
            nn.init.zeros_(parameter)
    return network


@torch.no_grad()
def error(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the share of pictures ``x`` ``(n, 1, 28, 28)`` that ``network`` gets wrong, in [0, 1]."""
    return float((digit_answers(network, x).argmax(1) != y).float().mean())


def train_round(name: str, network: nn.Module, x: Tensor, y: Tensor, turn: int, seed: int) -> list[float]:
    """Carry out round ``turn`` (from 0) of the recipe ``name`` on ``network``; return what it minimised,
    epoch by epoch or step by step: nothing when there is nothing left to learn.

    ``x`` ``(n, 1, 28, 28)`` in [0, 1], ``y`` ``(n,)``: the whole training set.
    """
    recipe, rows = RECIPES[name], part(RECIPES[name].half, len(y))
    x, y, learning = x[rows], y[rows], layers(network)
    if recipe.sparse:
        return _round_on_top(network, x, y, turn, seed)

    def objective(pictures: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(network(pictures), labels) + penalty(learning, recipe.decay)

    if turn < recipe.stirred:
        return stir(list(network.parameters()), objective, x, y, recipe, turn, seed)
    if len(learning) > 1 and turn > recipe.stirred and error(network, x, y) == 0:
        return []
    return descend(list(network.parameters()), lambda: objective(x, y), recipe.steps)


def _round_on_top(network: nn.Module, x: Tensor, y: Tensor, turn: int, seed: int) -> list[float]:
    """Carry out a round for the network that is a sparse encoder with a linear classifier on top."""
    recipe, (encoder, top) = RECIPES["ae400"], layers(network)
    assert recipe.sparse and isinstance(encoder, nn.Linear)
    if turn < recipe.stirred:
        return _encode(encoder, x.flatten(1), recipe, recipe.sparse, turn, seed)
    with torch.no_grad():
        code = torch.sigmoid(encoder(x.flatten(1)))
    return descend(
        list(top.parameters()),
        lambda: functional.cross_entropy(top(code), y) + penalty([top], recipe.decay[1:]),
        recipe.steps,
    )


def descend(variables: list[nn.Parameter], objective: Callable[[], Tensor], steps: int) -> list[float]:
    """Minimise ``objective`` over ``variables`` in place with so many steps of L-BFGS; return the losses
    that it met, in order, those of the line searches included."""
    optimiser = torch.optim.LBFGS(
        variables,
        max_iter=steps,
        max_eval=2 * steps,
        history_size=MEMORY,
        tolerance_grad=1e-7,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )
    losses: list[float] = []

    def ask() -> float:
        optimiser.zero_grad()
        loss = objective()
        loss.backward()
        losses.append(float(loss.detach()))
        return losses[-1]

    optimiser.step(ask)
    return losses


def stir(
    variables: Sequence[nn.Parameter],
    objective: Objective,
    x: Tensor,
    y: Tensor,
    recipe: Recipe,
    turn: int,
    seed: int,
) -> list[float]:
    """Take ``recipe.epochs`` of Adam in batches of 250; return the mean loss of each.

    The rate falls like a cosine over all stirred rounds, of which this is ``turn``.
    """
    chance = torch.Generator().manual_seed(seed * 1000 + turn + 1)
    optimiser, losses = torch.optim.Adam(variables, betas=(0.9, 0.99)), []
    for epoch in range(recipe.epochs):
        done = (turn + epoch / recipe.epochs) / recipe.stirred
        optimiser.param_groups[0]["lr"] = recipe.rate * (1 + math.cos(math.pi * done)) / 2
        met = []
        for rows in torch.randperm(len(y), generator=chance).split(250):
            optimiser.zero_grad()
            loss = objective(x[rows], y[rows])
            loss.backward()
            optimiser.step()
            met.append(float(loss.detach()))
        losses.append(sum(met) / len(met))
    return losses


def _encode(
    encoder: nn.Linear, x: Tensor, recipe: Recipe, sparse: Sparse, turn: int, seed: int
) -> list[float]:
    """Fit ``encoder`` so that a decoder finds ``x`` ``(n, 784)`` again from units that are seldom active.

    The decoder begins as the encoder's transpose in each round, and is thrown away.
    """
    decoder = nn.Parameter(encoder.weight.detach().clone())
    bias = nn.Parameter(x.mean(0).clamp(1e-3, 1 - 1e-3).logit())

    def objective(pictures: Tensor, _: Tensor) -> Tensor:
        code = torch.sigmoid(encoder(pictures))
        decoded = torch.sigmoid(code @ decoder + bias)
        size = encoder.weight.pow(2).sum() + decoder.pow(2).sum()
        fit = (decoded - pictures).pow(2).sum(1).mean() / 2
        return fit + sparse.decay / 2 * size + sparse.weight * divergence(code.mean(0), sparse.activity)

    variables = [*encoder.parameters(), decoder, bias]
    return stir(variables, objective, x, x[:, 0], recipe, turn, seed)


def divergence(activity: Tensor, wanted: float) -> Tensor:
    """Return the sum over units of KL(wanted | activity), of two coins: 0 where they are alike."""
    here = activity.clamp(1e-6, 1 - 1e-6)
    rare, often = wanted * (wanted / here).log(), (1 - wanted) * ((1 - wanted) / (1 - here)).log()
    return (rare + often).sum()
