"""On a linear network the best perturbation is known: attacks must find it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from attacks.bim import BIM
from attacks.contract import Attack, Criterion, Step, Stop, walk
from attacks.fgsm import FGSM
from attacks.pgd import PGD
from attacks.towards import TowardsClass
from tests.support.attack_contract import pictures

pytestmark = pytest.mark.usefixtures("one_thread")
SHAPES = [(1, 1, 4, 4), (3, 3, 8, 8), (8, 3, 16, 16)]


class Linear(nn.Module):
    """Two classes: logits (0, w.x + b), with b |w| = 1 and b such that the mean score is 0.3."""

    def __init__(self, x: Tensor, seed: int) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        w = torch.randn(x[0].shape, generator=rng)
        w[..., 0] = 0
        self.w = w / w.norm()
        self.b = 0.3 - (x * self.w).flatten(1).sum(1).mean()

    def score(self, x: Tensor) -> Tensor:
        scores: Tensor = (x * self.w.to(x.dtype)).flatten(1).sum(1) + self.b
        return scores

    def forward(self, x: Tensor) -> Tensor:
        score = self.score(x)
        return torch.stack([torch.zeros_like(score), score], 1)


def inner(shape: tuple[int, ...]) -> Tensor:
    """Return pictures none of whose values is near 0 or 1."""
    return 0.3 + 0.4 * torch.rand(shape, generator=torch.Generator().manual_seed(2))


def aim(net: Linear, x: Tensor, targeted: bool) -> tuple[Criterion, Tensor]:
    """Return the criterion "change sides", and which way the score must go, ``(n, 1, 1, 1)``."""
    own = net(x).argmax(1)
    return Criterion(1 - own if targeted else own, targeted), (1.0 - 2.0 * own).view(-1, 1, 1, 1)


def steps(attack: Attack, net: Linear, x: Tensor, criterion: Criterion) -> list[Step]:
    return list(walk(attack.search(x, criterion, torch.Generator().manual_seed(5)), net, criterion))


def nearest(net: Linear, x: Tensor, way: Tensor) -> Tensor:
    """Return the shortest perturbation ``(n, c, h, w)`` within the box that brings the score to 0.

    By the optimality conditions it is clamp(x + t way w) - x for some t; t is found by bisection.
    """
    low, high = torch.zeros_like(way), torch.full_like(way, 100.0)
    for _ in range(50):
        t = (low + high) / 2
        short = (net.score((x + t * way * net.w).clamp(0, 1)).view_as(way) * way) < 0
        low, high = torch.where(short, t, low), torch.where(short, high, t)
    delta: Tensor = (x + high * way * net.w).clamp(0, 1) - x
    return delta


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    "attack",
    [
        FGSM(epsilon=0.05),
        BIM(epsilon=0.05, step_size=0.01, steps=5),
        BIM(epsilon=0.05, step_size=0.013, steps=9),
        PGD(epsilon=0.05, step_size=0.01, steps=11),
        PGD(epsilon=0.05, step_size=0.2, steps=1),
    ],
    ids=["fgsm", "bim", "bim-uneven", "pgd", "pgd-one-step"],
)
def test_linf_optimum(attack: Attack, shape: tuple[int, ...], targeted: bool) -> None:
    x = pictures(shape)
    net = Linear(x, 0)
    criterion, way = aim(net, x, targeted)
    best = (x + 0.05 * way * net.w.sign()).clamp(0, 1)
    found = steps(attack, net, x, criterion)[-1].x
    matters = (net.w != 0).expand_as(x)
    torch.testing.assert_close(found[matters], best[matters], atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [BIM, PGD])
def test_l2_uses_exactly_the_budget(kind: type[BIM], shape: tuple[int, ...]) -> None:
    x = inner(shape)
    net = Linear(x, 1)
    criterion, way = aim(net, x, False)
    attack = kind(norm="l2", epsilon=0.2, step_size=0.04, steps=60)
    delta = steps(attack, net, x, criterion)[-1].x - x
    torch.testing.assert_close(delta, (0.2 * way * net.w / net.w.norm()).expand_as(x), atol=2e-4, rtol=0)
    assert (delta.double().flatten(1).norm(dim=1) - 0.2).abs().max() < 1e-6


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("targeted", [False, True])
def test_l2_optimum_with_saturated_pixels(shape: tuple[int, ...], targeted: bool) -> None:
    """As far as the ball and the box together allow: the best gain is that of a clamped step along w."""
    x = pictures(shape).double()
    net = Linear(x.float(), 2)
    criterion, way = aim(net, x, targeted)
    low, high = torch.zeros_like(way), torch.full_like(way, 100.0)
    for _ in range(50):
        t = (low + high) / 2
        inside = ((x + t * way * net.w).clamp(0, 1) - x).flatten(1).norm(dim=1).view_as(way) < 0.5
        low, high = torch.where(inside, t, low), torch.where(inside, high, t)
    best = (x + low * way * net.w).clamp(0, 1)
    found = steps(BIM(norm="l2", epsilon=0.5, step_size=0.02, steps=120), net, x, criterion)[-1].x
    gains = [((y - x) * way * net.w).flatten(1).sum(1) for y in (found, best)]
    assert (gains[0] / gains[1]).min() > 0.995
    assert ((found - x).flatten(1).norm(dim=1) - 0.5).abs().max() < 1e-6


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("saturated", [False, True])
def test_shortest_way_across(shape: tuple[int, ...], targeted: bool, saturated: bool) -> None:
    """Normalised steps leave the class within 5 % of the least distance at which that can be done."""
    x = pictures(shape) if saturated else inner(shape)
    for row in range(min(len(x), 2)):
        one = x[row : row + 1]
        net = Linear(one, 3)
        criterion, way = aim(net, one, targeted)
        least = nearest(net, one, way).norm()
        attacks = [
            TowardsClass(norm="l2", step_size=float(least / 50), steps=80),
            BIM(norm="l2", epsilon=10.0, step_size=float(least / 50), steps=80),
        ]
        for attack in attacks:
            search = attack.search(one, criterion, torch.Generator())
            *_, first = walk(search, net, criterion, Stop("success"))
            assert criterion.met(first.evaluation.logits)
            assert 0.999 < (first.x - one).norm() / least < 1.05


def test_many_classes_by_the_logit() -> None:
    """Climbing a linear network's logit adds the sign of that class's template, as in Karpathy's article."""
    templates = torch.randn(5, 27, generator=torch.Generator().manual_seed(0))
    x = inner((2, 3, 3, 3))
    criterion = Criterion(torch.tensor([4, 1]), True)
    attack = TowardsClass(ascend="logit", step_size=0.01, steps=10)
    search = attack.search(x, criterion, torch.Generator())
    *_, last = walk(search, lambda pictures: pictures.flatten(1) @ templates.T, criterion)
    expected = x + 0.1 * templates[criterion.label].sign().view_as(x)
    torch.testing.assert_close(last.x, expected, atol=1e-6, rtol=0)
