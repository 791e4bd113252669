"""Attacking a network of one's own from Python."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from attacks.contract import Stop
from engine import AttackStep, attack
from errors import BadSetting, BadTarget, UnknownName
from settings import ROOT


@pytest.fixture
def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = (
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(400, 5),
        )
        return nn.Sequential(*layers)


IMAGES = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))


def test_every_step_is_what_the_network_says_of_its_images(network: nn.Sequential) -> None:
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])
    asked = attack(
        network, IMAGES, "pgd", target=2, mean=mean.tolist(), std=std.tolist(),
        epsilon=0.1, step_size=0.02, steps=12,
    )  # fmt: skip
    steps = list(asked)
    assert [step.index for step in steps] == list(range(13))
    assert torch.equal(steps[0].images, IMAGES) and not steps[0].linf.any()
    last = steps[-1]
    assert isinstance(last, AttackStep) and float(last.linf.max()) <= 0.1 + 1e-6
    network.eval()
    own = network((last.images - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    assert torch.allclose(own, last.logits, atol=1e-5)
    assert torch.equal(last.success, last.predictions == 2) and last.success.all()
    assert (last.probabilities[:, 2] > steps[0].probabilities[:, 2]).all()
    assert torch.allclose(last.l2, (last.images - IMAGES).flatten(1).norm(dim=1))


def test_the_network_is_left_as_it_was(network: nn.Sequential) -> None:
    network.train()
    network[0].requires_grad_(False)
    before = [parameter.requires_grad for parameter in network.parameters()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    for step in attack(network, IMAGES, "fgsm"):
        assert not network.training and step.logits.shape == (3, 5)
    assert network.training and all(module.training for module in network.modules())
    assert [parameter.requires_grad for parameter in network.parameters()] == before
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_it_leaves_the_class_that_the_network_or_the_person_says(network: nn.Sequential) -> None:
    said = network.eval()(IMAGES).argmax(1)
    *_, last = attack(network, IMAGES, "bim", epsilon=0.2, step_size=0.05, steps=20, stop=Stop("success"))
    assert last.index < 20 and (last.predictions != said).all()
    first, *_ = attack(network, IMAGES, "fgsm", labels=(said + 1) % 5)
    assert first.success.all()


def test_what_cannot_be_is_refused_in_a_sentence(network: nn.Sequential) -> None:
    with pytest.raises(BadSetting, match="in \\[0, 1\\]"):
        next(attack(network, 255 * IMAGES))
    with pytest.raises(BadSetting, match="std above 0"):
        next(attack(network, IMAGES, std=[1, 1, 0]))
    for target in (5, -1, [1, 2]):
        with pytest.raises(BadTarget, match="one class for each of 3 images"):
            next(attack(network, IMAGES, target=target))
    with pytest.raises(UnknownName, match="attack"):
        next(attack(network, IMAGES, "pgdd"))
    with pytest.raises(BadSetting):
        next(attack(network, IMAGES, "pgd", epsilon=-1))


def test_the_package_does_not_bring_torch_before_it_is_asked() -> None:
    code = (
        "import sys, engine; assert 'torch' not in sys.modules; engine.attack; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=240)
