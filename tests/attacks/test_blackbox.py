"""Attacks that see no gradient, share one perturbation or change one place, against known truths."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
from torch import Tensor

from attacks.bim import BIM
from attacks.boundary import Boundary
from attacks.contract import Attack, Criterion, Query, Step, answer, walk
from attacks.hop_skip_jump import HopSkipJump
from attacks.one_pixel import OnePixel, paint
from attacks.patch import AdversarialPatch
from attacks.random_direction import RandomDirection
from attacks.random_noise import RandomNoise
from attacks.simba import SimBA
from attacks.spatial import Spatial, move, spread
from attacks.square import Square, bump, hill
from attacks.toolkit import norms
from attacks.toolkit.decision_based import AT_ONCE, ROUNDS
from attacks.universal import Universal
from errors import BadSetting, NoStart
from tests.attacks.test_linear_optimum import SHAPES, Linear, aim, inner, nearest
from tests.support.attack_contract import pictures, smooth_net

pytestmark = pytest.mark.usefixtures("one_thread")


def margins(net: torch.nn.Module, x: Tensor, criterion: Criterion) -> Tensor:
    return criterion.margin(answer(net, Query(x, None)).logits)


def steps(attack: Attack, net: torch.nn.Module, x: Tensor, criterion: Criterion) -> list[Step]:
    return list(walk(attack.search(x, criterion, torch.Generator().manual_seed(5)), net, criterion))


# Controls


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("kind", [RandomNoise, RandomDirection])
def test_noise_is_as_large_as_the_budget(kind: type[RandomNoise], norm: str, shape: tuple[int, ...]) -> None:
    """In saturated pictures too: what one value may not go, the others go further."""
    x = pictures(shape)
    net = Linear(x, 0)
    epsilon = 0.05 if norm == "linf" else 0.8
    path = steps(kind(norm=norm, epsilon=epsilon, steps=5), net, x, aim(net, x, False)[0])
    for index, step in enumerate(path[1:], 1):
        size = norms.SIZES[norm](step.x.double() - x.double())
        expected = epsilon * index / 5 if kind is RandomDirection else epsilon
        assert (size - expected).abs().max() < 1e-6 and step.x.min() >= 0 and step.x.max() <= 1


def test_a_budget_larger_than_the_box_ends_in_its_corner() -> None:
    x = pictures((3, 1, 4, 4))
    net = Linear(x, 0)
    path = steps(RandomNoise(norm="l2", epsilon=100.0, steps=3), net, x, aim(net, x, False)[0])
    assert all(((step.x == 0) | (step.x == 1)).all() for step in path[1:])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_last_noise_is_the_best_draw(norm: str) -> None:
    x = pictures((4, 3, 8, 8))
    net = smooth_net(3, 8)
    criterion = Criterion(answer(net, Query(x, None)).logits.argmax(1), False)
    path = steps(RandomNoise(norm=norm, steps=9), net, x, criterion)
    drawn = torch.stack([criterion.margin(step.evaluation.logits) for step in path[1:-1]])
    assert len(drawn) == 9 and len(set(drawn[:, 0].tolist())) == 9
    torch.testing.assert_close(margins(net, path[-1].x, criterion), drawn.amax(0))


def test_a_random_direction_is_straight() -> None:
    x = inner((2, 3, 8, 8))
    net = Linear(x, 0)
    path = steps(RandomDirection(norm="l2", epsilon=1.0, steps=8), net, x, aim(net, x, False)[0])
    for index, step in enumerate(path):
        torch.testing.assert_close(step.x - x, (path[-1].x - x) * index / 8, atol=1e-6, rtol=0)


# Square


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("targeted", [False, True])
def test_square_nears_the_best_corner(shape: tuple[int, ...], targeted: bool) -> None:
    """On a linear network the best gain is that of a sign step: most of it within 500 queries.

    Squares move neighbours alike, and where values beside each other pull in opposite directions (here
    they do at random) only single pixels get the last of it.
    """
    x = pictures(shape)
    net = Linear(x, 0)
    criterion, way = aim(net, x, targeted)
    best = ((x + 0.05 * way * net.w.sign()).clamp(0, 1) - x) * way * net.w
    found = steps(Square(epsilon=0.05, steps=500), net, x, criterion)[-1].x
    share = ((found - x) * way * net.w).flatten(1).sum(1) / best.flatten(1).sum(1)
    assert share.min() > {4: 0.99, 8: 0.85, 16: 0.5}[shape[2]]
    edge = torch.minimum(torch.maximum((found - x).abs(), 0.05 * ((found == 0) | (found == 1))), x * 0 + 0.05)
    torch.testing.assert_close(edge, x * 0 + 0.05, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_square_l2_uses_the_whole_budget(shape: tuple[int, ...]) -> None:
    x = inner(shape)
    net = Linear(x, 0)
    criterion, way = aim(net, x, False)
    path = steps(Square(norm="l2", epsilon=0.5, steps=400), net, x, criterion)
    for step in path[1:]:
        assert (norms.l2(step.x.double() - x.double()) - 0.5).abs().max() < 2e-6
    gain = ((path[-1].x - x) * way * net.w).flatten(1).sum(1)
    assert gain.min() > 0.5 * {4: 0.8, 8: 0.4, 16: 0.3}[shape[2]]


def test_square_is_the_schedule_of_the_paper() -> None:
    """It is .8, .4, .2 ... of the picture after 10, 50, 200 ... of 10,000 queries, at least a pixel wide."""
    x = torch.zeros(1, 3, 224, 224)
    sides = [Square(steps=10_000).side(i, x) for i in (0, 10, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)]
    shares = [0.8, 0.8, *(0.8 / 2**k for k in range(1, 10))]
    assert sides == [round((p * 224 * 224) ** 0.5) for p in shares]
    assert Square(steps=100).side(99, torch.zeros(1, 1, 4, 4)) == 1
    assert Square(norm="l2", steps=100).side(99, x) == 9 and Square(norm="l2").side(0, x) == 201


def test_bumps_are_those_of_equation_2() -> None:
    """By hand for a side of 5: two hills of unit length, one up and one down."""
    like = torch.zeros(1)
    ring = [1 / 9, 1 / 9 + 1 / 4, 1 / 9 + 1 / 4 + 1]
    tall = hill(5, 5, like)
    assert torch.allclose(tall[2], torch.tensor([ring[0], ring[1], ring[2], ring[1], ring[0]]))
    assert torch.allclose(tall[0], torch.full((5,), ring[0])) and torch.equal(tall, tall.T)
    both = bump(5, False, like)
    assert both.shape == (5, 5) and both[:, :2].min() > 0 and both[:, 2:].max() < 0
    assert abs(both.norm() - 1) < 1e-6 and torch.equal(bump(5, True, like), both.T)


# SimBA


@pytest.mark.parametrize("basis", ["pixel", "dct"])
def test_the_basis_is_orthonormal(basis: str) -> None:
    x = torch.zeros(36, 2, 3, 6, dtype=torch.float64)
    flat = SimBA(basis=basis).vectors(torch.arange(36), x).flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(36, dtype=torch.float64))


def test_low_frequencies_come_first() -> None:
    x = torch.zeros(1, 3, 16, 16)
    order = SimBA(steps=1000).order(x, torch.Generator().manual_seed(0))
    top = torch.maximum(order // 16 % 16, order % 16)
    assert len(order.unique()) == 768 and (top[:12] < 2).all() and (top[:48] < 4).all()
    assert (top.div(2, rounding_mode="floor").diff() >= 0).all()


@pytest.mark.parametrize("shape", [SHAPES[0], (3, 3, 4, 4), (8, 1, 6, 6)])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("basis", ["pixel", "dct"])
def test_simba_takes_every_vector_the_right_way(basis: str, targeted: bool, shape: tuple[int, ...]) -> None:
    """On a linear network each vector helps one way only: two tries for each, and all have gone that way."""
    x = inner(shape).double()
    net = Linear(x, 0)
    criterion, way = aim(net, x, targeted)
    size = x[0].numel()
    attack = SimBA(basis=basis, steps=2 * size, step_size=0.01)
    delta = (steps(attack, net, x, criterion)[-1].x - x) * way
    vectors = attack.vectors(torch.arange(size), x[:1]).flatten(1)
    gains = vectors @ net.w.double().flatten()
    times = delta.flatten(1) @ vectors.T / 0.01 * gains.sign()
    assert times[:, gains.abs() > 1e-6].min() > 0.999
    torch.testing.assert_close(times, times.round(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("basis", ["pixel", "dct"])
def test_simba_only_keeps_what_helps(basis: str) -> None:
    """Algorithm 1 written out for one picture at a time gives the same pictures."""
    x = pictures((3, 3, 8, 8)).double()
    net = smooth_net(3, 8).double()
    criterion = Criterion(answer(net, Query(x, None)).logits.argmax(1), False)
    attack = SimBA(basis=basis, steps=120)
    path = steps(attack, net, x, criterion)
    rng = torch.Generator().manual_seed(5)
    for row in range(3):
        order, one, seen = attack.order(x, rng), x[row : row + 1], 0
        aim_ = Criterion(criterion.label[row : row + 1], False)
        for number in order:
            for sign in (1, -1):
                tried = (one + sign * attack.step_size * attack.vectors(number[None], x[:1])).clamp(0, 1)
                seen += 1
                if seen <= 120:
                    torch.testing.assert_close(path[seen].x[row : row + 1], tried)
                    if aim_.loss(net(tried)) < aim_.loss(net(one)):
                        one = tried
                        break
        torch.testing.assert_close(path[-1].x[row : row + 1], one)


# One pixel


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("targeted", [False, True])
def test_evolution_nears_the_best_pixel(targeted: bool, shape: tuple[int, ...]) -> None:
    """On a linear network the best pixel goes to a corner of the colour cube.

    With weights drawn anew for every pixel its neighbours say nothing of it: evolution settles on a good
    one of 256, not on the best.
    """
    x = pictures(shape)
    net = Linear(x, 0)
    criterion, way = aim(net, x, targeted)
    gains = torch.maximum((0 - x) * way * net.w, (1 - x) * way * net.w).sum(1)
    delta = steps(OnePixel(steps=30, population=64), net, x, criterion)[-1].x - x
    assert (delta != 0).any(1).flatten(1).sum(1).max() == 1
    share = (delta * way * net.w).flatten(1).sum(1) / gains.flatten(1).amax(1)
    assert share.min() > {4: 0.99, 8: 0.8, 16: 0.6}[shape[2]]


@pytest.mark.parametrize("pixels", [1, 3, 8])
def test_no_more_pixels_change_than_allowed(pixels: int) -> None:
    """At every query, probes included; what is shown only ever gets better; a query asks 33 rows at most."""
    x = pictures((2, 3, 8, 8))
    net = smooth_net(3, 8)
    criterion = Criterion(answer(net, Query(x, None)).logits.argmax(1), False)
    attack = OnePixel(pixels=pixels, steps=4, population=70)
    search, shown = attack.search(x, criterion, torch.Generator().manual_seed(0)), []
    query = next(search)
    try:
        while True:
            change = query.x - x.repeat(len(query.x) // 2, 1, 1, 1)
            assert (change != 0).any(1).flatten(1).sum(1).max() <= pixels and len(query.x) <= 2 * 33
            shown.append(criterion.loss(net(query.x[:2])))
            query = search.send(answer(net, query))
    except StopIteration:
        assert len(shown) == 4 * 3 + 2 and (torch.stack(shown[2:]).diff(dim=0) <= 1e-6).all()


def test_members_are_painted_where_they_say() -> None:
    x = torch.zeros(1, 3, 4, 10)
    member = torch.tensor([[[[0.5, 0.19, 0.1, 0.2, 0.3], [1.0, 1.0, 0.4, 0.5, 0.6]]]])
    adv = paint(x, member)[0, 0]
    assert adv[:, 2, 1].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert adv[:, 3, 9].tolist() == pytest.approx([0.4, 0.5, 0.6]) and adv.sum() == pytest.approx(2.1)


def test_children_are_a_member_plus_half_a_difference() -> None:
    """Equation 3, of three different members, whatever they are."""
    members = torch.zeros(5, 1, 1, 3)
    members[:, 0, 0, 0] = torch.tensor([0.4, 0.401, 0.41, 0.5, 0.0])
    values = members.flatten(0)[::3].tolist()
    possible = [a + (b - c) / 2 for a in values for b in values for c in values if len({a, b, c}) == 3]
    rng = torch.Generator().manual_seed(0)
    found = torch.cat([OnePixel().children(members, rng)[:, 0, 0, 0] for _ in range(40)])
    assert (found[:, None] - torch.tensor(possible).clamp(0, 1)).abs().amin(1).max() < 1e-6
    assert len(found.unique()) > 40


# Boundary and HopSkipJump


def nearest_linf(net: Linear, x: Tensor, way: Tensor) -> Tensor:
    """Return the least change of the largest value, ``(n,)``, that brings the score to 0, by bisection."""
    low, high = torch.zeros_like(way), torch.ones_like(way)
    for _ in range(50):
        t = (low + high) / 2
        short = (net.score((x + t * way * net.w.sign()).clamp(0, 1)).view_as(way) * way) < 0
        low, high = torch.where(short, t, low), torch.where(short, high, t)
    return high.flatten()


DECISIONS = [
    (Boundary(steps=200), {4: 1.03, 8: 1.6, 16: 2.8}),
    (HopSkipJump(steps=100), {4: 1.05, 8: 1.15, 16: 1.5}),
    (HopSkipJump(steps=100, norm="linf"), {4: 1.01, 8: 1.35, 16: 2.4}),
]


@pytest.mark.parametrize(("attack", "ratios"), DECISIONS, ids=["boundary", "hsj", "hsj-linf"])
@pytest.mark.parametrize(("shape", "targeted"), [(SHAPES[0], True), (SHAPES[1], False), (SHAPES[2], True)])
@pytest.mark.parametrize("saturated", [False, True])
def test_decisions_lead_near_the_boundary(
    attack: Attack, ratios: dict[int, float], shape: tuple[int, ...], targeted: bool, saturated: bool
) -> None:
    """After some 3,400 queries (HopSkipJump: at most 3,300) no further than these multiples of the least
    distance. What a query tells is one bit, so more values need more of them: 16, 192 and 768 here."""
    x = (pictures(shape) if saturated else inner(shape))[:3]
    net = Linear(x, 0)
    criterion, way = aim(net, x, targeted)
    last = steps(attack, net, x, criterion)[-1]
    linf = getattr(attack, "norm", "l2") == "linf"
    least = nearest_linf(net, x, way) if linf else norms.l2(nearest(net, x, way))
    ratio = norms.SIZES["linf" if linf else "l2"](last.x - x) / least
    assert criterion.met(last.evaluation.logits).all()
    assert ratio.min() > 0.999 and ratio.max() < ratios[shape[2]]


@pytest.mark.parametrize("attack", [Boundary(steps=700), HopSkipJump(steps=300)], ids=["boundary", "hsj"])
def test_more_decisions_lead_nearer(attack: Attack) -> None:
    x = inner((1, 3, 8, 8))
    net = Linear(x, 0)
    criterion, way = aim(net, x, False)
    found = steps(attack, net, x, criterion)[-1].x
    assert norms.l2(found - x) / norms.l2(nearest(net, x, way)) < 1.05


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("attack", [attack for attack, _ in DECISIONS], ids=["boundary", "hsj", "hsj-linf"])
def test_nothing_but_the_decision_is_looked_at(attack: Attack, targeted: bool) -> None:
    """A network that gives its answer and no more, 1 for the winner and 0 for the others, gives the same
    pictures, to the bit."""
    x, net = pictures((2, 3, 8, 8)), smooth_net(3, 8)
    order = answer(net, Query(x, None)).logits.argsort(1, descending=True)
    criterion = Criterion(order[:, 1 if targeted else 0], targeted)

    class Decides(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = net(x)
            return torch.nn.functional.one_hot(logits.argmax(1), 5).to(x.dtype)

    attack = dataclasses.replace(attack, steps=40)  # type: ignore[call-arg]
    paths = [steps(attack, each, x, criterion) for each in (net, Decides())]
    assert len(paths[0]) == 42 and all(torch.equal(a.x, b.x) for a, b in zip(*paths, strict=True))


@pytest.mark.parametrize("kind", [Boundary, HopSkipJump])
def test_where_nothing_fools_there_is_no_start(kind: type[Attack]) -> None:
    """After 256 pictures, or fewer if there are fewer steps, and never the input as a result."""
    x = pictures((2, 1, 6, 6))
    criterion = Criterion(torch.tensor([0, 0]), False)

    def always(x: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0, 0.0]]).expand(len(x), 3)

    for count, tried in ((50, ROUNDS * AT_ONCE), (2, 2 * AT_ONCE)):
        search = kind(steps=count).search(x, criterion, torch.Generator().manual_seed(0))  # type: ignore[call-arg]
        with pytest.raises(NoStart, match=f"none of {tried} random ones"):
            list(walk(search, always, criterion))


@pytest.mark.parametrize("attack", [attack for attack, _ in DECISIONS], ids=["boundary", "hsj", "hsj-linf"])
def test_the_last_picture_is_the_nearest_that_fooled(attack: Attack) -> None:
    x, net = pictures((3, 3, 8, 8)), smooth_net(3, 8)
    criterion = Criterion(answer(net, Query(x, None)).logits.argmax(1), False)
    path = steps(attack, net, x, criterion)
    size = norms.SIZES[getattr(attack, "norm", "l2")]
    stood = [(size(s.x - x), criterion.met(s.evaluation.logits)) for s in path]
    least = torch.stack([torch.where(met, far, 1e9) for far, met in stood]).amin(0)
    assert stood[-1][1].all() and torch.equal(stood[-1][0], least)


# Spatial


@pytest.mark.parametrize("shape", [(2, 3, 9, 9), (1, 1, 12, 8), (2, 1, 5, 11)])
@pytest.mark.parametrize(
    ("turn", "right", "down"), [(30, 0, 0), (-90, 0, 0), (0, 0.25, -0.1), (12.5, -0.1, 0.3)]
)
def test_turned_as_an_independent_resampling_says(
    shape: tuple[int, ...], turn: float, right: float, down: float
) -> None:
    """Against a loop over the pixels: where each comes from, and its four neighbours there."""
    x = pictures(shape).double()
    n, c, height, width = shape
    expected = torch.zeros_like(x)
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    for i, j in itertools.product(range(height), range(width)):
        # Up is positive here: undo the shift, then turn clockwise about the middle.
        across = j - (width - 1) / 2 - right * width
        up = (height - 1) / 2 - i + down * height
        column = cos * across + sin * up + (width - 1) / 2
        row = (height - 1) / 2 - (-sin * across + cos * up)
        for a, b in itertools.product(
            (math.floor(row), math.floor(row) + 1), (math.floor(column), math.floor(column) + 1)
        ):
            if 0 <= a < height and 0 <= b < width:
                expected[:, :, i, j] += x[:, :, a, b] * (1 - abs(row - a)) * (1 - abs(column - b))
    found = move(x, torch.tensor([[turn, right, down]], dtype=torch.float64))
    torch.testing.assert_close(found[0], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("targeted", [False, True])
def test_the_worst_of_the_whole_grid_is_kept(targeted: bool) -> None:
    x, net = pictures((3, 3, 8, 8)), smooth_net(3, 8)
    logits = answer(net, Query(x, None)).logits
    criterion = Criterion(logits.argmin(1) if targeted else logits.argmax(1), targeted)
    attack = Spatial(angles=7, shifts=3)
    path = steps(attack, net, x, criterion)
    every = torch.stack([margins(net, each, criterion) for each in move(x, attack.grid())])
    assert len(every) == 7 * 9 - 1 and len(path) == attack.updates() + 1 == 2 + 1 + 1
    torch.testing.assert_close(margins(net, path[-1].x, criterion), every.amax(0))


def test_the_grid_is_that_of_the_paper() -> None:
    grid = Spatial().grid()
    assert len(grid) == 31 * 5 * 5 - 1 and grid.abs().amax(0).tolist() == pytest.approx([30, 0.1, 0.1])
    assert spread(30.0, 5).tolist() == [-30, -15, 0, 15, 30] and spread(30.0, 1).tolist() == [0]
    assert Spatial(rotation=0.0, translation=0.0).updates() == 0 and len(Spatial(rotation=0.0).grid()) == 24


# Universal


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_with_one_picture_it_is_bim(targeted: bool, norm: str) -> None:
    """Where the box cuts nothing off, to the bit but for the order of sums."""
    x, net = inner((1, 3, 8, 8)), smooth_net(3, 8)
    logits = answer(net, Query(x, None)).logits
    criterion = Criterion(logits.argmin(1) if targeted else logits.argmax(1), targeted)
    sizes = {"linf": (0.1, 0.03), "l2": (1.0, 0.2)}[norm]
    attacks = [kind(norm=norm, epsilon=sizes[0], step_size=sizes[1], steps=9) for kind in (BIM, Universal)]
    ours, theirs = (steps(attack, net, x, criterion)[-1].x for attack in attacks)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_shared_change_is_the_best_for_all(norm: str, shape: tuple[int, ...]) -> None:
    """On a linear network that says the same of every picture all want the same change: it is found."""
    x = pictures(shape)
    net = Linear(x, 0)
    net.b = net.b + 5
    criterion, _ = aim(net, x, False)
    attack = Universal(norm=norm, epsilon=0.1, step_size=0.03, steps=9)
    found = steps(attack, net, x, criterion)[-1].x
    way = net.w.sign() if norm == "linf" else net.w / net.w.norm()
    torch.testing.assert_close(found, (x - 0.1 * way).clamp(0, 1), atol=1e-4, rtol=0)


def test_what_is_beyond_the_cap_counts_no_further() -> None:
    """The second picture is as wrong as can be: the perturbation is that of the first one alone."""
    x = inner((2, 3, 8, 8))
    net = smooth_net(3, 8)
    order = answer(net, Query(x, None)).logits.argsort(1)
    criterion = Criterion(torch.stack([order[0, -1], order[1, 0]]), False)
    losses = -criterion.loss(answer(net, Query(x, None)).logits)
    attack = Universal(steps=3, loss_cap=float(losses.mean()))
    assert losses[0] < losses.mean() < losses[1]
    both = steps(attack, net, x, criterion)[-1].x - x
    alone = steps(attack, net, x[:1], Criterion(criterion.label[:1], False))[-1].x - x[:1]
    torch.testing.assert_close(both[:1], alone, atol=1e-6, rtol=0)
    torch.testing.assert_close(both[0], both[1], atol=1e-6, rtol=0)


# Patch


@pytest.mark.parametrize("placement", ["fixed", "random"])
@pytest.mark.parametrize(("x", "y", "size"), [(0.0, 0.0, 0.3), (1.0, 0.5, 0.5), (0.5, 1.0, 1.0)])
def test_only_its_square_changes(placement: str, x: float, y: float, size: float) -> None:
    at, net = pictures((2, 3, 8, 10)), smooth_net(3, 8)
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d((8, 8)), net)
    criterion = Criterion(answer(net, Query(at, None)).logits.argmax(1), False)
    attack = AdversarialPatch(x=x, y=y, size=size, placement=placement, steps=6)
    top, left, side = attack.square(at)
    assert (top + side <= 8) and (left + side <= 10) and side == max(round(8 * size), 1)
    for step in steps(attack, net, at, criterion)[1:]:
        change = (step.x - at).abs()
        assert change[:, :, top : top + side, left : left + side].amax() > 0
        change[:, :, top : top + side, left : left + side] = 0
        assert change.amax() == 0


@pytest.mark.parametrize("targeted", [False, True])
def test_the_patch_becomes_the_best_one(targeted: bool) -> None:
    """On a linear network: every value of the square all the way up or down."""
    x = pictures((3, 3, 8, 8))
    net = Linear(x, 0)
    criterion, way = aim(net, x, targeted)
    attack = AdversarialPatch(size=0.5, step_size=0.05, steps=21)
    top, left, side = attack.square(x)
    square = (..., slice(top, top + side), slice(left, left + side))
    found = steps(attack, net, x, criterion)[-1].x
    matters = (net.w != 0).expand_as(x)[square]
    assert torch.equal(found[square][matters], ((way * net.w) > 0).float()[square][matters])


def test_a_placement_without_turn_or_resize_is_a_pasting() -> None:
    """At the four corners, and turned by a quarter."""
    x, patch = pictures((1, 3, 8, 10)), pictures((1, 3, 4, 4), seed=7)
    attack = AdversarialPatch(size=0.5, rotation=90.0, resize=0.0)
    for right, down in itertools.product((0, 1), (0, 1)):
        way = torch.tensor([[0.5, 0.5, right, down]])
        own = dataclasses.replace(attack, x=right, y=down)
        torch.testing.assert_close(attack.place(x, patch, way), own.cover(x, patch), atol=1e-5, rtol=0)
    turned = attack.place(x, patch, torch.tensor([[1.0, 0.5, 0.0, 0.0]]))[..., :4, :4]
    assert any(torch.allclose(turned, patch.rot90(k, (2, 3)), atol=1e-5) for k in (1, 3))


def test_random_placement_trains_for_other_places() -> None:
    """Pasted anywhere, a patch trained at random places does better than one trained for a single place."""
    x, net = inner((4, 3, 16, 16)), smooth_net(3, 16)
    criterion = Criterion(answer(net, Query(x, None)).logits.argmin(1), True)
    ways = torch.rand((60, 4, 4), generator=torch.Generator().manual_seed(3))
    means = []
    for placement in ("fixed", "random"):
        attack = AdversarialPatch(size=0.4, step_size=0.05, steps=40, placement=placement)
        top, left, side = attack.square(x)
        patch = steps(attack, net, x, criterion)[-1].x[:, :, top : top + side, left : left + side]
        pasted = torch.cat([attack.place(x, patch, way) for way in ways])
        means.append(criterion.repeat(60).loss(net(pasted)).mean())
    assert means[1] < means[0] - 0.005


# Every attack that sees no gradient


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (RandomNoise, {"epsilon": 2}),
        (Square, {"p_init": 0}),
        (SimBA, {"basis": "wavelet"}),
        (SimBA, {"low": 0}),
        (OnePixel, {"pixels": 0}),
        (OnePixel, {"population": 2}),
        (Boundary, {"directions": 17}),
        (Boundary, {"adaptation": 0.5}),
        (HopSkipJump, {"norm": "l0"}),
        (HopSkipJump, {"estimates": 0}),
        (Spatial, {"angles": 0}),
        (Universal, {"loss_cap": 0}),
        (AdversarialPatch, {"size": 0}),
        (AdversarialPatch, {"placement": "anywhere"}),
    ],
)
def test_wrong_settings_are_refused(kind: type[Attack], wrong: dict[str, object]) -> None:
    with pytest.raises(BadSetting, match=f"Expected {next(iter(wrong))} to be"):
        kind(**wrong)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    "attack",
    [Square(steps=30), Square(steps=30, norm="l2"), SimBA(steps=30), OnePixel(steps=3), Boundary(steps=20)],
    ids=repr,
)
def test_no_gradient_is_asked_for(attack: Attack, targeted: bool) -> None:
    x = pictures((2, 3, 8, 8))
    net = smooth_net(3, 8)
    logits = answer(net, Query(x, None)).logits
    order = logits.argsort(1, descending=True)
    criterion = Criterion(order[:, 1 if targeted else 0], targeted)
    search = attack.search(x, criterion, torch.Generator().manual_seed(0))
    query, asked = next(search), 0
    try:
        while True:
            assert query.objective is None
            query, asked = search.send(answer(net, query)), asked + 1
    except StopIteration:
        assert asked == attack.updates()
