"""Norms, gradients and probabilities against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attacks.contract import Criterion, Evaluation, Query, answer, walk
from attacks.toolkit import norms
from attacks.toolkit.norms import Norm
from attacks.towards import TowardsClass, objective
from errors import UnknownName
from tests.support.attack_contract import briefly, pictures, smooth_net

pytestmark = pytest.mark.usefixtures("one_thread")
BALLS = [norms.LINF, norms.L2, norms.L1]
SHAPES = st.tuples(st.integers(1, 3), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9))
SEEDS = st.integers(0, 2**31)
EPSILONS = st.one_of(st.just(0.0), st.floats(1e-4, 1), st.sampled_from([8 / 255, 0.01 / 255, 3.0]))


def noise(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("norm", BALLS, ids=lambda norm: norm.name)
@briefly
@given(shape=SHAPES, seed=SEEDS, epsilon=EPSILONS, spread=st.sampled_from([1e-3, 0.1, 10.0]))
def test_projection(norm: Norm, shape: tuple[int, ...], seed: int, epsilon: float, spread: float) -> None:
    """Into the ball to 1e-6, nowhere else twice, never out of the box, and not at all from inside."""
    x = pictures(shape, seed)
    adv = (x + spread * noise(shape, seed)).clamp(0, 1)
    near = norm.project(x, adv, epsilon)
    assert norm.size(near.double() - x.double()).max() <= epsilon + 1e-6
    assert near.min() >= 0 and near.max() <= 1
    torch.testing.assert_close(norm.project(x, near, epsilon), near, atol=2e-7, rtol=0)
    inside = norm.size(adv - x) <= epsilon
    torch.testing.assert_close(near[inside], adv[inside], atol=2e-7, rtol=0)


@briefly
@given(shape=SHAPES, seed=SEEDS, epsilon=EPSILONS)
def test_projection_is_the_nearest_point(shape: tuple[int, ...], seed: int, epsilon: float) -> None:
    """No sampled point of the ball is nearer to the picture than its projection (l2)."""
    x = pictures(shape, seed).double()
    adv = x + noise(shape, seed).double()
    rng = torch.Generator().manual_seed(seed)
    gap = norms.l2(adv - norms.L2.project(x, adv, epsilon))
    for _ in range(5):
        assert (gap <= norms.l2(adv - norms.L2.sample(x, epsilon, rng)) + 1e-9).all()


def test_budget_on_a_large_picture() -> None:
    """150,000 values of float32: the sum of their squares still keeps the budget."""
    x = pictures((2, 3, 224, 224))
    adv = (x + 0.1 * noise(x.shape, 0)).clamp(0, 1)
    for epsilon in (0.01, 0.5, 1.0, 3.0, 10.0):
        size = norms.l2(norms.L2.project(x, adv, epsilon).double() - x.double())
        assert (size - epsilon).abs().max() < 1e-6 * max(1.0, epsilon)


@pytest.mark.parametrize("norm", BALLS, ids=lambda norm: norm.name)
@briefly
@given(shape=SHAPES, seed=SEEDS, epsilon=EPSILONS)
def test_samples_lie_in_the_ball(norm: Norm, shape: tuple[int, ...], seed: int, epsilon: float) -> None:
    x = pictures(shape, seed)
    drawn = norm.sample(x, epsilon, torch.Generator().manual_seed(seed))
    assert norm.size(drawn.double() - x.double()).max() <= epsilon + 1e-6
    assert torch.equal(drawn, norm.sample(x, epsilon, torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("norm", BALLS, ids=lambda norm: norm.name)
def test_samples_fill_the_ball_evenly(norm: Norm) -> None:
    """A ball of half the size holds 2^-d of the samples (d = 3): 1/8."""
    x = torch.zeros(20_000, 3, 1, 1)
    size = norm.size(norm.sample(x, 0.4, torch.Generator().manual_seed(0)))
    assert abs((size < 0.2).float().mean().item() - 1 / 8) < 0.01
    assert size.max() > 0.39


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e-12, 1.0, 1e12, 1e30])
def test_steepest_direction(scale: float) -> None:
    """Size 1 and the dual norm as its slope, however small or large the gradient; zero stays zero."""
    grad = noise((3, 2, 5, 5), 0) * scale
    grad[1] = 0
    for norm, dual in ((norms.LINF, 1), (norms.L2, 2), (norms.L1, float("inf"))):
        step = norm.steepest(grad)
        assert torch.equal(step[1], torch.zeros_like(step[1]))
        torch.testing.assert_close(norm.size(step)[[0, 2]], torch.ones(2))
        slope = (step.double() * grad.double()).flatten(1).sum(1)
        torch.testing.assert_close(slope, grad.double().flatten(1).norm(dual, dim=1), rtol=1e-5, atol=0)


@briefly
@given(shape=SHAPES, seed=SEEDS)
def test_sizes_are_numpys(shape: tuple[int, ...], seed: int) -> None:
    delta = noise(shape, seed) * (noise(shape, seed + 1) > 0)
    flat = delta.flatten(1).double().numpy()
    for name, order in (("linf", np.inf), ("l2", 2), ("l1", 1), ("l0", 0)):
        expected = np.array([np.linalg.norm(row, order) for row in flat])
        np.testing.assert_allclose(norms.SIZES[name](delta).numpy(), expected, rtol=1e-5)


def test_an_unknown_norm_is_refused() -> None:
    assert [norms.get(norm.name) for norm in BALLS] == BALLS
    with pytest.raises(UnknownName, match="l2"):
        norms.get("l7")


OBJECTIVES = ["criterion", "log-probability", "logit", "probability"]


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("ascend", OBJECTIVES)
def test_gradients_are_finite_differences(ascend: str, targeted: bool) -> None:
    """In float64, of the value that is reported; "probability" gives its gradient divided by it."""
    net, x = smooth_net(3, 8).double(), pictures((2, 3, 8, 8)).double()
    criterion = Criterion(torch.tensor([1, 3]), targeted)

    def value(logits: Tensor) -> Tensor:
        return criterion.loss(logits) if ascend == "criterion" else objective(ascend, criterion, logits)

    reply = answer(net, Query(x, value))
    assert reply.loss is not None
    scale = reply.loss.abs() if ascend == "probability" else torch.ones(2)
    for seed in range(4):
        way = noise((2, 3, 8, 8), seed).double()
        ahead, behind = (value(net(x + h * way)) for h in (1e-5, -1e-5))
        slope = (reply.gradient * way).flatten(1).sum(1) * scale
        torch.testing.assert_close(slope, (ahead - behind) / 2e-5, rtol=1e-6, atol=1e-9)


def test_values_of_the_criterion() -> None:
    """On logits of which the answers are known."""
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]))
    away, to = (Criterion(torch.tensor([0, 1]), targeted) for targeted in (False, True))
    torch.testing.assert_close(away.loss(logits).exp(), torch.tensor([0.7, 0.3]))
    torch.testing.assert_close((-to.loss(logits)).exp(), torch.tensor([0.7, 0.3]))
    assert away.met(logits).tolist() == [False, True] and to.met(logits).tolist() == [True, False]
    torch.testing.assert_close(to.margin(logits), -away.margin(logits))
    torch.testing.assert_close(to.margin(logits).exp(), torch.tensor([3.5, 0.5]))
    torch.testing.assert_close(away.success_probability(logits), torch.tensor([0.3, 0.7]))
    negative = Criterion(torch.tensor([1]), True).margin(torch.tensor([[-9.0, -5.0, -7.0]]))
    assert negative.item() == 2


@pytest.mark.parametrize("ascend", ["log-probability", "probability"])
def test_a_hopeless_target_still_has_a_direction(ascend: str) -> None:
    """P = 0 in float32 (logits 300 apart): both ways of climbing move every pixel, and alike."""
    template = noise((1, 12), 0)

    def net(x: Tensor) -> Tensor:
        score = (x.flatten(1) * template).sum(1)
        return torch.stack([300 + 0 * score, score], 1)

    x = pictures((1, 3, 2, 2)) * 0.2 + 0.4
    criterion = Criterion(torch.tensor([1]), True)
    attack = TowardsClass(ascend=ascend, step_size=0.01, steps=5)
    *_, last = walk(attack.search(x, criterion, torch.Generator()), net, criterion)
    torch.testing.assert_close(last.x, x + 0.05 * template.sign().view_as(x))


def test_without_clipping_pixels_leave_the_box_as_in_the_article() -> None:
    """Nine steps of 0.1 grey levels from black: every value is at most 0.9 levels from 0, either way."""
    net, x = smooth_net(3, 8), torch.zeros(1, 3, 8, 8)
    criterion = Criterion(torch.tensor([2]), True)
    ends = []
    for clip in (False, True):
        attack = TowardsClass(step_size=0.1 / 255, steps=9, clip=clip)
        *_, last = walk(attack.search(x, criterion, torch.Generator()), net, criterion)
        ends.append(last)
    free, kept = (step.x * 255 for step in ends)
    torch.testing.assert_close(free.min().item(), -0.9, atol=1e-4, rtol=0)
    torch.testing.assert_close(free.max().item(), 0.9, atol=1e-4, rtol=0)
    assert kept.min() == 0 and kept.max() > 0.5
    gains = [criterion.success_probability(step.evaluation.logits).item() for step in ends]
    assert gains[0] > gains[1] > criterion.success_probability(net(x)).item()


def test_a_gradient_that_was_not_asked_for_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="Expected a gradient"):
        _ = Evaluation(torch.zeros(1, 2), None, None).gradient
