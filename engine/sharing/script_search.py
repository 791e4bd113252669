"""The search of an attack as Python, for `engine.sharing.script`: the attack's own source, and what asks for
it.

It serves every attack, those that are yet to be written too; `engine.sharing.script_steps` has shorter text
for some whose step is a few lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from attacks.contract import Attack, Criterion, Evaluation, ReasonedSearch
from attacks.toolkit.eight_bit import eight_bit
from attacks.toolkit.mask import masked
from attacks.toolkit.norms import LINF
from engine.recipe import Recipe
from engine.robustness.surviving import surviving
from engine.sharing import script_text as text
from engine.sharing.excerpt.excerpt import Known, excerpt
from engine.sharing.excerpt.sources import Definition

Wrapper = Callable[..., ReasonedSearch]
RESERVED = frozenset(re.findall(r"[A-Za-z_]\w*", "".join(text.AROUND_A_SEARCH))) | {"mask", "Path", "np"}
"""Names that a script has taken; every word of its text, to be on the safe side."""


@dataclass(frozen=True)
class Search:
    """``imports``: statements; ``code``: all that carries out a run once ``network`` and ``x`` are there."""

    imports: tuple[str, ...]
    code: str


def written(recipe: Recipe, attack: Attack) -> Search:
    """Return the code that repeats a run's search and saves the picture it ends with."""
    targeted, wrappers = recipe.target is not None, _wrappers(recipe, attack)
    wanted = [*map(_definition, (type(attack), Criterion, Evaluation))]
    wanted += [_definition(wrapper) for wrapper, _ in wrappers]
    known = Known.of(attack, {Criterion: {"targeted": targeted}})
    taken = excerpt(wanted, known, RESERVED, read=("label", "targeted"))
    kind, criterion, evaluation, *_ = (taken.names[one] for one in wanted)
    seed = "SEED" if attack.stochastic() else "0"
    search = f"{kind}().search(x, criterion, torch.Generator().manual_seed({seed}))"
    for wrapper, arguments in wrappers:
        search = f"{taken.names[_definition(wrapper)]}({', '.join([search, *arguments])})"
    rule = text.STOP[recipe.stop.rule]
    code = text.SEARCH.format(
        label="TARGET" if targeted else "ORIGINAL",
        criterion=criterion,
        evaluation=evaluation,
        search=search,
        streak="streak = 0\n" if recipe.stop.rule == "row" else "",
        views=f"[:: len(answer.logits) // {1 + len(recipe.survives)}]" if recipe.survives else "[:1]",
        targeted=targeted,
        stop=rule.format(met=text.ALL_MET[targeted], sure=text.ALL_SURE[targeted]),
    )
    return Search(taken.imports, taken.code + code)


def _definition(one: type | Wrapper) -> Definition:
    return Definition(one.__module__, one.__name__)


def _wrappers(recipe: Recipe, attack: Attack) -> list[tuple[Wrapper, list[str]]]:
    """Return what the run's search is wrapped in, from the inside, and with which arguments besides it
    (`engine.jobs`)."""
    wrappers = list[tuple[Wrapper, list[str]]]()
    if recipe.region:
        wrappers.append((masked, ["x", "mask"]))
    if recipe.survives:
        wrappers.append((surviving, ["criterion", json.dumps(recipe.survives)]))
    if recipe.eight_bit:
        norm, epsilon = attack.bound() or ("", 0.0)
        wrappers.append((eight_bit, [repr(epsilon)] if norm == LINF.name else []))
    return wrappers
