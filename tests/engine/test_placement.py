"""Networks on another device: the CPU plays one that computes wrong gradients in some memory layouts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.model_pool import ModelPool
from engine.placement import input_gradient, placed, relative_difference
from errors import ModelFailed
from models.core import Classifier
from tests.support import small_model

CPU = torch.device("cpu")


class WrongBackwards(torch.autograd.Function):
    """Returns its input; its gradient is another."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad.flip(-1)


class Flawed(nn.Module):
    """A network whose gradients are wrong in the memory layouts ``wrong`` once it was moved."""

    def __init__(self, wrong: set[torch.memory_format]) -> None:
        super().__init__()
        self.network = small_model.SmallNet()
        self.wrong, self.moved = wrong, False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = dict(self.named_parameters())["network.body.0.weight"]
        last = weight.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        if self.moved and layout in self.wrong:
            x = WrongBackwards.apply(x)
        logits: torch.Tensor = self.network(x)
        return logits

    def _apply(self, fn, recurse=True):
        self.moved = True
        return super()._apply(fn, recurse)


def flawed(*wrong: torch.memory_format) -> Classifier:
    return Classifier(small_model.card(), Flawed(set(wrong)))


def test_a_sound_network_is_placed_and_answers_as_before():
    model = Classifier(small_model.card(), small_model.SmallNet())
    x = torch.rand(2, 3, small_model.SIZE, small_model.SIZE)
    classes = torch.tensor([1, 4])
    before = input_gradient(model, x, classes)
    assert relative_difference(input_gradient(placed(model, CPU), x, classes), before) < 1e-4


@pytest.mark.parametrize("wrong", [torch.channels_last, torch.contiguous_format], ids=str)
def test_a_layout_with_wrong_gradients_is_not_taken_and_that_is_logged(caplog, wrong):
    model = flawed(wrong)
    weight = dict(placed(model, CPU).named_parameters())["network.network.body.0.weight"]
    assert weight.is_contiguous(memory_format=torch.channels_last) is (wrong is not torch.channels_last)
    assert "has other gradients on cpu" in caplog.text and str(wrong) in caplog.text


def test_a_network_that_is_wrong_in_every_layout_is_refused_with_what_to_do():
    with pytest.raises(ModelFailed, match="FOOLSCOPE_DEVICE=cpu"):
        placed(flawed(torch.channels_last, torch.contiguous_format), CPU)


def test_gradients_that_are_no_numbers_are_wrong():
    nothing = torch.zeros(3)
    assert relative_difference(nothing, nothing) == 0
    assert relative_difference(torch.full((3,), float("nan")), torch.ones(3)) == float("inf")


def test_the_pool_checks_every_device_but_the_cpu(monkeypatch):
    checked: list[str] = []

    def check(model, device):
        checked.append(device.type)
        return model

    def load(name, progress=None):
        return Classifier(small_model.card(name), nn.Identity())

    monkeypatch.setattr("engine.model_pool.placed", check)
    for kind in ("cpu", "mps", "cuda"):
        pool = ModelPool(
            torch.device(kind), lambda name, _: Classifier(small_model.card(name), nn.Identity())
        )
        pool.get("a")
        pool.get("a")
    assert checked == ["mps", "cuda"]
