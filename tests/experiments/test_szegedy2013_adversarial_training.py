"""Pools of adversarial examples, and what training with them is said to bring."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from engine.intervals import Estimate
from experiments.cache import Store
from experiments.core import run
from experiments.datasets import digit_sets
from experiments.methods.perceptron import Perceptron, judge
from experiments.szegedy2013.adversarial_pools import Pool, Trainer, Training, ascend, shift, spread, train
from experiments.szegedy2013.adversarial_training import (
    POOLED,
    AdversarialTraining,
    Gain,
    TrainedNetwork,
    _above_zero,
    difference,
)


@pytest.fixture
def chance():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Return scikit-learn's digits, whatever else there is."""
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    return digit_sets.digits()


def test_a_pool_fills_up_and_then_replaces_at_random(chance):
    pool = Pool(100, 2, chance)
    pool.put(torch.zeros(60, 2), torch.zeros(60, dtype=torch.long))
    assert pool.filled == 60 and not pool.draw(500)[0].any()
    pool.put(torch.ones(50, 2), torch.ones(50, dtype=torch.long))
    assert pool.filled == 100 and 40 <= int(pool.y.sum()) <= 50
    assert torch.equal(pool.h[:, 0].long(), pool.y)
    h, y = pool.draw(400)
    assert torch.equal(h[:, 0].long(), y) and 0.2 < float(y.float().mean()) < 0.8


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_an_example_lies_in_the_ball_and_is_worse_than_chance(chance, layer):
    net = Perceptron((16, 12, 8, 4), "sigmoid", chance)
    h = net.below(torch.rand(50, 16, generator=chance), layer).detach()
    y = net.above(h, layer).argmax(1)
    example = ascend(net, h, y, layer, radius=0.3, steps=3)
    noise = torch.randn(h.shape, generator=chance)
    other = (h + 0.3 * noise / noise.norm(dim=1, keepdim=True)).clamp(0, 1)
    losses = [functional.cross_entropy(net.above(at, layer), y).detach() for at in (h, other, example)]
    assert float(losses[2]) > max(float(losses[0]), float(losses[1])) + 1e-3
    assert (example - h).norm(dim=1).max() <= 0.3 + 1e-5 and example.min() >= 0 and example.max() <= 1


def test_a_step_mixes_pictures_with_the_pool_whose_turn_it_is(chance):
    net = Perceptron((16, 12, 8, 4), "sigmoid", chance)
    trainer = Trainer(net, Training(1, (1, 2), batch=10, fresh=4), chance, 10)
    x, y = torch.rand(10, 16, generator=chance), torch.randint(4, (10,), generator=chance)
    trainer.measure(x)
    before = [weight.detach().clone() for weight in net.weights()]
    trainer.step(x, y)
    assert [pool.filled for pool in trainer.pools.values()] == [4, 0]
    assert not any(torch.equal(weight, old) for weight, old in zip(net.weights(), before, strict=True))
    trainer.step(x, y)
    assert [pool.filled for pool in trainer.pools.values()] == [4, 4]
    assert torch.equal(trainer.pools[2].y[:4], y[:4]) and trainer.turn == 2


def test_weight_decay_is_that_of_the_sum_of_squares(chance):
    net = Perceptron((16, 4), "sigmoid", chance)
    trainer = Trainer(net, Training(1, decay=0.5), chance, 10)
    assert [group["weight_decay"] for group in trainer.optimiser.param_groups] == [1.0, 0]
    (weight,) = net.weights()
    (slope,) = torch.autograd.grad(0.5 * net.squares(), weight)
    assert torch.allclose(slope, 1.0 * weight)


def test_pools_are_used_in_turn_and_training_learns(small, chance):
    net, losses = Perceptron((784, 30, 20, 10), "sigmoid", chance), []
    x, y = small.train_x[:500], small.train_y[:500]
    trainer = train(
        net, x, y, Training(25, (0, 2), rate=1e-2), chance, lambda: losses.append(judge(net, x, y)[0])
    )
    assert trainer.turn == 125 and losses[-1] < losses[0] / 2 and judge(net, x, y)[1] > 0.8
    assert {layer: pool.filled for layer, pool in trainer.pools.items()} == {0: 63 * 20, 2: 62 * 20}
    assert trainer.radius[0] == pytest.approx(0.1 * spread(x.flatten(1)), rel=1e-3)


def test_spread_is_the_distance_of_two_rows(chance):
    h = torch.rand(30, 5, generator=chance)
    assert spread(h) == pytest.approx(float((torch.cdist(h, h) ** 2).mean()) ** 0.5, rel=1e-4)


def test_pictures_are_moved_whole(chance):
    x = torch.zeros(200, 1, 7, 7)
    x[:, 0, 3, 3] = 1
    moved = shift(x, 2, chance)
    places = {tuple(place[2:].tolist()) for place in moved.nonzero()}
    assert moved.shape == x.shape and (moved.sum((1, 2, 3)) == 1).all()
    assert places == {(row, column) for row in range(1, 6) for column in range(1, 6)}
    corner = torch.arange(4.0).view(1, 1, 2, 2)
    moves = {tuple(shift(corner, 1, chance).flatten().tolist()) for _ in range(200)}
    assert {(0, 1, 2, 3), (3, 0, 0, 0), (0, 0, 0, 0)} <= moves and len(moves) == 9


def network(*wrong: int) -> TrainedNetwork:
    return TrainedNetwork([], 0.0, list(wrong), 100, [], {}, [])


def test_a_difference_is_the_mean_over_digits_and_networks():
    base = [network(0, 1, 2), network(0, 1)]
    gain = difference(base, [network(0), network(1, 5)])
    assert gain.value == pytest.approx(1.0) == gain.over_digits.value
    by_digit = np.zeros(100)
    by_digit[[0, 1, 2, 5]] = [50, 50, 50, -50]
    assert gain.over_digits.high is not None
    assert gain.over_digits.high - 1 == pytest.approx(1.96 * by_digit.std(ddof=1) / 10)
    assert gain.low == pytest.approx(1 - 12.706 * math.sqrt(2) / math.sqrt(2), abs=0.01)
    alone = difference(base[:1], [network()])
    assert alone.value == 3 and not _above_zero(alone)
    sure = Estimate(0.2, 0.1, 0.3, 100)
    assert _above_zero(Gain(0.2, 0.1, 0.3, 3, sure)) and not _above_zero(Gain(0.2, -0.1, 0.3, 3, sure))


def test_adversarial_training_small(small, tmp_path):
    made = AdversarialTraining(n=200, seeds=1, epochs=2, attacked=5)
    result = run(made, Store(tmp_path))
    methods = result.figures.methods
    assert run(made, Store(tmp_path)) == result and result.data == digit_sets.SMALL
    assert all(len(method.curve) == 2 and method.tests == 400 for method in methods.values())
    assert methods["decay"].less_than_decay.value == 0
    assert methods["decay"].distortion_over_decay.value == 1
    assert all(methods[name].radius.keys() == {str(k) for k in methods[name].layers} for name in POOLED)
    assert len(methods["input"].examples) == 8 and not methods["hidden"].examples
    assert not result.claims["With dropout a network errs less than with weight decay alone."]
