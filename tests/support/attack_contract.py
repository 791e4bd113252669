"""What every attack promises, as plain functions: each takes an attack class and asserts.

`test_attacks_contract.py` calls them for whatever `attacks.registry` finds; it also calls
them for attacks that break a promise, to see that they are caught.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import hypothesis
import pytest
import torch
from hypothesis import HealthCheck
from torch import Tensor, nn

from attacks.contract import Attack, Criterion, Query, Step, answer, walk
from attacks.toolkit import norms
from attacks.toolkit.mask import masked
from errors import NoStart

Check = Callable[[type[Attack]], None]

SHAPES = [(1, 3, 8, 8), (4, 3, 8, 8), (1, 1, 6, 6), (4, 1, 6, 6)]
OPPOSITE = [((1, 3, 8, 8), (4, 1, 6, 6)), ((4, 3, 8, 8), (1, 1, 6, 6))]
"""One picture and several, in colour and grey: pairs that have neither in common."""

STEPS = {"white-box": 12, "control": 12, "score-based": 60, "decision-based": 60}
"""How many steps an attack gets here: those that see no gradient need more to get anywhere."""

FEWER = {"white-box": 8, "control": 8, "score-based": 20, "decision-based": 24}
"""How many are enough where it does not matter how far it gets, but whether walks agree or leave their
bounds: rows, seeds, masks."""

FEW = {"samples": 4, "population": 40, "angles": 11}
"""How many images one step asks about here, by the setting that says so: enough for two queries a step
where an attack divides them."""

briefly = hypothesis.settings(
    deadline=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
"""The same examples on every machine, however busy it is."""


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks this small lose by being shared among threads, twentyfold on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Case(NamedTuple):
    """A network, pictures for it, and what to make of them."""

    net: nn.Module
    x: Tensor
    criterion: Criterion

    def clean(self) -> Tensor:
        """Return the logits of the untouched pictures."""
        return answer(self.net, Query(self.x, None)).logits


def smooth_net(channels: int, side: int, classes: int = 5, seed: int = 0) -> nn.Sequential:
    """Return a frozen two-layer tanh network for pictures ``(channels, side, side)``."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(channels, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 8, 3, 2), nn.Tanh()]
    body = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(classes))
    body(torch.zeros(1, channels, side, side))
    return body.eval().requires_grad_(False)


@cache
def _dense_net(channels: int, side: int, classes: int) -> nn.Module:
    """Return `smooth_net` with its convolutions as matrices, three times as fast for small batches."""
    first, _, second, _, _, last = smooth_net(channels, side, classes)
    layers = [_matrix(first, (channels, side, side)), nn.Tanh(), _matrix(second, (8, side, side)), nn.Tanh()]
    return nn.Sequential(nn.Flatten(), *layers, last).eval().requires_grad_(False)


@torch.no_grad()
def _matrix(convolution: nn.Module, shape: tuple[int, int, int]) -> nn.Linear:
    """Return the layer on flattened pictures of ``shape`` that computes what the convolution does."""
    size = math.prod(shape)
    bias = convolution(torch.zeros(1, *shape)).flatten()
    layer = nn.Linear(size, len(bias))
    layer.weight.copy_((convolution(torch.eye(size).view(size, *shape)).flatten(1) - bias).T)
    layer.bias.copy_(bias)
    return layer


def pictures(shape: tuple[int, ...], seed: int = 1) -> Tensor:
    """Return pictures in [0, 1], a quarter of whose values are exactly 0 or 1."""
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=rng) * 1.34 - 0.17).clamp(0, 1)


def case(kind: type[Attack], shape: tuple[int, ...], targeted: bool, classes: int = 5) -> Case:
    """Return a case whose label is the network's own answer, or its least likely class to aim at.

    An attack that sees decisions alone must find the class that it aims at by chance: it aims at the
    second most likely one, since the least likely of these networks covers a thousandth of all pictures.
    """
    net, x = copy.deepcopy(_dense_net(shape[1], shape[2], classes)), pictures(shape)
    order = answer(net, Query(x, None)).logits.argsort(1, descending=True)
    goal = order[:, 1] if kind.card.access == "decision-based" else order[:, -1]
    return Case(net, x, Criterion(goal if targeted else order[:, 0], targeted))


def variants(kind: type[Attack], **fixed: Any) -> Iterator[Attack]:
    """Yield the attack with few steps as it comes, and with each choice and switch turned."""
    names = {each.name for each in kind.settings()}
    few = {"steps": STEPS[kind.card.access], **FEW, **fixed}
    fixed = {name: value for name, value in few.items() if name in names}
    yield kind(**fixed)
    for each in kind.settings():
        if each.name in fixed:
            continue
        others = each.choices if each.choices else (True, False) if each.type == "bool" else ()
        for value in others:
            if value != each.default:
                yield kind(**fixed, **{each.name: value})


def trajectory(attack: Attack, at: Case, seed: int = 0) -> list[Step]:
    """Return every step of the attack run to its end."""
    search = attack.search(at.x, at.criterion, torch.Generator().manual_seed(seed))
    return list(walk(search, at.net, at.criterion))


class Record(NamedTuple):
    """What an attack asked on a case of its own, what was answered, and what the case was before and after.

    ``copies``: the queries' pictures, copied when asked. ``before`` and ``after``: pictures, labels,
    weights and the state of torch's own generator.
    """

    at: Case
    queries: list[Query]
    copies: list[Tensor]
    steps: list[Step]
    before: list[Tensor]
    after: list[Tensor]


@cache
def recorded(attack: Attack, shape: tuple[int, ...], targeted: bool, classes: int = 5) -> Record:
    """Return a run on one of the `case` s with seed 0, done once for all checks that only look at it."""
    at = case(type(attack), shape, targeted, classes)
    before = [part.clone() for part in _parts(at)]
    queries, copies, steps = _driven(attack, at)
    return Record(at, queries, copies, steps, before, _parts(at))


def seen(attack: Attack, at: Case) -> Record:
    """Return the record of an attack on a case, which nobody may change."""
    return recorded(attack, tuple(at.x.shape), at.criterion.targeted, _classes(at))


def box(kind: type[Attack]) -> None:
    """Every picture asked about lies in [0, 1], unless the attack says that it may not."""
    for at, attack in _runs(kind, _cases(kind)):
        steps = seen(attack, at).steps
        assert all(torch.isfinite(step.x).all() for step in steps)
        if attack.boxed():
            assert all(step.x.min() >= 0 and step.x.max() <= 1 for step in steps), "left the box"


def budget(kind: type[Attack]) -> None:
    """A promised budget holds at every step, to 1e-6."""
    for at, attack in _runs(kind, _cases(kind)):
        promise = attack.bound()
        assert (promise is not None) == (kind.card.kind == "budget"), "card and bound disagree"
        if promise is None:
            return
        for step in seen(attack, at).steps:
            size = norms.SIZES[promise[0]](step.x.double() - at.x.double())
            assert size.max() <= promise[1] + 1e-6, f"{size.max():.8f} exceeds {promise[1]:.8f}"


def leaves_input_alone(kind: type[Attack]) -> None:
    """Neither the picture, the label, the network nor torch's own dice are touched."""
    for at, attack in _runs(kind, _cases(kind)):
        record = seen(attack, at)
        x, label, dice, *weights = zip(record.before, record.after, strict=True)
        assert torch.equal(*dice), "used torch's global generator"
        assert torch.equal(*x) and not record.at.x.requires_grad, "the input was changed"
        assert torch.equal(*label)
        assert all(torch.equal(*weight) for weight in weights)
        assert all(parameter.grad is None for parameter in record.at.net.parameters())


def first_and_last(kind: type[Attack]) -> None:
    """The first question is the untouched picture, the last one asks for no gradient, and the
    declared number of questions lies between (fewer, if the attack says when it ends of itself);
    probes come in whole batches; what was asked about never changes afterwards."""
    for at, attack in _runs(kind, _cases(kind)):
        _, queries, copies, *_ = seen(attack, at)
        assert torch.equal(queries[0].x[: len(at.x)], at.x), "did not begin at the picture"
        assert queries[-1].objective is None, "asked for a gradient that it cannot use"
        assert all(len(query.x) and len(query.x) % len(at.x) == 0 for query in queries), "odd rows"
        asked, declared = len(queries), attack.updates() + 1
        assert asked <= declared if kind.ends else asked == declared, f"{asked} queries, not {declared}"
        assert sum(q.objective is not None for q in queries) <= attack.updates()
        images, most = sum(len(query.x) for query in queries), attack.images() * len(at.x)
        assert images <= most, f"asked about {images} pictures, not {most}"
        fewer = kind.ends or at.criterion.targeted  # which may need fewer candidates
        assert fewer or most <= 2 * images + 40 * len(at.x), f"asked about {images}, not {most}"
        assert all(torch.equal(q.x, c) for q, c in zip(queries, copies, strict=True)), "a step was reused"


def last_is_evaluated(kind: type[Attack]) -> None:
    """The last step's logits are those of the last step's picture, and the picture moved."""
    for at, attack in _runs(kind, _cases(kind)):
        last = seen(attack, at).steps[-1]
        torch.testing.assert_close(answer(at.net, Query(last.x, None)).logits, last.evaluation.logits)
        assert (last.x - at.x).abs().amax((1, 2, 3)).min() > 0, "a picture was returned as it came"


def raises_margin(kind: type[Attack]) -> None:
    """Targeted and untargeted, for many classes and for two, every row ends closer to what was asked
    (on average, where all share one perturbation)."""
    if kind.card.access == "control":
        return
    of_two = _cases(kind, classes=2)[:2]
    for at, attack in _runs(kind, _cases(kind, both=True) + of_two, of_two):
        last = seen(attack, at).steps[-1]
        gain = at.criterion.margin(last.evaluation.logits) - at.criterion.margin(at.clean())
        least = gain.mean() if kind.joint else gain.min()
        assert least > 1e-4, f"the margin grew by {least:.2g}"


def zero_epsilon(kind: type[Attack]) -> None:
    """With no budget every picture asked about is the input, exactly."""
    if "epsilon" in {each.name for each in kind.settings()}:
        for at in _cases(kind)[1:3]:
            for attack in variants(kind, epsilon=0.0, steps=FEWER[kind.card.access]):
                assert all(torch.equal(step.x, at.x) for step in trajectory(attack, at)), "moved"


def few_steps(kind: type[Attack]) -> None:
    """No steps: the input, evaluated once. One step: it moves."""
    if "steps" not in {each.name for each in kind.settings()}:
        return
    for at, attack in _runs(kind, _cases(kind), steps=0):
        steps = trajectory(attack, at)
        assert len(steps) == 1 and torch.equal(steps[0].x, at.x), "no steps should leave the picture"
        assert attack.updates() == 0
    for at, attack in _runs(kind, _cases(kind), steps=1):
        if kind.card.access in ("white-box", "control"):  # the others may try in vain
            assert not torch.equal(trajectory(attack, at)[-1].x, at.x)


def rows_are_independent(kind: type[Attack]) -> None:
    """A batch gives what its pictures give one by one, or, where chance is used, what they give beside
    any other pictures (in float64). The rows of a joint attack share one perturbation instead, at every
    step, but for what the box cuts off."""
    if kind.joint:
        _share_one_perturbation(kind)
        return
    cases = [case(kind, (4, 3, 8, 8), targeted) for targeted in (False, True)]
    for turn, attack in enumerate(variants(kind, steps=FEWER[kind.card.access])):
        for at in cases[turn % 2 :][:1] if turn else cases:
            _gives_each_row_its_own(attack, Case(at.net.double(), at.x.double(), at.criterion))


def seeds(kind: type[Attack]) -> None:
    """A seed fixes the trajectory; where chance is asked for, another seed gives another one."""
    at = case(kind, (4, 3, 8, 8), False)
    for attack in variants(kind, steps=FEWER[kind.card.access]):
        first, again, other = (trajectory(attack, at, seed)[1:] for seed in (0, 0, 4))
        assert all(torch.equal(a.x, b.x) for a, b in zip(first, again, strict=True)), "not reproducible"
        same = len(first) == len(other) and all(map(torch.equal, _xs(first), _xs(other)))
        assert same != attack.stochastic(), "the seed makes a difference exactly where it is said to"


def flat_network(kind: type[Attack]) -> None:
    """Where the gradient is zero, what follows it does not move, and nothing becomes NaN; what needs a
    picture to begin from says that there is none."""
    for shape in SHAPES[1:3]:  # several in colour, a grey one
        x = pictures(shape)
        at = Case(_Flat(), x, Criterion(torch.zeros(len(x), dtype=torch.long), False))
        for attack in variants(kind):
            if kind.card.access == "decision-based":
                with pytest.raises(NoStart):
                    trajectory(attack, at)
                continue
            shown = _xs(trajectory(attack, at))
            assert all(torch.isfinite(each).all() for each in shown), "became NaN"
            if kind.card.access == "white-box" and not attack.stochastic():
                assert all(torch.equal(each, x) for each in shown), "moved without a gradient"


def keeps_the_mask(kind: type[Attack]) -> None:
    """Only what a mask allows changes, and something does; an empty mask changes nothing (of the first case).
    What needs a picture to begin from may find none."""
    for place, at in enumerate(_cases(kind)[1:3]):
        mask = torch.zeros(1, 1, *at.x.shape[2:])
        mask[..., 1:5, 2:6] = 1
        for attack in variants(kind, steps=FEWER[kind.card.access]):
            for free in (mask,) if place else (mask, mask * 0):
                search = attack.search(at.x, at.criterion, torch.Generator().manual_seed(0))
                try:
                    last = list(walk(masked(search, at.x, free), at.net, at.criterion))[-1]
                except NoStart:
                    assert kind.card.access == "decision-based"
                    continue
                change = (last.x - at.x).abs()
                assert torch.equal(change * (1 - free), change * 0), "changed what the mask forbids"
                sees = kind.card.access in ("white-box", "control")
                assert not sees or not free.any() or change.max() > 0, "did not change what it may"


def closes_anywhere(kind: type[Attack]) -> None:
    """Closed after any question (of a long search: after every sixth part), a search ends there, leaves
    no thread, and the next one is unharmed."""
    at, threads = case(kind, (1, 3, 8, 8), False), threading.active_count()
    attack = next(variants(kind, steps=FEWER[kind.card.access]))
    whole = trajectory(attack, at)
    for stop in range(0, len(whole), max(len(whole) // 6, 1)):
        search = attack.search(at.x, at.criterion, torch.Generator().manual_seed(0))
        steps = walk(search, at.net, at.criterion)
        for _ in range(stop):
            next(steps)
        steps.close()
        search.close()
        assert next(search, None) is None and threading.active_count() == threads
    assert all(torch.equal(a.x, b.x) for a, b in zip(trajectory(attack, at), whole, strict=True))


def describes_itself(kind: type[Attack]) -> None:
    """Defaults are legal under every norm, numbers have ranges, and the class is frozen data."""
    for norm in next((each.choices for each in kind.settings() if each.name == "norm"), (None,)):
        for each in kind.settings(norm):
            assert each.check(each.default) == each.default and each.label and each.help
            if each.type in ("int", "float"):
                assert each.low is not None and each.high is not None
                assert each.low <= each.default <= (each.soft_high or each.high) <= each.high
    attack = kind()
    assert dataclasses.replace(attack) == attack and hash(attack) == hash(kind())
    assert kind.card.url.startswith("https://") and math.isfinite(kind.card.year)


CHECKS: list[Check] = [
    box,
    budget,
    leaves_input_alone,
    first_and_last,
    last_is_evaluated,
    raises_margin,
    zero_epsilon,
    few_steps,
    rows_are_independent,
    seeds,
    flat_network,
    keeps_the_mask,
    closes_anywhere,
    describes_itself,
]


def _share_one_perturbation(kind: type[Attack]) -> None:
    for at, attack in _runs(kind, _cases(kind, both=True)):
        for step in seen(attack, at).steps:
            change = step.x - at.x
            # Where a row ends at 1 the perturbation is at least what it shows; at 0, at most.
            least = torch.where(step.x > 0, change, -1).amax(0)
            most = torch.where(step.x < 1, change, 1).amin(0)
            assert (least - most).max() < 1e-6, "rows have perturbations of their own"


def _gives_each_row_its_own(attack: Attack, at: Case) -> None:
    net, x, (label, targeted) = at.net, at.x, (at.criterion.label, at.criterion.targeted)
    together = trajectory(attack, at)[-1].x
    for row in range(len(x)):
        others, place = [row], 0
        if attack.stochastic():
            others, place = [row if i == row else (i + 1) % len(x) for i in range(len(x))], row
        beside = Case(net, x[others], Criterion(label[others], targeted))
        torch.testing.assert_close(
            trajectory(attack, beside)[-1].x[place], together[row], atol=1e-9, rtol=0, msg="rows mix"
        )


class _Flat(nn.Module):
    """A network that does not look: its logits are constants."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).sum(1, keepdim=True) * 0 + torch.tensor([1.0, 0.0, -1.0])


def _xs(steps: list[Step]) -> list[Tensor]:
    return [step.x for step in steps]


def _cases(kind: type[Attack], classes: int = 5, both: bool = False) -> list[Case]:
    """Return a case of every shape, each targeted and untargeted if ``both``, or else in turn."""
    turns = [(shape, targeted) for shape in SHAPES for targeted in (False, True)]
    chosen = turns if both else [turns[0], turns[3], turns[5], turns[6]]
    return [case(kind, shape, targeted, classes) for shape, targeted in chosen]


def _runs(
    kind: type[Attack], cases: list[Case], also: Sequence[Case] = (), **fixed: Any
) -> Iterator[tuple[Case, Attack]]:
    """Yield the attack as it comes on all ``cases``; every other variant, by turns, on two cases that are
    opposite in shape and aim, and one that is ``also`` asked for."""
    pairs = [
        [case(kind, shape, aim != bool(place)) for place, shape in enumerate(shapes)]
        for shapes in OPPOSITE
        for aim in (False, True)
    ]
    for turn, attack in enumerate(variants(kind, **fixed)):
        chosen = [*pairs[turn % len(pairs)], *also[turn % 2 :][:1]] if turn else cases
        yield from ((at, attack) for at in chosen)


def _classes(at: Case) -> int:
    last = list(at.net.parameters())[-1]
    return len(last)


def _parts(at: Case) -> list[Tensor]:
    return [at.x, at.criterion.label, torch.get_rng_state(), *at.net.parameters()]


def _driven(attack: Attack, at: Case) -> tuple[list[Query], list[Tensor], list[Step]]:
    """Drive the attack by hand; return its queries, copies of their pictures made at once, and its steps."""
    search = attack.search(at.x, at.criterion, torch.Generator().manual_seed(0))
    queries: list[Query] = []
    copies: list[Tensor] = []
    steps: list[Step] = []
    n, reply = len(at.x), None
    while True:
        try:
            query = next(search) if reply is None else search.send(reply)
        except StopIteration:
            return queries, copies, steps
        queries.append(query)
        copies.append(query.x.clone())
        reply = answer(at.net, query)
        steps.append(Step(len(steps), query.x[:n], reply.head(n)))
