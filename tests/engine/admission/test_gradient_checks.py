"""The gradient against differences: right, stopped, flat, and not the network's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.admission import gradients
from errors import ModelFailed
from tests.support.odd_networks import Then, body, examined, number, results


class StraightThrough(torch.autograd.Function):
    """Rounds, and lets the gradient through."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return (x * 4).round() / 4

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient


class NoBackward(torch.autograd.Function):
    """Has no gradient."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        raise NotImplementedError("no way back")


class Single(nn.Module):
    """Knows float32 alone."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            raise TypeError("float32 alone")
        return x


def stopped(y: Tensor) -> Tensor:
    return y.detach() + 0 * y


def gradient(network: nn.Module) -> tuple[str, str]:
    (result,) = results(examined(network), "gradient")
    return result.verdict, str(result)


def test_a_smooth_network_agrees_with_differences():
    verdict, words = gradient(body())
    assert verdict == "fine" and "in 64 bits" in words
    (result,) = results(examined(body()), "gradient")
    assert 0 < number(result, "slope") == pytest.approx(number(result, "difference"), rel=1e-3)


def test_where_double_precision_fails_single_is_compared():
    verdict, words = gradient(Then(body(), before=Single()))
    assert verdict == "fine" and "in 32 bits" in words


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (lambda: Then(body(), stopped), "the gradient is zero, but differences along"),
        (lambda: Then(body(), lambda y: y.detach()), "the gradient is zero, but differences along"),
        (lambda: Then(body(), before=NoBackward.apply), "has no gradient at its input (no way back)"),
        (lambda: Then(body(), before=lambda x: (8 * x).round() / 8), "so are differences along"),
        (lambda: Then(body(), before=StraightThrough.apply), "not the network's slope"),
        (lambda: Then(body(), lambda y: y * y.detach()), "not the network's slope"),
    ],
)
def test_gradients_that_cannot_be_followed_are_noted(network, words):
    verdict, sentence = gradient(network())
    assert verdict == "note" and words in sentence


def test_the_device_is_compared_where_there_is_another(monkeypatch):
    (result,) = results(examined(body()), "device")
    assert result.verdict == "fine" and "no other device" in str(result)
    asked: list[torch.device] = []

    def other(model: nn.Module, device: torch.device) -> nn.Module:
        asked.append(device)
        if len(asked) > 1:
            raise ModelFailed("other gradients")
        return model

    monkeypatch.setattr(gradients, "pick_device", lambda: torch.device("meta"))
    monkeypatch.setattr(gradients, "placed", other)
    assert results(examined(body()), "device")[0].verdict == "fine"
    assert "cannot be run on meta (other gradients)" in str(results(examined(body()), "device")[0])
