"""What a step costs with the network that opens, beside the class of the package that its release names."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

import models
from bench.figures import Figure, figure
from models import weights

try:
    from efficientnet_lite_pytorch import EfficientNet
except ImportError:  # it is one of requirements-parity.txt
    EfficientNet = None


def step_cost(rounds: int) -> Sequence[Figure]:
    """Measure a step (forward, gradient of the input) of the prepared network against that of the package's
    class with the same weights, one picture, in turns; and how many steps a second the first one takes."""
    model = models.load(models.FIRST)
    x = torch.rand(1, 3, model.card.size, model.card.size, generator=torch.Generator().manual_seed(0))
    peer = _peer(model.card.name) if EfficientNet else None
    ours, theirs = [], []
    for turn in range(rounds + 3):
        spent = (_step(model, x), _step(peer, x) if peer else float("nan"))
        if turn >= 3:  # the first ones warm up
            ours.append(spent[0])
            theirs.append(spent[1])
    rate = figure(
        "first_network_rate", f"{model.card.name}: steps a second, bare", [1 / s for s in ours], "/s",
        "at least 25 /s", lambda v: v >= 25,
    )  # fmt: skip
    if peer is None:
        return [rate]
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return [
        rate,
        figure(
            "first_network", f"{model.card.name}: a step / one of its package's class", ratios, "",
            "at most 0.65", lambda v: v <= 0.65, milliseconds=[round(1000 * s, 1) for s in ours],
        ),
    ]  # fmt: skip


def _peer(name: str) -> nn.Module:
    network: nn.Module = EfficientNet.from_name(name.replace("_", "-"))
    network.load_state_dict(weights.read(weights.fetch(models.card(name))))
    return network.eval()


def _step(network: nn.Module, x: Tensor) -> float:
    asked = x.clone().requires_grad_(True)
    begun = time.perf_counter()
    loss = functional.cross_entropy(network(asked), torch.tensor([23]))
    torch.autograd.grad(loss, asked)
    return time.perf_counter() - begun
