"""Small networks of every kind that people add, good and bad, with fixed weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from engine.admission.examination import Examination, examine
from models.added.record import CheckResult, Facts

SIDE = 32
STATED = Facts(height=SIDE, mean=(0.5,) * 3, std=(0.25,) * 3)


def body(classes: int = 5, channels: int = 3, **more: Any) -> nn.Sequential:
    """Return a smooth convolutional network for images of any size that gives logits of some size."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layers = [
            nn.Conv2d(channels, 8, 5, 2, bias=False),
            more.get("norm") or nn.Identity(),
            nn.GELU(),
            more.get("middle") or nn.Identity(),
            nn.Conv2d(8, 16, 3, 2),
            nn.Tanh(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(64, classes),
        ]
        network = nn.Sequential(*layers)
        with torch.no_grad():
            head = network[-1]
            assert isinstance(head, nn.Linear)
            head.weight.mul_(12)
    return network


class Then(nn.Module):
    """A network, and a function of what comes out, or goes in."""

    def __init__(
        self,
        network: nn.Module,
        after: Callable[[Any], Any] = lambda y: y,
        before: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        super().__init__()
        self.network, self.after, self.before = network, after, before

    def forward(self, x: Tensor) -> Any:
        """Return whatever the functions make of it."""
        return self.after(self.network(self.before(x)))


def examined(network: nn.Module, facts: Facts = STATED) -> Examination:
    """Return what is found of a network that takes images of `SIDE` pixels."""
    return examine(network.eval(), facts)


def results(examination: Examination, check: str) -> list[CheckResult]:
    """Return the results of one check."""
    return [result for result in examination.results if result.check == check]


def number(result: CheckResult, fact: str) -> float:
    """Return a fact of a result that is a number."""
    value = result.facts[fact]
    assert isinstance(value, (int, float))
    return value


def verdict(examination: Examination, check: str) -> str:
    """Return the verdict of a check that gave one result."""
    (result,) = results(examination, check)
    return result.verdict
