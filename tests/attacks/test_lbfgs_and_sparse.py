"""L-BFGS finds the known optimum and what scipy finds; JSMA and sigma-zero the fewest values."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import fmin_l_bfgs_b, minimize
from torch import Tensor, nn

import models
from attacks.contract import Attack, Criterion, Query, Step, answer, walk
from attacks.jsma import (
    ALL_LOWERED,
    ALL_RAISED,
    JSMA,
    NO_CHANGE,
    NO_PAIR,
    SHARE_SPENT,
    best_pair,
    derivatives,
)
from attacks.lbfgs import LBFGS, towards
from attacks.sigma_zero import SigmaZero, count_slope, largest_to_one
from attacks.toolkit import norms
from attacks.toolkit.lbfgs_direction import Descent, Pairs
from attacks.toolkit.mask import masked
from bench.lbfgs import batched, digits, serial
from errors import BadSetting
from tests.attacks.test_linear_optimum import SHAPES, Linear, aim, inner, nearest
from tests.support.attack_contract import pictures, smooth_net

pytestmark = pytest.mark.usefixtures("one_thread")


def run(attack: Attack, net: Callable[[Tensor], Tensor], x: Tensor, criterion: Criterion) -> list[Step]:
    return list(walk(attack.search(x, criterion, torch.Generator().manual_seed(0)), net, criterion))


def lengths(delta: Tensor) -> Tensor:
    size: Tensor = delta.flatten(1).norm(dim=1)
    return size


def curved() -> nn.Module:
    """Two tanh layers with their weights fourfold."""
    net = smooth_net(3, 8)
    for p in net.parameters():
        p.mul_(4)
    return net


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("saturated", [False, True])
def test_lbfgs_finds_the_shortest_way_across(shape: tuple[int, ...], targeted: bool, saturated: bool) -> None:
    x = pictures(shape) if saturated else inner(shape)
    net = Linear(x, 3)
    criterion, way = aim(net, x, targeted)
    last = run(LBFGS(), net, x, criterion)[-1]
    assert criterion.met(last.evaluation.logits).all()
    ratio = lengths(last.x - x) / lengths(nearest(net, x, way))
    assert ratio.min() > 0.999 and ratio.max() < 1.05


@pytest.mark.parametrize("targeted", [False, True])
def test_lbfgs_among_many_classes(targeted: bool) -> None:
    """Against the quadratic programme that the definition is for a linear network of five classes.

    Cross-entropy heeds every rival, the definition the strongest alone, so that here "exact for convex
    losses" is no more than near: within 10 %, and 15 % where all other classes together are the target.
    """
    rng = torch.Generator().manual_seed(0)
    w, x = torch.randn(5, 16, generator=rng), pictures((3, 1, 4, 4))
    own = (x.flatten(1) @ w.T).argmax(1)
    criterion = Criterion((own + 2) % 5 if targeted else own, targeted)
    last = run(LBFGS(search_steps=12), lambda z: z.flatten(1) @ w.T, x, criterion)[-1]
    assert criterion.met(last.evaluation.logits).all()
    for row in range(3):
        goals = [int(criterion.label[row])] if targeted else [k for k in range(5) if k != own[row]]
        least = min(_programme(w.double().numpy(), x[row].flatten().double().numpy(), goal) for goal in goals)
        assert 0.999 < lengths(last.x - x)[row] / least < (1.1 if targeted else 1.15)


def _programme(w: np.ndarray, x: np.ndarray, goal: int) -> float:
    """Return the least length that makes ``goal`` the greatest logit within the box; infinite if none."""
    rivals = w[goal] - np.delete(w, goal, 0)
    found = minimize(
        lambda z: ((z - x) ** 2).sum(),
        x,
        jac=lambda z: 2 * (z - x),
        bounds=[(0, 1)] * len(x),
        constraints={"type": "ineq", "fun": lambda z: rivals @ z, "jac": lambda z: rivals},
        method="SLSQP",
    )
    return math.sqrt(found.fun) if found.success else math.inf


@pytest.mark.parametrize("targeted", [False, True])
def test_lbfgs_is_scipys_on_a_curved_network(targeted: bool) -> None:
    """The same objective and weights; scipy may take three times the steps."""
    net, x = curved(), pictures((2, 3, 8, 8))
    own = answer(net, Query(x, None)).logits.argmax(1)
    criterion = Criterion((own + 2) % 5 if targeted else own, targeted)
    attack = LBFGS(search_steps=5)
    met, ours = batched(attack, net, x, criterion)
    assert met.all()
    for row in range(2):
        alone = Criterion(criterion.label[row : row + 1], targeted)
        assert ours[row] < 1.03 * serial(net, x[row : row + 1], alone, attack, 60)


@pytest.mark.parametrize("targeted", [False, True])
def test_lbfgs_is_scipys_on_digits(shared: Callable[[str], Path], targeted: bool) -> None:
    shared("mnist")
    net = models.load("fc100")
    x, label = digits(8, net)
    criterion = Criterion((label + 1) % 10 if targeted else label, targeted)
    attack = LBFGS(search_steps=3)
    met, ours = batched(attack, net, x, criterion)
    rows = [Criterion(each[None], targeted) for each in criterion.label]
    theirs = [serial(net, x[i : i + 1], rows[i], attack, 15) for i in range(8)]
    assert met.all() and np.median(ours) < 1.01 * np.median(theirs)


def test_lbfgs_gives_a_batch_what_it_gives_each() -> None:
    x, net, attack = pictures((4, 3, 8, 8)).double(), curved().double(), LBFGS(steps=12, search_steps=6)
    criterion = Criterion(net(x).argmax(1), False)
    together = run(attack, net, x, criterion)[-1].x
    for row in range(4):
        alone = Criterion(criterion.label[row : row + 1], False)
        found = run(attack, net, x[row : row + 1], alone)[-1].x
        torch.testing.assert_close(found[0], together[row], atol=1e-9, rtol=0)


def test_lbfgs_that_cannot_succeed_returns_what_came_closest() -> None:
    """Class 2 never wins, though its logit can be raised."""
    w = torch.randn(27, generator=torch.Generator().manual_seed(0)) / 27

    def net(z: Tensor) -> Tensor:
        score = z.flatten(1) @ w
        return torch.stack([score * 0, -score, score - 9], 1)

    x = inner((2, 3, 3, 3))
    criterion = Criterion(torch.tensor([2, 2]), True)
    path = run(LBFGS(), net, x, criterion)
    margins = torch.stack([criterion.margin(step.evaluation.logits) for step in path])
    assert not criterion.met(path[-1].evaluation.logits).any()
    assert (margins[-1] > margins[0] + 0.1).all() and torch.equal(margins[-1], margins.amax(0))


def test_lbfgs_is_not_blinded_by_a_sure_network() -> None:
    """At p = 1 - 1e-40 the log-probability of the class to leave has no gradient in float32."""
    w = 400 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    x = torch.tensor([[[[0.8, 0.6]]]])
    criterion = Criterion(torch.tensor([0]), False)
    last = run(LBFGS(), lambda z: z.flatten(1) @ w, x, criterion)[-1]
    assert 0.999 < lengths(last.x - x) / (0.2 / math.sqrt(2)) < 1.05


def test_towards_is_minus_the_log_of_what_is_wanted() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).double()
    label = torch.tensor([0, 1, 2, 3, 0, 1])
    for targeted in (False, True):
        criterion = Criterion(label, targeted)
        torch.testing.assert_close(towards(criterion, logits), -criterion.success_probability(logits).log())


def test_two_loops_are_the_bfgs_formula() -> None:
    """Four pairs of each of two rows against the inverse Hessian written out as a matrix."""
    rng = torch.Generator().manual_seed(0)
    root = torch.randn(2, 5, 5, generator=rng, dtype=torch.double)
    hessian = root @ root.mT + torch.eye(5)
    steps = torch.randn(4, 2, 5, generator=rng, dtype=torch.double)
    grad, c = torch.randn(2, 5, generator=rng, dtype=torch.double), torch.tensor([[0.5], [2.0]]).double()
    pairs, every = Pairs(grad, 3), torch.ones(2, 1, dtype=torch.bool)
    for step in steps:
        pairs.add(every, step, (hessian @ step[..., None])[..., 0])
    way = pairs.towards(torch.arange(2), grad, every.expand(2, 5), 2 * c, c)
    for row in range(2):
        eye = torch.eye(5).double()
        whole = hessian[row] + 2 * c[row] * eye
        changes = [whole @ step for step in steps[1:, row]]
        inverse = eye * (steps[-1, row] @ changes[-1]) / (changes[-1] @ changes[-1])
        for s, y in zip(steps[1:, row], changes, strict=True):
            turn = eye - torch.outer(s, y) / (s @ y)
            inverse = turn @ inverse @ turn.T + torch.outer(s, s) / (s @ y)
        torch.testing.assert_close(way[row], -inverse @ grad[row])


def test_descent_solves_boxed_quadratic_programmes() -> None:
    """To the precision asked for, in four rows at once, each with its own weight; against scipy."""
    rng = torch.Generator().manual_seed(1)
    root = torch.randn(4, 3, 20, generator=rng, dtype=torch.double)
    goal, x = 3 * torch.randn(4, 3, generator=rng, dtype=torch.double), pictures((4, 20)).double()
    c = torch.tensor([[0.01], [0.1], [1.0], [10.0]]).double()

    def ask(z: Tensor) -> tuple[Tensor, Tensor]:
        miss = (root @ z[..., None])[..., 0] - goal
        return (miss**2).sum(1, keepdim=True), 2 * (root.mT @ miss[..., None])[..., 0]

    descent = Descent(x, *ask(x), c, 10)
    for _ in range(80):
        trial = descent.trial()
        descent.turn(descent.hear(trial, *ask(trial)))
    for row in range(4):

        def value(z: np.ndarray, row: int = row) -> float:
            miss = root[row].numpy() @ z - goal[row].numpy()
            return float(miss @ miss + float(c[row]) * ((z - x[row].numpy()) ** 2).sum())

        best, *_ = fmin_l_bfgs_b(value, x[row].numpy(), approx_grad=True, bounds=[(0, 1)] * 20, factr=10)
        assert 0 < (best == 0).mean() + (best == 1).mean() < 1
        np.testing.assert_allclose(descent.at[row].numpy(), best, atol=2e-3)


def sides(x: Tensor, lead: float) -> tuple[Callable[[Tensor], Tensor], Tensor, Criterion]:
    """Return a linear network of two classes with logits (-s, s), its weights, and the wish to leave.

    ``lead``: the mean s in parts of the sum of all weights.
    """
    rng = torch.Generator().manual_seed(0)
    w = torch.randn(x[0].numel(), generator=rng).to(x.dtype)
    b = lead * w.abs().sum() - (x.flatten(1) @ w).mean()

    def net(z: Tensor) -> Tensor:
        score = z.flatten(1) @ w + b
        return torch.stack([-score, score], 1)

    return net, w, Criterion(net(x).argmax(1), False)


def fewest(net: Callable[[Tensor], Tensor], w: Tensor, x: Tensor, criterion: Criterion) -> Tensor:
    """Return ``(n,)``: how many values must change, the greatest gains within the box first."""
    way = (2 * criterion.label - 1).to(x.dtype)[:, None]
    slope = -way * w
    gain = slope * torch.where(slope > 0, 1 - x.flatten(1), -x.flatten(1))
    score = net(x).amax(1, keepdim=True)
    return (gain.sort(1, descending=True).values.cumsum(1) <= score).sum(1) + 1


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (3, 3, 8, 8), (8, 3, 16, 16)])
@pytest.mark.parametrize("adam", [False, True])
@pytest.mark.parametrize("targeted", [False, True])
def test_sigma_zero_changes_few_values(shape: tuple[int, ...], adam: bool, targeted: bool) -> None:
    """Of a linear network the fewest are known; within a quarter of that, and two values, in 200 steps."""
    x = pictures(shape)
    net, w, criterion = sides(x, 0.2)
    least = fewest(net, w, x, criterion)
    criterion = Criterion(1 - criterion.label, True) if targeted else criterion
    last = run(SigmaZero(adam=adam), net, x, criterion)[-1]
    assert criterion.met(last.evaluation.logits).all()
    changed = norms.l0(last.x - x)
    assert (changed >= least).all() and (changed <= 1.25 * least + 2).all() and (least > 1).all()


def test_sigma_zero_counts_smoothly() -> None:
    """The slope of the stand-in for the l0 norm is that of its formula; rows are scaled to 1."""
    delta = (
        torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0)).double() / 10
    ).requires_grad_()
    (slope,) = torch.autograd.grad((delta**2 / (delta**2 + 0.001)).flatten(1).mean(1).sum(), delta)
    torch.testing.assert_close(count_slope(delta.detach(), 0.001), slope)
    assert norms.linf(largest_to_one(slope)).tolist() == [1, 1, 1]
    assert not largest_to_one(slope * 0).any()


@pytest.mark.parametrize("theta", [1.0, -1.0])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 8])
def test_jsma_changes_the_fewest_values(theta: float, targeted: bool, rows: int) -> None:
    """Where all values have the same room, pairs by saliency are the greatest weights in turn. A third of
    the values is at the end of the scale: they may not be chosen.
    """
    x = torch.full((rows, 1, 8, 8), 0.5)
    x.flatten(1)[:, ::3] = float(theta > 0)
    net, w, criterion = sides(x, 0.08)
    label = criterion.label
    criterion = Criterion(1 - label, True) if targeted else criterion
    last = run(JSMA(theta=theta, gamma=1.0), net, x, criterion)[-1]
    gain = ((1 - 2 * label)[:, None] * w * theta).clamp(min=0) * (x.flatten(1) == 0.5) / 2
    steps = gain.sort(1, descending=True).values.cumsum(1)[:, 1::2]
    pairs = (steps <= net(x).amax(1, keepdim=True)).sum(1) + 1
    assert criterion.met(last.evaluation.logits).all() and (pairs > 1).all()
    assert torch.equal(norms.l0(last.x - x), 2.0 * pairs)


def test_jsma_untargeted_goes_to_the_best_other_class() -> None:
    """Derivatives of the runner-up first, then those of the sum of all classes but that."""
    logits = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, -1.0]])
    both = derivatives(Criterion(torch.tensor([0, 1]), False), logits.repeat(2, 1))
    assert both.tolist() == [2, 0, 4, 4]
    both = derivatives(Criterion(torch.tensor([1, 2]), True), logits.repeat(2, 1))
    assert both.tolist() == [1, -1, 5, 5]


@pytest.mark.parametrize("seed", range(20))
def test_jsma_takes_the_best_of_all_pairs(seed: int) -> None:
    """Against every pair tried, with ties, values out of bounds, and rows without a salient pair."""
    rng = torch.Generator().manual_seed(seed)
    up, down = (torch.randint(-6, 5 - seed % 5, (5, 12), generator=rng).double() for _ in range(2))
    domain = torch.rand(5, 12, generator=rng) < 0.8
    pair, found = best_pair(up, down, domain)
    for row in range(5):
        some = domain[row].nonzero()[:, 0].tolist()
        sums = [(up[row, [p, q]].sum(), down[row, [p, q]].sum()) for p in some for q in some if p < q]
        salient = max((a * b for a, b in sums if a > 0 and b > 0), default=torch.tensor(0.0))
        a, b = up[row, pair[row]].sum(), down[row, pair[row]].sum()
        if salient > 0:
            assert found[row] and a * b == salient and a > 0
        else:
            best = max((a + b for a, b in sums), default=torch.tensor(0.0))
            assert bool(found[row]) == bool(best > 0) and (not found[row] or a + b == best)
        if found[row]:
            assert pair[row, 0] != pair[row, 1] and domain[row, pair[row]].all()


def test_jsma_keeps_to_its_share_of_values() -> None:
    """A smaller theta moves the same values again; as many change as gamma allows."""
    net, x = smooth_net(1, 6), pictures((4, 1, 6, 6))
    criterion = Criterion(answer(net, Query(x, None)).logits.argmin(1), True)
    for gamma, most in ((0.0, 0), (0.12, 4), (0.2, 7)):
        path = run(JSMA(theta=0.1, gamma=gamma, steps=40), net, x, criterion)
        assert norms.l0(path[-1].x - x).max() == most
    again = run(JSMA(theta=0.1, gamma=0.12, steps=40), net, x, criterion)[-1].x
    assert (again - x).abs().max() > 0.15


def test_jsma_on_a_white_picture_has_nothing_to_move() -> None:
    x = torch.ones(2, 1, 6, 6)
    net = smooth_net(1, 6)
    criterion = Criterion(answer(net, Query(x, None)).logits.argmin(1), True)
    path = run(JSMA(), net, x, criterion)
    assert len(path) == 2 and torch.equal(path[-1].x, x)
    assert not torch.equal(run(JSMA(theta=-1.0), net, x, criterion)[-1].x, x)


def reason(attack: Attack, net: Callable[[Tensor], Tensor], x: Tensor, criterion: Criterion) -> str | None:
    """Return what a search returns at its end."""
    search = attack.search(x, criterion, torch.Generator().manual_seed(0))
    query = next(search)
    while True:
        try:
            query = search.send(answer(net, query))
        except StopIteration as end:
            return None if end.value is None else str(end.value)


@pytest.mark.parametrize(
    ("settings", "level", "expected"),
    [
        ({}, 1.0, ALL_RAISED),
        ({"theta": -0.5}, 0.0, ALL_LOWERED),
        ({"gamma": 0.0}, 0.5, SHARE_SPENT),
        ({"gamma": 0.12, "theta": 0.3}, 0.5, SHARE_SPENT),
        ({"theta": 0.0}, 0.5, NO_CHANGE),
        ({"steps": 2}, 0.5, None),
    ],
)
def test_jsma_says_why_it_can_change_nothing_more(settings: Any, level: float, expected: str | None) -> None:
    x = torch.full((2, 1, 6, 6), level)
    net = smooth_net(1, 6)
    criterion = Criterion(answer(net, Query(x, None)).logits.argmin(1), True)
    assert reason(JSMA(**{"steps": 60} | settings), net, x, criterion) == expected
    assert expected is None or expected in JSMA.dead_ends


def test_jsma_says_that_no_pair_helps_where_there_is_no_gradient_or_the_part_is_white() -> None:
    x, net = torch.full((1, 1, 6, 6), 0.5), smooth_net(1, 6)
    criterion = Criterion(answer(net, Query(x, None)).logits.argmin(1), True)
    assert (
        reason(JSMA(), lambda x: net(x).detach() + 0 * x.flatten(1).sum(1)[:, None], x, criterion) == NO_PAIR
    )
    x[..., 2:4, 2:4] = 1
    part = torch.zeros_like(x)
    part[..., 2:4, 2:4] = 1
    search = masked(JSMA().search(x, criterion, torch.Generator()), x, part)
    query, steps = next(search), 0
    with pytest.raises(StopIteration) as end:
        while True:
            query, steps = search.send(answer(net, query)), steps + 1
    assert end.value.value == NO_PAIR and steps == 1


def test_jsma_blames_nothing_where_some_rows_are_fooled() -> None:
    x, net = torch.ones(2, 1, 6, 6), smooth_net(1, 6)
    says = answer(net, Query(x, None)).logits[0]
    criterion = Criterion(torch.stack([says.argmax(), says.argmin()]), True)
    assert reason(JSMA(), net, x, criterion) is None


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (LBFGS, "memory", 0),
        (LBFGS, "search_steps", 0),
        (LBFGS, "initial_c", 0.0),
        (LBFGS, "steps", -1),
        (JSMA, "gamma", 1.1),
        (JSMA, "theta", -2.0),
        (SigmaZero, "sigma", 0.0),
        (SigmaZero, "threshold", 2.0),
    ],
)
def test_settings_out_of_range_are_refused(kind: type[Attack], field: str, value: float) -> None:
    with pytest.raises(BadSetting, match=field):
        kind(**{field: value})
