"""What networks learn by heart, and how near the nearest change lies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from errors import BadSetting
from experiments.cache import Store
from experiments.core import run
from experiments.datasets import digit_sets
from experiments.datasets.digit_sets import Digits
from experiments.methods.distortion import distortions
from experiments.methods.perceptron import Perceptron, dropout, judge, wrong
from experiments.zhang2016.fitting import Fit, fit, patterns
from experiments.zhang2016.label_noise import gaussian, random_labels, random_pixels, shuffled_pixels
from experiments.zhang2016.least_norm import descend, kernel_errors, span
from experiments.zhang2016.memorisation import Memorisation
from experiments.zhang2016.memoriser import memorise


@pytest.fixture
def chance():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Return scikit-learn's digits, whatever else there is."""
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    return digit_sets.digits()


def some(digits: Digits, n: int, tests: int = 100) -> Digits:
    return Digits(
        digits.train_x[:n], digits.train_y[:n], digits.test_x[:tests], digits.test_y[:tests], digits.source
    )


@pytest.mark.parametrize("n", [1, 2, 30, 1000])
def test_2n_plus_d_weights_give_any_answers(n):
    rng = np.random.default_rng(n)
    x, y = rng.random((n, 50)), rng.integers(0, 10, n).astype(float)
    net = memorise(x, y, rng)
    assert net.parameters == 2 * n + 50
    slow = [
        sum(w * max(net.direction @ row - b, 0) for w, b in zip(net.weights, net.offsets, strict=True))
        for row in x[:20]
    ]
    assert net(x)[:20] == pytest.approx(slow, abs=1e-6)
    assert np.abs(net(x) - y).max() < 1e-5


def test_two_answers_for_one_picture_are_refused():
    with pytest.raises(BadSetting, match="two that are the same"):
        memorise(np.ones((2, 5)), np.array([0.0, 1.0]), np.random.default_rng(0))


def test_descent_ends_in_the_least_norm_and_keeps_what_it_cannot_change():
    rng = np.random.default_rng(0)
    x, y, start = rng.standard_normal((20, 60)), rng.standard_normal(20), rng.standard_normal(60)
    least = x.T @ np.linalg.solve(x @ x.T, y)
    assert descend(x, y, np.zeros(60)) == pytest.approx(least, abs=1e-8)
    assert descend(x, y, start) == pytest.approx(least + start - span(x, start), abs=1e-8)
    assert x @ span(x, start) == pytest.approx(x @ start)


def test_a_kernel_of_least_norm_is_right_on_what_it_was_given():
    rng = np.random.default_rng(0)
    x, y = rng.random((50, 30)), rng.integers(0, 10, 50)
    assert kernel_errors(x, y, x, y) == 0
    assert kernel_errors(x, y, x, (y + 1) % 10) == 50


def test_a_network_can_be_left_and_entered_at_every_layer(chance):
    net = Perceptron((9, 7, 5, 3), "sigmoid", chance)
    x = torch.rand(4, 1, 3, 3)
    for layer in range(3):
        assert torch.allclose(net.above(net.below(x, layer), layer), net(x))
    assert net.below(x, 1).shape == (4, 7) and torch.equal(net.below(x, 0), x.flatten(1))
    by_hand = torch.sigmoid(x.flatten(1) @ net.weights()[0].T)
    assert torch.allclose(net.below(x, 1), by_hand)
    again = Perceptron((9, 7, 5, 3), "sigmoid", torch.Generator().manual_seed(0))
    assert torch.equal(net(x), again(x))
    squares = sum((weight.detach() ** 2).sum().item() for weight in net.weights())
    assert net.squares().item() == pytest.approx(squares) and len(net.weights()) == 3
    y = net(x).argmax(1)
    assert not wrong(net, x, y).any() and judge(net, x, y)[1] == 1 and judge(net, x, (y + 1) % 3)[1] == 0


def test_dropout_keeps_the_mean(chance):
    dropped = dropout(0.25, chance)(torch.ones(100_000))
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float(dropped.mean()) == pytest.approx(1, abs=0.01)


def test_the_nearest_change_of_a_linear_network_is_the_distance_to_the_plane():
    w, b = torch.linspace(-1, 1, 16), 0.1
    x = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.4

    def net(pictures):
        score = pictures.flatten(1) @ w + b
        return torch.stack([score, -score], 1)

    score = x.flatten(1) @ w + b
    known = score.abs() / w.norm() / math.sqrt(16)
    values = torch.tensor(distortions(net, x, (score < 0).long()))
    assert (values > known * 0.999).all() and (values < known * 1.05).all()

    def stubborn(pictures):
        return net(pictures) * 0 + torch.tensor([1.0, 0.0])

    assert distortions(stubborn, x, torch.zeros(5, dtype=torch.long)) == [math.inf] * 5


def test_conditions_change_what_they_say_and_nothing_else(small, chance):
    half = random_labels(0.5)(small, chance)
    same = float((half.train_y == small.train_y).float().mean())
    assert same == pytest.approx(0.55, abs=0.05) and torch.equal(half.test_y, small.test_y)

    def inside(x):
        return x.flatten(1).sort().values

    for replace, isometric in ((shuffled_pixels, True), (random_pixels, False)):
        other = replace(small, chance)
        assert torch.equal(inside(other.train_x), inside(small.train_x))
        assert torch.equal(inside(other.test_x), inside(small.test_x))
        assert not torch.equal(other.train_x, small.train_x)
        before, after = (
            torch.cdist(d.train_x[:9].flatten(1), d.test_x[:9].flatten(1)) for d in (small, other)
        )
        assert torch.allclose(before, after, atol=1e-4) is isometric
    noise = gaussian(small, chance)
    assert float(noise.train_x.mean()) == pytest.approx(float(small.train_x.mean()), abs=0.01)
    assert float(noise.test_x.std()) == pytest.approx(float(small.train_x.std()), abs=0.01)


def test_random_labels_are_learnt_by_heart_and_teach_nothing(small, chance):
    digits = random_labels(1.0)(some(small, 150), chance)
    net = Perceptron((784, 128, 10), "relu", chance)
    curves = fit(net, digits, Fit(300, least=5), chance)
    passes = len(curves.loss) - 1
    first = curves.fitted()
    assert curves.train[-1] == 1 and first is not None and 0 < first <= passes and 5 <= passes < 300
    assert judge(net, digits.train_x, digits.train_y)[1] == 1 and curves.test[-1] < 0.3
    assert curves.loss[-1] < curves.loss[0] / 3 and patterns(net, digits.train_x) > 100
    assert patterns(net, digits.train_x[:1].repeat(5, 1, 1, 1)) == 1


def test_memorisation_small(small, tmp_path):
    made = Memorisation(n=100, units=32, epochs=60, tests=100, attacked=5, theorem=20)
    figures = run(made, Store(tmp_path)).figures
    assert [net.n for net in figures.theorem] == [10, 20] and figures.parameters == 785 * 32 + 330
    assert all(net.residual < 1e-6 for net in figures.theorem)
    conditions = figures.conditions
    assert conditions["true"].train == 1 and conditions["true"].test.value > 0.5
    assert conditions["random_labels"].test.value < 0.4 and conditions["gaussian"].test.value < 0.4
    assert figures.distortion["true"].n == 5
