"""The norm of w as the scale of a loss, and the gradients of deeper nets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from errors import BadSetting
from experiments.cache import Store
from experiments.core import run
from experiments.tanay2018 import depth, losses, tilting_angle
from experiments.toolkit.packing import unpack


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    tilting_angle.pair.cache_clear()
    yield Store(tmp_path / "store")
    tilting_angle.pair.cache_clear()


def test_losses_of_three_distances_by_hand():
    distances = np.array([2.0, 0.25, -1.0])
    assert losses.risk("zero_one", 7.0, distances) == pytest.approx(1 / 3)
    assert losses.risk("hinge", 2.0, distances) == pytest.approx((0 + 0.5 + 3) / 3)
    expected = np.log1p(np.exp([-2.0, -0.25, 1.0])).mean()
    assert losses.risk("softplus", 1.0, distances) == pytest.approx(expected)
    d_adv, d_err = 1.25 / 3, 1 / 3
    for name in losses.SMOOTH:
        alpha, beta = losses.LOSSES[name].alpha, losses.LOSSES[name].beta
        assert losses.risk(name, 1e5, distances) / 1e5 == pytest.approx(d_err, rel=1e-4)
        assert (alpha - losses.risk(name, 1e-5, distances)) / beta / 1e-5 == pytest.approx(d_adv, rel=1e-4)


def test_both_regimes_on_small_digits(small):
    made = losses.Losses(first=3, second=8, n=100)
    result = run(made, small)
    figures = result.figures
    by_norm = [text for text in result.claims if "d_err" not in text]
    assert len(by_norm) == 5 and all(result.claims[text] for text in by_norm), result.claims
    assert (unpack(figures.histogram).sum(1) == 100).all()
    figures.small["softplus"][0] = 1.5
    assert sum(made.claims(figures).values()) == sum(result.claims.values()) - 1


def test_a_gradient_by_hand_is_the_gradient():
    rng = torch.Generator().manual_seed(3)
    x = torch.rand(5, 784, generator=rng).double()
    for layers in (2, 4, 6):
        net = depth.network(layers, rng).requires_grad_(False).double()
        assert sum(isinstance(each, nn.Linear) for each in net) == layers
        assert torch.allclose(depth.by_hand(net, x), depth.scores_and_gradients(net, x).gradients, atol=1e-12)
        nudged = x.clone()
        nudged[:, 300] += 1e-7
        slope = (net(nudged) - net(x))[:, 0] / 1e-7
        assert torch.allclose(slope, depth.scores_and_gradients(net, x).gradients[:, 300], atol=1e-5)


def test_the_attack_finds_the_boundary_of_a_linear_net():
    rng = torch.Generator().manual_seed(0)
    layer = nn.Linear(784, 1).double()
    nn.init.normal_(layer.weight, generator=rng)
    net = nn.Sequential(layer).requires_grad_(False)
    x = 0.5 + 0.1 * torch.rand(6, 784, generator=rng).double()
    layer.bias.copy_(-net(x).median())
    score = net(x)[:, 0]
    expected = score.abs() / layer.weight.norm()
    found = depth.attacked(net, x, torch.where(score > 0, 1.0, -1.0))
    assert torch.allclose(found, expected, rtol=0.1, atol=0.02) and (found >= expected * (1 - 1e-6)).all()


def test_training_learns_and_decay_shrinks_the_gradient(small):
    pair = tilting_angle.pair(3, 8, 100)
    nets = []
    for decay in (0.0, 0.1):
        rng = torch.Generator().manual_seed(0)
        nets.append(depth.described(depth.train(depth.network(2, rng), pair, decay, 15, rng), pair))
    assert max(net.test_error for net in nets) < 0.15
    assert nets[1].gradient < nets[0].gradient and nets[1].distance > nets[0].distance
    assert max(net.gradient_missed for net in nets) < 1e-9


def test_the_gain_is_of_an_accurate_net():
    def nets(error, distance):
        return depth.Nets(
            train_error=[],
            test_error=[error] * 2,
            gradient=[],
            distance=[distance] * 2,
            attacked=[distance / 2] * 2,
            quantiles=[],
            linear_missed=[],
            gradient_missed=[],
        )

    gain = depth._gain([nets(0.02, 1.0), nets(0.025, 1.5), nets(0.3, 9.0)])
    assert gain.best == 1 and gain.gain.value == gain.linear_gain.value == 1.5
    assert gain.overstated.value == 2


@pytest.mark.parametrize("kind", [losses.Losses, depth.Depth])
def test_one_digit_is_not_a_pair(kind):
    with pytest.raises(BadSetting, match="two different digits"):
        kind(first=4, second=4)
