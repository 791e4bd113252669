"""The same pictures as foolbox on a strongly curved network with saturated pixels, step for step."""

from __future__ import annotations

import dataclasses
import warnings

import pytest
import torch
from torch import Tensor, nn

from attacks.bim import BIM
from attacks.contract import Attack, Criterion, Query, Step, answer, walk
from attacks.fgsm import FGSM
from attacks.pgd import PGD
from tests.support.attack_contract import pictures

with warnings.catch_warnings():
    # It imports a name that scipy has moved.
    warnings.simplefilter("ignore", DeprecationWarning)
    from foolbox.attacks.projected_gradient_descent import L2ProjectedGradientDescentAttack as FoolboxL2
    from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack as FoolboxLinf
    from foolbox.criteria import Misclassification, TargetedMisclassification
    from foolbox.models.pytorch import PyTorchModel

pytestmark = pytest.mark.usefixtures("one_thread")
EPSILON, STEP = 8 / 255, 2 / 255


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """Four convolutions with ReLU and tanh and all weights fourfold: ten classes, strongly curved."""
    torch.manual_seed(0)
    widths = [(3, 8), (8, 12), (12, 12), (12, 16)]
    layers: list[nn.Module] = []
    for depth, (before, after) in enumerate(widths):
        layers += [nn.Conv2d(before, after, 3, 1 + depth % 2, 1), nn.Tanh() if depth % 2 else nn.ReLU()]
    body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 16, 10)).eval().requires_grad_(False)
    for p in body.parameters():
        p.mul_(4)
    return body


@pytest.fixture(scope="module")
def x() -> Tensor:
    return pictures((8, 3, 16, 16))


def aim(net: nn.Module, x: Tensor, targeted: bool) -> Criterion:
    logits = answer(net, Query(x, None)).logits
    return Criterion((logits.argmax(1) + 3) % 10 if targeted else logits.argmax(1), targeted)


def steps(attack: Attack, net: nn.Module, x: Tensor, criterion: Criterion) -> list[Step]:
    return list(walk(attack.search(x, criterion, torch.Generator().manual_seed(0)), net, criterion))


def foolbox_linf(net: nn.Module, x: Tensor, criterion: Criterion, step: float, count: int) -> Tensor:
    rule = TargetedMisclassification if criterion.targeted else Misclassification
    attack = FoolboxLinf(abs_stepsize=step, steps=count, random_start=False)
    model = PyTorchModel(net, bounds=(0, 1), device="cpu")
    found: Tensor = attack.run(model, x, rule(criterion.label), epsilon=EPSILON)
    return found


def loss(net: nn.Module, x: Tensor, criterion: Criterion) -> Tensor:
    value = nn.functional.cross_entropy(net(x), criterion.label, reduction="sum")
    return value if criterion.targeted else -value


def slope(net: nn.Module, x: Tensor, criterion: Criterion) -> Tensor:
    x = x.detach().requires_grad_()
    (grad,) = torch.autograd.grad(loss(net, x, criterion), x)
    return grad


def test_the_network_is_curved(net: nn.Module, x: Tensor) -> None:
    """Else orders and signs that differ would give the same pictures, and parity would prove little."""
    criterion = aim(net, x, False)
    path = steps(BIM(epsilon=EPSILON, step_size=STEP, steps=20), net, x, criterion)
    here, there = (slope(net, step.x, criterion).sign() for step in (path[0], path[-1]))
    assert (here != there).float().mean() > 0.15
    assert (x == 0).float().mean() > 0.1 and (x == 1).float().mean() > 0.1


@pytest.mark.parametrize("count", [1, 5, 20])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("kind", [BIM, PGD])
def test_linf_is_foolbox(net: nn.Module, x: Tensor, kind: type[BIM], targeted: bool, count: int) -> None:
    criterion = aim(net, x, targeted)
    attack = kind(epsilon=EPSILON, step_size=STEP, steps=count)
    attack = dataclasses.replace(attack, random_start=False) if isinstance(attack, PGD) else attack
    ours = steps(attack, net, x, criterion)[-1].x
    theirs = foolbox_linf(net, x, criterion, STEP, count)
    assert (theirs - x).abs().amax() > EPSILON / 5
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("targeted", [False, True])
def test_fgsm_is_foolbox(net: nn.Module, x: Tensor, targeted: bool) -> None:
    criterion = aim(net, x, targeted)
    ours = steps(FGSM(epsilon=EPSILON), net, x, criterion)[-1].x
    torch.testing.assert_close(ours, foolbox_linf(net, x, criterion, EPSILON, 1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 5, 20])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("random_start", [False, True])
def test_l2_is_step_clip_project(
    net: nn.Module, x: Tensor, random_start: bool, targeted: bool, count: int
) -> None:
    """Against those three lines written out, in float64, from the same start."""
    net, x = net.double(), x.double()
    criterion = aim(net, x, targeted)
    attack = PGD(norm="l2", epsilon=0.7, step_size=0.15, steps=count, random_start=random_start)
    path = steps(attack, net, x, criterion)
    adv = path[1].x if random_start else x
    for _ in range(count):
        grad = slope(net, adv, criterion)
        adv = adv - 0.15 * grad / grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        delta = adv.clamp(0, 1) - x
        adv = x + delta * (0.7 / delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(max=1)
    net.float()
    assert (adv - x).flatten(1).norm(dim=1).min() > 0.1
    torch.testing.assert_close(path[-1].x, adv, atol=1e-6, rtol=0)


def test_the_other_order_leaves_budget_unused(net: nn.Module, x: Tensor) -> None:
    """Clip, then project: the whole budget where foolbox, which clips last, uses less of it."""
    criterion = aim(net, x, False)
    ours = steps(BIM(norm="l2", epsilon=0.7, step_size=0.15, steps=20), net, x, criterion)[-1].x
    attack = FoolboxL2(abs_stepsize=0.15, steps=20, random_start=False)
    model = PyTorchModel(net, bounds=(0, 1), device="cpu")
    theirs = attack.run(model, x, Misclassification(criterion.label), epsilon=0.7)
    sizes = [(y - x).double().flatten(1).norm(dim=1) for y in (ours, theirs)]
    assert (sizes[0] - 0.7).abs().max() < 1e-6 and sizes[1].max() < 0.7 - 1e-4


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_beats_fgsm(net: nn.Module, x: Tensor, norm: str) -> None:
    """On a curved network steps that follow the curve find a higher loss within the same budget."""
    criterion = aim(net, x, False)
    one = FGSM(epsilon=EPSILON) if norm == "linf" else BIM(norm="l2", epsilon=0.7, step_size=0.7, steps=1)
    many = PGD(norm=norm, epsilon=one.bound()[1], step_size=STEP if norm == "linf" else 0.1, steps=40)
    losses = [loss(net, steps(attack, net, x, criterion)[-1].x, criterion).item() for attack in (one, many)]
    assert losses[1] < losses[0] - 1
