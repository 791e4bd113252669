"""Attacks that look for the smallest perturbation: against the known one, against foolbox, at the edges."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import attacks.carlini_wagner
from attacks.carlini_wagner import CarliniWagner, TanhSpace
from attacks.contract import Attack, Criterion, Query, Step, answer, walk
from attacks.ddn import DDN
from attacks.deepfool import DeepFool
from attacks.ead import EAD, shrink
from attacks.fmn import FMN, PROJECT, nearest
from attacks.toolkit import norms
from attacks.toolkit.best_so_far import Smallest
from errors import BadSetting
from tests.attacks.test_parity import net as net
from tests.attacks.test_parity import x as x
from tests.support.attack_contract import pictures

with warnings.catch_warnings():
    # It imports a name that scipy has moved.
    warnings.simplefilter("ignore", DeprecationWarning)
    from foolbox.attacks.carlini_wagner import L2CarliniWagnerAttack
    from foolbox.attacks.ddn import DDNAttack
    from foolbox.attacks.deepfool import L2DeepFoolAttack
    from foolbox.attacks.ead import EADAttack
    from foolbox.attacks.fast_minimum_norm import L1FMNAttack, LInfFMNAttack
    from foolbox.criteria import Misclassification, TargetedMisclassification
    from foolbox.models.pytorch import PyTorchModel

pytestmark = pytest.mark.usefixtures("one_thread")
SHAPES = [(1, 1, 4, 4), (8, 3, 16, 16)]
EVERY = [
    DeepFool(),
    DDN(steps=60),
    CarliniWagner(steps=25, search_steps=2),
    EAD(steps=25, search_steps=2),
    *(FMN(norm=n, steps=60) for n in PROJECT),
]


def named(attack: Attack) -> str:
    return f"{attack.card.name}-{getattr(attack, 'norm', '')}"


class Linear(nn.Module):
    """Logits w x + b with rows of w of length ``sharp``; no picture of ``x`` is within 0.1 of a boundary."""

    def __init__(self, x: Tensor, classes: int, sharp: float = 1.0) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(classes)
        w = torch.randn(classes, x[0].numel(), generator=rng)
        w[:, :2] = 0
        self.w, self.sharp = w / w.norm(dim=1, keepdim=True), sharp
        plain, self.b = x.flatten(1) @ self.w.T, torch.zeros(classes)
        for _ in range(1000):
            self.b = 0.5 * torch.randn(classes, generator=rng) - plain.mean(0)
            top = (plain + self.b).topk(2).values
            if (top[:, 0] - top[:, 1]).min() > 0.1:
                return
        raise AssertionError("no such biases")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.sharp * (x.flatten(1) @ self.w.T.to(x.dtype) + self.b.to(x.dtype))
        return logits


def cost(norm: str, room: Tensor, slope: Tensor, need: float) -> float:
    """Return the least size of a change within ``room`` that raises a function of ``slope`` by ``need``."""
    if norm in ("l2", "linf"):
        low, high = 0.0, 1e4
        for _ in range(60):
            t = (low + high) / 2
            move = torch.minimum(room, t * slope if norm == "l2" else torch.full_like(room, t))
            low, high = (t, high) if (move * slope).sum() < need else (low, t)
        return float(move.norm() if norm == "l2" else move.max())
    spent = 0.0
    for i in (slope if norm == "l1" else room * slope).argsort(descending=True):
        if room[i] * slope[i] >= need:
            return spent + (need / float(slope[i]) if norm == "l1" else 1)
        spent, need = spent + (float(room[i]) if norm == "l1" else 1), need - float(room[i] * slope[i])
    return math.inf


def least(norm: str, net: Linear, x: Tensor, criterion: Criterion) -> Tensor:
    """Return ``(n,)``: the size of the smallest perturbation in the box that changes the class: untargeted
    that to the nearest other class; targeted (which is asked of the runner-up alone, whose boundary is met
    first) that of the runner-up's boundary.
    """
    logits, sizes = net(x.double()), []
    for row, label in enumerate(criterion.label.tolist()):
        there = {}
        for k in set(range(logits.shape[1])) - {label}:
            to, away = (label, k) if criterion.targeted else (k, label)
            w, value = (net.w[to] - net.w[away]).double(), x[row].double().flatten()
            room, need = (
                torch.where(w > 0, 1 - value, value),
                (logits[row, away] - logits[row, to]) / net.sharp,
            )
            there[k] = cost(norm, room, w.abs(), float(need))
        sizes.append((max if criterion.targeted else min)(there.values()))
    return torch.tensor(sizes)


def aim(net: nn.Module, x: Tensor, targeted: bool) -> Criterion:
    """Return the criterion to leave the network's class, or to reach its second choice."""
    first = answer(net, Query(x, None)).logits.topk(2).indices
    return Criterion(first[:, 1] if targeted else first[:, 0], targeted)


def steps(attack: Attack, net: nn.Module, x: Tensor, criterion: Criterion) -> list[Step]:
    return list(walk(attack.search(x, criterion, torch.Generator()), net, criterion))


def found(attack: Attack, net: nn.Module, x: Tensor, criterion: Criterion) -> Tensor:
    """Return the perturbations found, all of which fool."""
    last = steps(attack, net, x, criterion)[-1]
    assert criterion.met(last.evaluation.logits).all()
    return last.x.double() - x.double()


@pytest.mark.parametrize(
    ("classes", "targeted", "shape"),
    [(2, False, SHAPES[1]), (2, True, SHAPES[0]), (5, False, SHAPES[0]), (5, True, SHAPES[1])],
)
@pytest.mark.parametrize(
    "attack",
    [
        DeepFool(),
        FMN(),
        FMN(norm="linf"),
        FMN(norm="l1"),
        CarliniWagner(steps=100, search_steps=1, initial_const=3.0),
        EAD(beta=0.0, steps=100, search_steps=1, initial_const=3.0),
    ],
    ids=named,
)
def test_known_optimum(attack: Attack, classes: int, targeted: bool, shape: tuple[int, ...]) -> None:
    """Within 5 % of the least change there is in the box, with a quarter of the pixels saturated.

    With more classes than two all but DeepFool, which looks for the nearest boundary, make for the
    likeliest class, whose boundary may be farther away: up to an eighth here.
    """
    x = pictures(shape)
    net = Linear(x, classes)
    criterion, norm = aim(net, x, targeted), getattr(attack, "norm", "l2")
    ratio = norms.SIZES[norm](found(attack, net, x, criterion)) / least(norm, net, x, criterion)
    detours = classes > 2 and not targeted and not isinstance(attack, DeepFool)
    assert ratio.min() > 0.9999 and ratio.max() < (1.125 if detours else 1.05)


@pytest.mark.parametrize(
    ("classes", "sharp", "targeted", "shape"),
    [
        (2, 1, False, SHAPES[1]),
        (2, 1, True, SHAPES[0]),
        (5, 100, False, SHAPES[0]),
        (5, 100, True, SHAPES[1]),
    ],
)
def test_known_optimum_of_ddn(classes: int, sharp: float, targeted: bool, shape: tuple[int, ...]) -> None:
    """DDN follows the cross-entropy, which with more classes than two pulls towards all of them at once,
    unless the logits are far apart: hence the sharper network.
    """
    x = pictures(shape)
    net = Linear(x, classes, sharp)
    criterion = aim(net, x, targeted)
    ratio = norms.l2(found(DDN(), net, x, criterion)) / least("l2", net, x, criterion)
    assert ratio.min() > 0.9999 and ratio.max() < (1.125 if classes > 2 and not targeted else 1.05)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("targeted", [False, True])
def test_known_optimum_of_l0(targeted: bool, shape: tuple[int, ...]) -> None:
    """FMN keeps the values that have moved most, not those that brought most: a fifth more, and one more."""
    x = pictures(shape)
    net = Linear(x, 5)
    criterion = aim(net, x, targeted)
    counts, best = norms.l0(found(FMN(norm="l0"), net, x, criterion)), least("l0", net, x, criterion)
    assert (counts >= best).all() and (counts <= 1.2 * best + 1).all()


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("method", ["fista", "ista"])
def test_the_elastic_net_is_sparse(method: str, shape: tuple[int, ...]) -> None:
    """Its squares share a change out among more values than the sum alone would, so up to twice the least
    sum; without beta it is far more, and spread over nearly all values.
    """
    x = pictures(shape)
    net = Linear(x, 2)
    criterion = aim(net, x, False)
    change = [
        found(EAD(rule="l1", method=method, beta=beta, search_steps=2), net, x, criterion)
        for beta in (0.001, 0)
    ]
    assert (norms.l1(change[0]) < 2 * least("l1", net, x, criterion)).all()
    assert (norms.l1(change[0]) < 0.9 * norms.l1(change[1])).all()
    assert (norms.l0(change[0]) < 0.6 * norms.l0(change[1])).all()


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_fmn_crosses_where_most_pixels_are_saturated(norm: str) -> None:
    """The published first radius reckons without the box, falls short again and again, and never crosses."""
    x = (pictures((8, 3, 16, 16)) * 4 - 1.5).clamp(0, 1)
    assert ((x == 0) | (x == 1)).float().mean() > 0.7
    net = Linear(x, 3)
    criterion = aim(net, x, False)
    ratio = norms.SIZES[norm](found(FMN(norm=norm), net, x, criterion)) / least(norm, net, x, criterion)
    assert ratio.max() < 1.05


def theirs(attack: Any, net: nn.Module, x: Tensor, criterion: Criterion) -> Tensor:
    """Return the perturbations that foolbox finds."""
    rule = TargetedMisclassification if criterion.targeted else Misclassification
    model = PyTorchModel(net, bounds=(0, 1), device="cpu")
    adv: Tensor = attack.run(model, x, rule(criterion.label))
    return adv.double() - x.double()


@pytest.mark.parametrize(("candidates", "overshoot"), [(3, 0.02), (10, 0.02), (10, 0.2)])
def test_deepfool_is_foolbox(net: nn.Module, x: Tensor, candidates: int, overshoot: float) -> None:
    criterion = aim(net, x, False)
    ours = found(DeepFool(candidates=candidates, overshoot=overshoot), net, x, criterion)
    other = L2DeepFoolAttack(candidates=candidates, overshoot=overshoot)
    torch.testing.assert_close(ours, theirs(other, net, x, criterion), atol=2e-6, rtol=0)


@pytest.mark.parametrize(("targeted", "count"), [(False, 30), (False, 100), (True, 30)])
def test_ddn_is_foolbox(net: nn.Module, x: Tensor, targeted: bool, count: int) -> None:
    criterion = aim(net, x, targeted)
    ours = found(DDN(steps=count), net, x, criterion)
    other = DDNAttack(steps=count)
    torch.testing.assert_close(ours, theirs(other, net, x, criterion), atol=2e-6, rtol=0)


def test_fmn_shrinks_to_where_the_boundary_lies_by_half_at_most() -> None:
    """And by the paper's share at least: a ball of radius 10 with the boundary 0.1, 3 and 8 behind."""
    size, behind, best = torch.full((3,), 10.0), torch.tensor([0.1, 3.0, 8.0]), Smallest(torch.zeros(3, 1))
    best.size = size
    radius = FMN().radius(size, size, size + behind, torch.ones(3, dtype=torch.bool), best, 0.05)
    torch.testing.assert_close(radius, torch.tensor([9.5, 7.0, 4.75]))


def test_fmn_steps_as_far_as_the_ball_reaches_in_l1_alone() -> None:
    """At first, and once the boundary was crossed; the last step is a hundredth in any case."""
    radii, crossed = torch.tensor([9.0, 9.0, 0.25]), torch.tensor([True, False, True])
    assert FMN(norm="l1").length(radii, crossed, 0).tolist() == [3, 1, 1]
    torch.testing.assert_close(FMN(norm="l1").length(radii, crossed, 1), torch.full((3,), 0.01))
    assert FMN(norm="l2").length(radii, crossed, 0).tolist() == [1, 1, 1]


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_fmn_is_as_near_as_foolbox(net: nn.Module, x: Tensor, norm: str, targeted: bool) -> None:
    """Within 2 % wherever that finds anything: in l1 it creeps, and hands some pictures back as they came."""
    x, criterion, size = x[:6], aim(net, x[:6], targeted), norms.SIZES[norm]
    other = {"l1": L1FMNAttack, "linf": LInfFMNAttack}[norm]
    ours, reference = (
        size(found(FMN(norm=norm), net, x, criterion)),
        size(theirs(other(), net, x, criterion)),
    )
    some = reference > 0
    assert some.sum() >= 3 and (ours[some] / reference[some] - 1).abs().max() < 0.02


@pytest.mark.parametrize("targeted", [False, True])
def test_carlini_wagner_is_foolbox(
    net: nn.Module, x: Tensor, targeted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the paper's space, that is with black and white far out, within 2 %; in ours nearer still."""
    x, criterion = x[:4], aim(net, x[:4], targeted)
    other = L2CarliniWagnerAttack(binary_search_steps=2, steps=50, initial_const=0.1, abort_early=False)
    attack = CarliniWagner(search_steps=2, steps=50)
    reference = norms.l2(theirs(other, net, x, criterion))
    ours = norms.l2(found(attack, net, x, criterion))
    assert (ours < 1.02 * reference).all() and ours.mean() < 0.97 * reference.mean()
    monkeypatch.setattr(attacks.carlini_wagner, "EDGE", 7.25)
    monkeypatch.setattr(attacks.carlini_wagner, "END", 7.25)
    published = norms.l2(found(attack, net, x, criterion))
    assert (published / reference - 1).abs().max() < 0.02


@pytest.mark.parametrize("targeted", [False, True])
def test_ead_is_foolbox(net: nn.Module, x: Tensor, targeted: bool) -> None:
    x, criterion, attack = x[:4], aim(net, x[:4], targeted), EAD(search_steps=2, steps=40)
    other = EADAttack(
        binary_search_steps=2,
        steps=40,
        initial_const=1.0,
        regularization=0.001,
        abort_early=False,
        decision_rule="EN",
    )
    sizes = [attack.elastic(d) for d in (found(attack, net, x, criterion), theirs(other, net, x, criterion))]
    assert (sizes[0] / sizes[1] - 1).abs().median() < 0.005 and (sizes[0] < 1.05 * sizes[1]).all()


@pytest.mark.parametrize("attack", EVERY, ids=named)
def test_what_fools_already_is_its_own_answer(attack: Attack, net: nn.Module, x: Tensor) -> None:
    """The smallest perturbation of it is none; beside it the other rows are attacked as ever."""
    criterion = aim(net, x[:2], False)
    criterion.label[0] = (criterion.label[0] + 1) % 10
    change = found(attack, net, x[:2], criterion)
    assert not change[0].any() and change[1].any()


@pytest.mark.parametrize("attack", EVERY, ids=named)
def test_only_differences_of_logits_count(attack: Attack, net: nn.Module, x: Tensor) -> None:
    """All logits below 0, as log-probabilities are: the same pictures."""
    net, x = net.double(), x[:2].double()
    criterion = aim(net, x, False)
    plain = steps(attack, net, x, criterion)[-1].x
    shifted = nn.Sequential(net, _Minus100())
    assert (answer(shifted, Query(x, None)).logits < 0).all()
    other = steps(attack, shifted, x, criterion)[-1].x
    net.float()
    torch.testing.assert_close(other, plain, atol=1e-6, rtol=0)


@pytest.mark.parametrize("attack", EVERY, ids=named)
def test_single_precision_will_do(attack: Attack, net: nn.Module, x: Tensor) -> None:
    criterion, size = aim(net, x[:2], False), norms.SIZES[getattr(attack, "norm", "l2")]
    single = size(found(attack, net, x[:2], criterion))
    double = size(found(attack, net.double(), x[:2].double(), criterion))
    net.float()
    assert (single / double - 1).abs().max() < 0.02


@pytest.mark.parametrize(
    "attack", [DDN(steps=1), FMN(steps=1), CarliniWagner(steps=1), EAD(steps=1)], ids=named
)
def test_out_of_reach_it_ends_where_it_was(attack: Attack) -> None:
    """Where nothing fooled the last picture is the result, not the input."""
    x = pictures((2, 3, 8, 8))
    net = Linear(x, 2, 0.01)
    net.b[0] += 1000
    criterion = Criterion(torch.tensor([0, 0]), False)
    path = steps(attack, net, x, criterion)
    assert not criterion.met(path[-1].evaluation.logits).any()
    assert (path[-1].x != x).flatten(1).any(1).all() and len(path) == attack.updates() + 1


@pytest.mark.parametrize(
    "attack", [CarliniWagner(confidence=2.0, search_steps=2), EAD(confidence=2.0, search_steps=2)], ids=named
)
@pytest.mark.parametrize("targeted", [False, True])
def test_confidence_is_a_margin(attack: Attack, targeted: bool, net: nn.Module, x: Tensor) -> None:
    x, criterion = x[:3], aim(net, x[:3], targeted)
    margin = criterion.margin(steps(attack, net, x, criterion)[-1].evaluation.logits)
    assert (margin > 2).all() and margin.min() < 2.5


@pytest.mark.parametrize("kind", [CarliniWagner, EAD])
def test_giving_up_early(kind: type[CarliniWagner], net: nn.Module, x: Tensor) -> None:
    """Rounds in which nothing moves any more end, and what is found is as good to a tenth."""
    x, criterion = x[:2], aim(net, x[:2], False)
    both = [kind(steps=80, search_steps=2, abort_early=early) for early in (True, False)]
    short, long = (steps(attack, net, x, criterion) for attack in both)
    assert len(short) < len(long) == both[1].updates() + 1
    assert all(criterion.met(path[-1].evaluation.logits).all() for path in (short, long))
    sizes = [norms.l2(path[-1].x - x).mean() for path in (short, long)]
    assert sizes[0] < 1.1 * sizes[1]


def test_deepfool_asks_once_per_candidate_and_ends() -> None:
    x = pictures((3, 3, 8, 8))
    for classes, targeted, probes in [(5, False, 4), (2, False, 1), (5, True, 1)]:
        net = Linear(x, classes)
        criterion = aim(net, x, targeted)
        search, counts = DeepFool().search(x, criterion, torch.Generator()), []
        query = next(search)
        for reply in iter(lambda: answer(net, query), None):  # noqa: B023
            counts.append(len(query.x))
            try:
                query = search.send(reply)
            except StopIteration:
                break
        assert counts[0] == counts[-1] == 3 and set(counts[1:-1]) == {3 * probes} and len(counts) < 20


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (DeepFool, {"candidates": 1}),
        (DeepFool, {"overshoot": -0.1}),
        (DDN, {"init_epsilon": 0.0}),
        (DDN, {"gamma": 1.0}),
        (CarliniWagner, {"initial_const": 0.0}),
        (CarliniWagner, {"confidence": -1.0}),
        (CarliniWagner, {"search_steps": 0}),
        (FMN, {"norm": "l3"}),
        (FMN, {"steps": -1}),
        (EAD, {"rule": "l2"}),
        (EAD, {"beta": -1.0}),
    ],
)
def test_wrong_settings_are_refused(kind: type[Attack], wrong: dict[str, object]) -> None:
    with pytest.raises(BadSetting, match=f"Expected {next(iter(wrong))} to be"):
        kind(**wrong)


@pytest.mark.parametrize("norm", list(PROJECT))
def test_projections(norm: str) -> None:
    """Into box and ball, what is in both stays, and in l1, l2 and linf nothing in both is nearer: the rest
    of the way is orthogonal to it or leads outwards.
    """
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(3, 1, 5, 5, generator=rng, dtype=torch.float64)
    far, other = (x + torch.randn(3, 1, 5, 5, generator=rng, dtype=torch.float64) for _ in range(2))
    size, epsilon = norms.SIZES[norm](far.clamp(0, 1) - x), torch.tensor([0.3, 2.0, 1e3]).double()
    epsilon = torch.tensor([1.0, 7.0, 1e3]).double() if norm == "l0" else epsilon
    near, other = nearest(PROJECT[norm], x, far, epsilon), nearest(PROJECT[norm], x, other, epsilon)
    torch.testing.assert_close(norms.SIZES[norm](near - x), torch.minimum(size, epsilon))
    torch.testing.assert_close(near[2], far[2].clamp(0, 1))
    torch.testing.assert_close(nearest(PROJECT[norm], x, near, epsilon), near)
    if norm != "l0":
        assert (((far - near) * (other - near)).flatten(1).sum(1) <= 1e-9).all()


def test_of_equal_changes_l0_keeps_so_many() -> None:
    x = torch.zeros(2, 1, 3, 3)
    assert norms.l0(nearest(PROJECT["l0"], x, x + 1, torch.tensor([2.0, 4.0]))).tolist() == [2, 4]


def test_the_tanh_space_begins_at_the_picture_and_moves_at_its_edge() -> None:
    x = torch.tensor([0.0, 1e-7, 0.2, 0.5, 1 - 1e-7, 1.0]).view(1, 1, 1, 6)
    space = TanhSpace(x)
    assert torch.equal(space.picture(space.start), x)
    moved = space.picture(space.start * 0.99)
    assert moved.min() > 5e-4 and moved.max() < 1 - 5e-4
    w = space.start.double().clamp(-1.4, 1.4)
    ahead, behind = (TanhSpace(x.double()).picture(w + h) for h in (1e-6, -1e-6))
    torch.testing.assert_close((ahead - behind) / 2e-6, TanhSpace(x.double()).slope(w), atol=1e-6, rtol=0)


def test_adam_is_torch() -> None:
    """Against torch's own, on a bowl."""
    p = torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64, requires_grad=True)
    other, w, ours = torch.optim.Adam([p], lr=0.05), p.detach().clone(), attacks.carlini_wagner.Adam(0.05)
    for _ in range(20):
        other.zero_grad()
        (p**4).sum().backward()
        other.step()
        w = w - ours.step(4 * w**3)
    torch.testing.assert_close(w, p.detach(), atol=1e-9, rtol=0)


def test_shrink() -> None:
    """Equation 5: by beta towards the picture, not beyond it, within the box."""
    x = torch.tensor([0.5, 0.5, 0.5, 0.5, 0.9])
    z = torch.tensor([0.505, 0.53, 0.47, 0.5, 1.2])
    torch.testing.assert_close(shrink(z, x, 0.01), torch.tensor([0.5, 0.52, 0.48, 0.5, 1.0]))


class _Minus100(nn.Module):
    def forward(self, logits: Tensor) -> Tensor:
        return logits - 100
