"""Attacks that keep a budget: the best there is on linear networks, the papers' recurrences on others."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from attacks.apgd import APGD, checkpoints, likeliest
from attacks.autoattack import AutoAttack
from attacks.bim import BIM
from attacks.contract import Attack, Criterion, Step, walk
from attacks.eot_pgd import EOTPGD
from attacks.fab import FAB, shortest
from attacks.mi_fgsm import MIFGSM
from attacks.ni_fgsm import NIFGSM
from attacks.pgd import PGD
from attacks.settings import setting
from attacks.toolkit import norms, transforms
from errors import BadSetting, UnknownName
from tests.attacks.test_linear_optimum import SHAPES, Linear, inner
from tests.attacks.test_linear_optimum import aim as sides
from tests.attacks.test_parity import aim, slope
from tests.attacks.test_parity import net as net
from tests.attacks.test_parity import x as x
from tests.support import attack_contract as contract
from tests.support.attack_contract import briefly, pictures, smooth_net

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
    near = norms.L1.ascent_step(x, grad, size)
    assert near.min() >= 0 and near.max() <= 1 and torch.equal(near[..., 0], x[..., 0])
    room = torch.where(grad > 0, 1 - x, x) * (grad != 0)
    expected = room.flatten(1).sum(1).clamp(max=size)
    torch.testing.assert_close(norms.l1(near - x), expected, atol=1e-9, rtol=0)
    gain = ((near - x) * grad).flatten(1).sum(1)
    torch.testing.assert_close(gain, best_gain(grad, room, size), atol=1e-9, rtol=0)


def best_gain(grad: Tensor, room: Tensor, size: float | Tensor) -> Tensor:
    """Return max <grad, d> over |d|_1 <= size, |d| <= room: the least of its dual, which is piecewise
    linear with its corners at the gradient's sizes."""
    slopes, room = grad.abs().flatten(1), room.flatten(1)
    corners = torch.cat([torch.zeros(len(slopes), 1).to(slopes), slopes], 1)
    over = (slopes[:, None] - corners[:, :, None]).clamp(min=0)
    return (corners * size + (over * room[:, None]).sum(2)).amin(1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("saturated", [False, True])
def test_l1_optimum(saturated: bool, targeted: bool, shape: tuple[int, ...]) -> None:
    """Exactly the budget, and nearly the best gain of ball and box: each step goes beyond the best values,
    and the projection takes back a little from all, so that the last one is off by about a step's size."""
    x = pictures(shape) if saturated else inner(shape)
    net = Linear(x, 1)
    criterion, way = sides(net, x, targeted)
    found = run(BIM(norm="l1", epsilon=2.5, step_size=0.05, steps=80), net, x, criterion)[-1].x
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
    contract.first_and_last,
    contract.last_is_evaluated,
    contract.rows_are_independent,
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


# ---- momentum ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5, 20])
@pytest.mark.parametrize("targeted", [False, True])
def test_mi_fgsm_is_its_recurrence(net: nn.Module, x: Tensor, targeted: bool, count: int) -> None:
    criterion, adv, g = aim(net, x, targeted), x, torch.zeros_like(x)
    for _ in range(count):
        grad = slope(net, adv, criterion)
        g = 0.9 * g + grad / grad.abs().sum((1, 2, 3), keepdim=True)
        adv = (adv - 2 / 255 * g.sign()).clamp(x - 8 / 255, x + 8 / 255).clamp(0, 1)
    attack = MIFGSM(epsilon=8 / 255, step_size=2 / 255, steps=count, momentum=0.9)
    torch.testing.assert_close(run(attack, net, x, criterion)[-1].x, adv, atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 5, 20])
@pytest.mark.parametrize("targeted", [False, True])
def test_ni_fgsm_is_its_recurrence(net: nn.Module, x: Tensor, targeted: bool, count: int) -> None:
    criterion, adv, g = aim(net, x, targeted), x, torch.zeros_like(x)
    for _ in range(count):
        grad = slope(net, adv - 2 / 255 * g, criterion)
        g = g + grad / grad.abs().mean((1, 2, 3), keepdim=True)
        adv = (adv - 2 / 255 * g.sign()).clamp(x - 8 / 255, x + 8 / 255).clamp(0, 1)
    attack = NIFGSM(epsilon=8 / 255, step_size=2 / 255, steps=count)
    torch.testing.assert_close(run(attack, net, x, criterion)[-1].x, adv, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", [MIFGSM, NIFGSM])
def test_without_momentum_it_is_bim(net: nn.Module, x: Tensor, kind: type[MIFGSM]) -> None:
    criterion = aim(net, x, False)
    paths = [run(attack, net, x, criterion) for attack in (BIM(steps=6), kind(steps=6, momentum=0.0))]
    for one, other in zip(*paths, strict=True):
        torch.testing.assert_close(one.x, other.x, atol=1e-6, rtol=0)


# ---- Auto-PGD ------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_apgd_finds_at_least_what_pgd_does(net: nn.Module, x: Tensor, targeted: bool, norm: str) -> None:
    """With as many gradients, on the mean over the rows: no PGD of the usual step sizes gets further."""
    criterion = aim(net, x, targeted)
    epsilon = {"linf": 8 / 255, "l2": 0.7}[norm]
    auto = run(APGD(norm=norm, epsilon=epsilon, steps=40), net, x, criterion)[-1]
    for share in (0.1, 0.25):
        fixed = PGD(norm=norm, epsilon=epsilon, steps=41, step_size=share * epsilon)
        last = run(fixed, net, x, criterion)[-1]
        gain = criterion.margin(auto.evaluation.logits) - criterion.margin(last.evaluation.logits)
        assert gain.mean() > -0.05, f"{gain.mean():.2f} behind steps of {share} epsilon"


@pytest.mark.parametrize("loss", ["ce", "dlr", "dlr-targeted"])
@pytest.mark.parametrize("restarts", [1, 3])
def test_apgd_keeps_the_best(net: nn.Module, x: Tensor, restarts: int, loss: str) -> None:
    criterion = aim(net, x, False)
    attack = APGD(steps=15, loss=loss, restarts=restarts)
    path = run(attack, net, x, criterion)
    assert len(path) == attack.updates() + 1 == 16 * restarts + 1
    seen = torch.stack([criterion.margin(step.evaluation.logits) for step in path])
    torch.testing.assert_close(seen[-1], seen[1:-1].amax(0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("targeted", [False, True])
def test_apgd_on_a_linear_network(norm: str, targeted: bool, shape: tuple[int, ...]) -> None:
    """Exactly the budget, and the best gain that the ball allows."""
    x = inner(shape)
    net = Linear(x, 1)
    criterion, way = sides(net, x, targeted)
    epsilon = {"linf": 0.05, "l2": 0.2, "l1": 0.25}[norm]
    delta = run(APGD(norm=norm, epsilon=epsilon, steps=60), net, x, criterion)[-1].x.double() - x.double()
    assert (norms.SIZES[norm](delta) - epsilon).abs().max() < 2e-6
    dual = {"linf": net.w.abs().sum(), "l2": net.w.norm(), "l1": net.w.abs().max()}[norm]
    assert ((delta * way * net.w).flatten(1).sum(1) / (epsilon * dual)).min() > 0.999


def test_checkpoints_are_those_of_the_paper() -> None:
    assert list(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert list(checkpoints(1)) == [1] and checkpoints(0) == {}
    assert all(max(checkpoints(n)) <= n for n in range(1, 60))


def test_the_ratio_of_logits() -> None:
    """Equations 6 and 7 by hand, the same at any scale of the logits; cross-entropy with too few classes."""
    logits = torch.tensor([[5.0, 3.0, 2.0, -1.0], [1.0, 4.0, 2.0, 3.5]])
    criterion = Criterion(torch.tensor([0, 0]), False)
    goal = {loss: partial(APGD(loss=loss).goal, criterion, 0, None) for loss in ("ce", "dlr", "dlr-targeted")}
    torch.testing.assert_close(goal["dlr"](logits), torch.tensor([2 / 3, -3 / 2]))
    torch.testing.assert_close(goal["dlr-targeted"](logits), torch.tensor([2 / 4.5, -3 / 2.5]))
    for scale in (1e-3, 1e3):
        torch.testing.assert_close(goal["dlr"](scale * logits), goal["dlr"](logits), rtol=1e-4, atol=0)
    for classes in (2, 3):
        few = logits[:, :classes]
        assert torch.equal(goal["dlr-targeted"](few), goal["ce"](few))
    assert torch.equal(goal["dlr"](logits[:, :2]), goal["ce"](logits[:, :2]))
    same = APGD(loss="dlr").goal(criterion, 0, None, torch.full((2, 4), -7.0))
    assert torch.equal(same, torch.zeros(2))


def test_each_attempt_aims_at_the_next_class() -> None:
    logits, label = torch.tensor([[5.0, 3.0, 4.0, -1.0]]), torch.tensor([0])
    assert [likeliest(label, logits, rank).item() for rank in range(4)] == [2, 1, 3, 2]


# ---- expectation over transforms -----------------------------------------------------------------


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (2, 1, 5, 11), (1, 3, 1, 1), (2, 4, 9, 9)])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_transforms_keep_the_box_and_the_rows(name: str, shape: tuple[int, ...], strength: float) -> None:
    """In [0, 1], of the same shape, each row as beside any others, and with a gradient that is a number."""
    transform, x = transforms.get(name), pictures(shape)
    leaf = x.clone().requires_grad_()
    seen = transform(leaf, torch.Generator().manual_seed(0), strength)
    (grad,) = torch.autograd.grad(seen.sum(), leaf)
    assert seen.shape == x.shape and seen.min() >= 0 and seen.max() <= 1
    assert torch.isfinite(grad).all() and grad.abs().max() > 0
    others = x.flip(0)
    others[0] = x[0]
    again = transform(others, torch.Generator().manual_seed(0), strength)[0]
    torch.testing.assert_close(again, seen[0].detach(), atol=1e-5, rtol=0)
    white = transform(torch.ones(shape), torch.Generator().manual_seed(0), strength)
    assert name == "noise" or (white - 1).abs().max() < 0.02


def test_transforms_change_more_with_more_strength() -> None:
    x = pictures((4, 3, 32, 32))
    for transform in transforms.TRANSFORMS.values():
        sizes = [
            (transform(x, torch.Generator().manual_seed(1), strength) - x).abs().mean().item()
            for strength in (0.1, 0.4, 1.0)
        ]
        assert sizes == sorted(sizes) and sizes[-1] > 0.01
    with pytest.raises(UnknownName, match="blur"):
        transforms.get("blurr")


def test_jpeg_is_nearly_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Pillow compresses a smooth picture at the same quality, but for what the soft rounding keeps."""
    waves = torch.linspace(0, 6, 32)
    x = (
        0.5
        + 0.4
        * torch.stack(
            [waves.sin().outer(waves.cos()), waves.cos().outer(waves.cos()), waves.sin().outer(waves) / 6]
        )[None]
    )
    for share, quality in ((0.0, 95), (0.5294117647, 50), (0.8823529412, 20)):
        monkeypatch.setattr(transforms, "_uniform", lambda x, rng, share=share: x.new_full((len(x),), share))
        ours = transforms.jpeg(x, torch.Generator(), 1.0)[0]
        levels = (x[0] * 255).round().byte().permute(1, 2, 0).numpy()
        file = io.BytesIO()
        Image.fromarray(levels).save(file, "JPEG", quality=quality, subsampling=0)
        theirs = torch.tensor(list(Image.open(file).tobytes())).view(32, 32, 3).permute(2, 0, 1) / 255
        assert (ours - theirs).abs().mean() < 0.35 * (x[0] - theirs).abs().mean() + 0.004, quality


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
def test_eot_follows_the_gradient_of_the_mean(name: str) -> None:
    """Its first step goes along the gradient of the mean loss over the same draws, by finite differences."""
    net, x = smooth_net(3, 8).double(), 0.3 + 0.4 * pictures((2, 3, 8, 8)).double()
    criterion = Criterion(torch.tensor([1, 3]), False)
    attack = EOTPGD(norm="l2", epsilon=1.0, step_size=1e-3, steps=1, transform=name, samples=3)
    way = (run(attack, net, x, criterion)[-1].x - x) / -1e-3

    def mean(at: Tensor) -> Tensor:
        seen = attack.views(at, torch.Generator().manual_seed(0))
        return criterion.repeat(3).loss(net(seen)).view(3, 2).mean(0)

    def climb(v: Tensor) -> Tensor:
        return (mean(x + 1e-6 * v) - mean(x - 1e-6 * v)) / 2e-6

    for seed in range(3):
        v = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)).double()
        expected = climb(way) * (way * v).flatten(1).sum(1)
        torch.testing.assert_close(climb(v), expected, rtol=1e-5, atol=1e-7)


def test_eot_survives_what_it_was_made_for(net: nn.Module, x: Tensor) -> None:
    """Under fresh draws of blur and rotation its pictures keep a higher margin than PGD's."""
    criterion = aim(net, x, False)
    for name in ("blur", "rotate"):
        robust = EOTPGD(transform=name, strength=0.5, samples=8, steps=15, step_size=2 / 255)
        kept = []
        for attack in (robust, PGD(steps=15, step_size=2 / 255)):
            seen = robust.views(run(attack, net, x, criterion)[-1].x, torch.Generator().manual_seed(99))
            kept.append(criterion.repeat(8).margin(net(seen)).mean())
        assert kept[0] > kept[1] + 0.1, name


# ---- FAB and AutoAttack --------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("share", [-1.5, -0.4, 0.0, 1e-4, 0.3, 0.9, 1.5])
def test_shortest_way_to_a_plane_in_the_box(share: float, norm: str) -> None:
    """On the plane where the box reaches it, else in the farthest corner; and no longer than need be: under
    l1 by duality, under the others by halving the time for which all values move."""
    rng = torch.Generator().manual_seed(1)
    x, w = pictures((6, 2, 4, 4)).double(), torch.randn(6, 2, 4, 4, generator=rng).double()
    w[..., 0] = 0
    way = w if share > 0 else -w
    room = torch.where(way > 0, 1 - x, x) * (w != 0)
    most = (room * w.abs()).flatten(1).sum(1)
    change = shortest(norm, x, w, share * most)
    gain, size = (change * w).flatten(1).sum(1), norms.SIZES[norm](change)
    assert (x + change).min() >= -1e-12 and (x + change).max() <= 1 + 1e-12
    torch.testing.assert_close(gain, max(min(share, 1.0), -1.0) * most, atol=1e-9, rtol=0)
    if norm == "l1":
        torch.testing.assert_close(best_gain(w, room, size[:, None]), gain.abs(), atol=1e-9, rtol=0)
        return
    speed = w.abs() if norm == "l2" else (w != 0).double()
    low, high = torch.zeros(6, 1, 1, 1).double(), torch.full((6, 1, 1, 1), 1e4).double()
    for _ in range(60):
        t = (low + high) / 2
        enough = (torch.minimum(t * speed, room) * w.abs()).sum((1, 2, 3), True) >= gain.abs().view_as(
            t
        ) - 1e-12
        low, high = torch.where(enough, low, t), torch.where(enough, t, high)
    least = norms.SIZES[norm](torch.minimum(high * speed, room))
    torch.testing.assert_close(size, least, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("targeted", [False, True])
def test_fab_finds_the_least_distance(norm: str, targeted: bool, shape: tuple[int, ...]) -> None:
    """Within 1 % of it, saturated pixels included: a linear network's boundary is its own linearisation."""
    x = pictures(shape)
    for row in range(min(len(x), 3)):
        one = x[row : row + 1]
        net = Linear(one, 3)
        criterion, _ = sides(net, one, targeted)
        found = run(FAB(norm=norm, steps=10), net, one, criterion)[-1]
        least = norms.SIZES[norm](shortest(norm, one, net.w.expand_as(one), -net.score(one)))
        assert criterion.met(found.evaluation.logits)
        assert 0.999 < (norms.SIZES[norm](found.x - one) / least).item() < 1.01


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_autoattack_is_at_least_its_parts(net: nn.Module, x: Tensor, targeted: bool, norm: str) -> None:
    """Whatever any of its attacks fools within the budget, it fools; and it leaves that alone."""
    criterion, epsilon = aim(net, x, targeted), {"linf": 1.5 / 255, "l2": 0.12}[norm]
    attack = AutoAttack(norm=norm, epsilon=epsilon, steps=10, targets=2)
    path = run(attack, net, x, criterion)
    fooled = criterion.met(path[-1].evaluation.logits)
    assert len(path) <= attack.updates() + 1 and (len(path) < attack.updates() or not fooled.all())
    for part in attack.parts()[1:]:
        last = run(part, net, x, criterion)[-1]
        near = norms.SIZES[norm](last.x - x) <= epsilon
        assert fooled[criterion.met(last.evaluation.logits) & near].all(), part.card.name
    for row in range(len(x)):
        met = [bool(criterion.met(step.evaluation.logits)[row]) for step in path[1:]]
        if any(met):
            first = met.index(True) + 1
            assert all(torch.equal(step.x[row], path[first].x[row]) for step in path[first:])


def test_autoattack_ends_when_everything_is_fooled(net: nn.Module, x: Tensor) -> None:
    criterion, attack = aim(net, x, False), AutoAttack(epsilon=16 / 255, steps=20)
    path = run(attack, net, x, criterion)
    assert AutoAttack.ends and criterion.met(path[-1].evaluation.logits).all() and len(path) < 20


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (APGD, {"loss": "hinge"}),
        (APGD, {"restarts": 0}),
        (EOTPGD, {"samples": 33}),
        (EOTPGD, {"transform": "fog"}),
        (MIFGSM, {"momentum": -0.1}),
        (PGD, {"restarts": 1.5}),
        (PGD, {"norm": "l1", "epsilon": -1.0}),
    ],
)
def test_wrong_values_are_refused(kind: type[Attack], values: dict[str, object]) -> None:
    with pytest.raises(BadSetting, match=f"^Expected {list(values)[-1]} to be"):
        kind(**values)
