"""Parts of this program's source, run without the rest: they ask what the attack itself asks, to the bit."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import attacks
from attacks.contract import Attack, Criterion, Evaluation, walk
from attacks.fmn import FMN
from attacks.toolkit.eight_bit import eight_bit
from attacks.toolkit.mask import masked
from engine.sharing.excerpt.excerpt import Excerpt, Known, excerpt
from engine.sharing.excerpt.sources import Definition

BRIEF = {
    "steps": 4,
    "search_steps": 2,
    "samples": 2,
    "population": 40,
    "angles": 3,
    "shifts": 2,
    "targets": 2,
    "candidates": 4,
    "restarts": 2,
    "estimates": 20,
}
"""Settings that say how much is asked, where an attack has them."""
QUESTIONS = 60
"""How many queries of a search are compared at most."""
READ = ("label", "targeted")
OWN_IMPORT = re.compile(r"^\s*(?:import|from) (?:attacks|engine|errors|models|settings)\b", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """An attack with settings of its own, and whether it has a target."""

    attack: Attack
    targeted: bool


def cases() -> Iterator[tuple[str, Case]]:
    """Yield every attack with few steps, and once more for every other choice that it offers."""
    for name, kind in attacks.registry().items():
        settings = kind.settings()
        brief = {item.name: BRIEF[item.name] for item in settings if item.name in BRIEF}
        yield name, Case(kind(**brief), False)
        yield f"{name} to a target", Case(kind(**brief), True)
        for item in settings:
            choices = (True, False) if item.type == "bool" else item.choices
            for other in [choice for choice in choices if choice != item.default]:
                yield f"{name} {item.name}={other}", Case(kind(**brief | {item.name: other}), False)


CASES = dict(cases())


def model(x: Tensor) -> Tensor:
    """Return the logits of twelve classes for pictures of 3 x 8 x 8 values."""
    chance = torch.Generator().manual_seed(1)
    into, out = (torch.randn(size, generator=chance) / size[0] ** 0.5 for size in ((192, 64), (64, 12)))
    logits: Tensor = 6 * torch.tanh(3 * (x - 0.5).flatten(1) @ into) @ out
    return logits


def start() -> Tensor:
    return torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def goal(targeted: bool) -> Criterion:
    ranking = model(start())[0].argsort(descending=True)
    return Criterion(ranking[2 * targeted][None], targeted)


def cut_out(case: Case, *more: Callable[..., Any]) -> tuple[Excerpt, dict[str, Any]]:
    """Return the excerpt of an attack's search, and what is defined once it was run."""
    parts: tuple[Callable[..., Any], ...] = (type(case.attack), Criterion, Evaluation, *more)
    wanted = [Definition(one.__module__, one.__name__) for one in parts]
    known = Known.of(case.attack, {Criterion: {"targeted": case.targeted}})
    taken = excerpt(wanted, known, frozenset(["x", "query"]), READ)
    names: dict[str, Any] = {}
    exec("\n".join([*taken.imports, taken.code]), names)  # it is what a script does
    return taken, {definition.name: names[name] for definition, name in taken.names.items()}


def asked(search: Generator[Any, Any, Any], evaluation: Callable[..., Any]) -> list[Tensor]:
    """Return what a search asks about, step by step."""
    queries, query = list[Tensor](), next(search)
    while len(queries) < QUESTIONS:
        queries.append(query.x)
        x = query.x.detach().requires_grad_(query.objective is not None)
        logits = model(x)
        if query.objective is None:
            reply = evaluation(logits, None, None)
        else:
            loss = query.objective(logits)
            reply = evaluation(logits.detach(), loss.detach(), torch.autograd.grad(loss.sum(), x)[0])
        try:
            query = search.send(reply)
        except StopIteration:
            break
    return queries


def alike(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))


@pytest.mark.parametrize("name", CASES)
def test_an_excerpt_asks_what_the_attack_asks(name):
    case = CASES[name]
    taken, here = cut_out(case)
    criterion = goal(case.targeted)
    ours = asked(case.attack.search(start(), criterion, torch.Generator().manual_seed(3)), Evaluation)
    again = here["Criterion"](criterion.label, case.targeted)
    search = here[type(case.attack).__name__]().search(start(), again, torch.Generator().manual_seed(3))
    assert alike(ours, asked(search, here["Evaluation"]))
    assert len(ours) > 1
    assert not OWN_IMPORT.search("\n".join([*taken.imports, taken.code]))
    assert max(map(len, taken.code.splitlines())) <= 125
    assert "\n\n\n\n" not in taken.code and not re.search(r"# (noqa|type:)|: Tensor|\) ->", taken.code)


def test_it_is_not_alike_by_accident():
    """Another seed and another setting are seen."""
    case = CASES["pgd random_start=True"]
    _, here = cut_out(case)
    search = here["PGD"]().search(
        start(), here["Criterion"](goal(False).label, False), torch.Generator().manual_seed(4)
    )
    theirs = asked(search, here["Evaluation"])
    for attack, seed in ((case.attack, 3), (CASES["pgd"].attack, 4)):
        ours = asked(attack.search(start(), goal(False), torch.Generator().manual_seed(seed)), Evaluation)
        assert not alike(ours, theirs)


def test_what_a_search_is_wrapped_in_comes_along():
    case, mask = CASES["bim"], torch.zeros(1, 1, 8, 8)
    mask[..., 2:5] = 1
    _, here = cut_out(case, masked, eight_bit)
    _, epsilon = case.attack.bound() or ("", 0.0)

    def wrapped(search, one=masked, two=eight_bit):
        return two(one(search, start(), mask), epsilon)

    ours = wrapped(case.attack.search(start(), goal(False), torch.Generator()))
    again = here["Criterion"](goal(False).label, False)
    theirs = here["BIM"]().search(start(), again, torch.Generator())
    theirs = wrapped(theirs, here["masked"], here["eight_bit"])
    assert alike(asked(ours, Evaluation), asked(theirs, here["Evaluation"]))


def test_what_the_settings_rule_out_is_left_out():
    plain, aimed = (cut_out(Case(FMN(norm="l2"), targeted))[0] for targeted in (False, True))
    for code in (plain.code, aimed.code):
        assert "_to_l2_ball" in code and "_to_l1_ball" not in code and "norms" not in code
    assert "others - own" in plain.code and "own - others" not in plain.code
    assert "own - others" in aimed.code and "others - own" not in aimed.code
    assert len(plain.code.splitlines()) < 180


def test_names_that_the_script_has_taken_are_not_taken_twice():
    case = CASES["apgd"]
    wanted = [Definition(one.__module__, one.__name__) for one in (type(case.attack), Criterion)]
    known = Known.of(case.attack, {Criterion: {"targeted": False}})
    taken = excerpt(wanted, known, frozenset(["Path", "wide"]), READ)
    assert "class Path_of_apgd:" in taken.code and "Path_of_apgd(" in taken.code
    assert "def wide_of_batch(" in taken.code and not re.search(r"\bwide\(", taken.code)


def test_walking_and_asking_are_the_same():
    """What these tests ask by themselves is what `attacks.contract.walk` asks."""
    case = CASES["ddn"]
    search = case.attack.search(start(), goal(False), torch.Generator())
    steps = [
        step.x
        for step in walk(case.attack.search(start(), goal(False), torch.Generator()), model, goal(False))
    ]
    assert alike(steps, asked(search, Evaluation))
