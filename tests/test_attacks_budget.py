"""Attacks that keep a budget: the best there is on linear networks, the papers' recurrences on others."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from attacks import norms
from attacks.bim import BIM
from attacks.core import Attack, Criterion, Step, setting, walk
from attacks.pgd import PGD
from tests import attack_contract as contract
from tests.attack_contract import briefly, pictures
from tests.attack_contract import one_thread as one_thread
from tests.test_attacks_optimum import SHAPES, Linear, inner
from tests.test_attacks_optimum import aim as sides
from tests.test_attacks_parity import aim
from tests.test_attacks_parity import net as net
from tests.test_attacks_parity import x as x

pytestmark = pytest.mark.usefixtures("one_thread")


def run(attack: Attack, net: nn.Module, x: Tensor, criterion: Criterion, seed: int = 0) -> list[Step]:
    return list(walk(attack.search(x, criterion, torch.Generator().manual_seed(seed)), net, criterion))


def margins(net: nn.Module, x: Tensor, criterion: Criterion) -> Tensor:
    return criterion.margin(net(x))


# ---- the l1 ball ---------------------------------------------------------------------------------


@briefly
@given(seed=st.integers(0, 2**31), epsilon=st.floats(1e-3, 20), spread=st.sampled_from([0.01, 0.3, 5.0]))
def test_l1_projection_is_soft_thresholding_by_bisection(seed: int, epsilon: float, spread: float) -> None:
    """The nearest point of the ball shrinks every change by one and the same amount."""
    x = pictures((3, 3, 5, 5), seed).double()
    delta = spread * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).double()
    low, high = torch.zeros(3, 1, 1, 1), delta.abs().amax((1, 2, 3), keepdim=True)
    for _ in range(60):
        theta = (low + high) / 2
        inside = norms.l1((delta.abs() - theta).clamp(min=0)).view_as(theta) <= epsilon
        low, high = torch.where(inside, low, theta), torch.where(inside, theta, high)
    nearest = x + delta.sign() * (delta.abs() - high).clamp(min=0)
    torch.testing.assert_close(norms.L1.project(x, x + delta, epsilon), nearest, atol=1e-9, rtol=0)


def test_l1_budget_on_a_large_picture() -> None:
    """150,000 values, each rounded to float32: never beyond the budget, below by rounding alone."""
    x = pictures((1, 3, 224, 224))
    adv = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    for epsilon in (0.5, 60.0, 3000.0):
        size = norms.l1(norms.L1.project(x, adv, epsilon).double() - x.double()).item()
        assert epsilon * (1 - 1e-4) - 1e-3 < size <= epsilon


@briefly
@given(seed=st.integers(0, 2**31), size=st.sampled_from([0.0, 0.3, 2.0, 30.0, 1e4]))
def test_l1_step_is_the_best_in_the_box(seed: int, size: float) -> None:
    """Its gain is the linear programme's, by duality; a saturated value is never chosen, nor a flat one."""
    x = pictures((3, 3, 5, 5), seed).double()
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).double()
    grad[..., 0] = 0
    near = norms.L1.climb(x, grad, size)
    assert near.min() >= 0 and near.max() <= 1 and torch.equal(near[..., 0], x[..., 0])
    room = torch.where(grad > 0, 1 - x, x) * (grad != 0)
    expected = room.flatten(1).sum(1).clamp(max=size)
    torch.testing.assert_close(norms.l1(near - x), expected, atol=1e-9, rtol=0)
    gain = ((near - x) * grad).flatten(1).sum(1)
    torch.testing.assert_close(gain, best_gain(grad, room, size), atol=1e-9, rtol=0)


def best_gain(grad: Tensor, room: Tensor, size: float) -> Tensor:
    """Return max <grad, d> over |d|_1 <= size, |d| <= room: the least of its dual, which is piecewise
    linear with its corners at the gradient's sizes."""
    slopes, room = grad.abs().flatten(1), room.flatten(1)
    corners = torch.cat([torch.zeros(len(slopes), 1).to(slopes), slopes], 1)
    over = (slopes[:, None] - corners[:, :, None]).clamp(min=0)
    return (corners * size + (over * room[:, None]).sum(2)).amin(1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("saturated", [False, True])
@pytest.mark.parametrize("kind", [BIM, PGD])
def test_l1_optimum(kind: type[BIM], saturated: bool, targeted: bool, shape: tuple[int, ...]) -> None:
    """Exactly the budget, and nearly the best gain of ball and box: each step goes beyond the best values,
    and the projection takes back a little from all, so that the last one is off by about a step's size."""
    x = pictures(shape) if saturated else inner(shape)
    net = Linear(x, 1)
    criterion, way = sides(net, x, targeted)
    found = run(kind(norm="l1", epsilon=2.5, step_size=0.05, steps=80), net, x, criterion)[-1].x
    delta = found.double() - x.double()
    assert (norms.l1(delta) - 2.5).abs().max() < 1e-6
    grad = (way * net.w).double()
    room = torch.where(grad > 0, 1 - x.double(), x.double()) * (grad != 0)
    gain = (delta * grad).flatten(1).sum(1)
    assert (gain / best_gain(grad, room, 2.5)).min() > 0.985


# ---- attempts ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Thrice(PGD):
    """Three attempts unless told otherwise, so that the contract is checked with them."""

    restarts: int = setting(3, "Attempts", "How often.", low=1, high=100)


PROMISES = [
    contract.budget,
    contract.box,
    contract.first_and_last,
    contract.last_is_evaluated,
    contract.rows_are_independent,
    contract.seeds,
    contract.flat_network,
    contract.few_steps,
]


@pytest.mark.parametrize("check", PROMISES, ids=lambda check: check.__name__)
def test_attempts_keep_the_contract(check: contract.Check) -> None:
    check(Thrice)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("targeted", [False, True])
def test_the_best_attempt_is_the_last_picture(net: nn.Module, x: Tensor, targeted: bool, norm: str) -> None:
    criterion = aim(net, x, targeted)
    epsilon = {"linf": 8 / 255, "l2": 0.7, "l1": 8}[norm]
    attack = PGD(norm=norm, steps=6, restarts=4, epsilon=epsilon, step_size=epsilon / 2)
    path = run(attack, net, x, criterion)
    assert len(path) == attack.updates() + 1 == 1 + 6 + 3 * 7 + 1
    ends = torch.stack([margins(net, path[i].x, criterion) for i in (6, 13, 20, 27)])
    assert torch.equal(criterion.margin(path[-1].evaluation.logits), ends.amax(0))
    for row, which in enumerate(ends.argmax(0).tolist()):
        assert torch.equal(path[-1].x[row], path[6 + 7 * which].x[row])
    assert ends.argmax(0).unique().numel() > 1, "the attempts should differ"


def test_one_attempt_is_as_it_was(net: nn.Module, x: Tensor) -> None:
    """Without restarts PGD is BIM, picture by picture."""
    criterion = aim(net, x, False)
    paths = [run(kind(steps=5), net, x, criterion) for kind in (BIM, PGD)]
    assert all(torch.equal(a.x, b.x) for a, b in zip(*paths, strict=True))
    assert not PGD().stochastic() and PGD(restarts=2).stochastic() and PGD(restarts=5, steps=0).updates() == 0
