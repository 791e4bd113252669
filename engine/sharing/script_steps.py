"""The steps of some attacks as Python, for `engine.sharing.script`: short text for those whose step is a few
lines. Every other attack is repeated by its own source (`engine.sharing.script_search`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from attacks.bim import BIM
from attacks.carlini_wagner import CarliniWagner
from attacks.contract import Attack
from attacks.ddn import DDN
from attacks.deepfool import DeepFool
from attacks.fgsm import FGSM
from attacks.mi_fgsm import MIFGSM
from attacks.ni_fgsm import NIFGSM
from attacks.pgd import PGD
from attacks.toolkit.norms import LINF
from engine.recipe import Recipe
from engine.sharing import script_text as text


def has(recipe: Recipe, attack: Attack) -> bool:
    """Say whether there is text for an attack with these settings; `engine.sharing.script_search` has code
    for every one."""
    beside = recipe.survives or recipe.eight_bit or (recipe.region and attack.stochastic())
    longer = getattr(attack, "restarts", 1) > 1 or getattr(attack, "abort_early", False)
    return type(attack) in WRITERS and _norm(attack) in text.STEP and not (beside or longer)


def written(recipe: Recipe, attack: Attack) -> str:
    """Return the loop that repeats a run's steps and saves the picture it ends with."""
    targeted, parts = recipe.target is not None, WRITERS[type(attack)](recipe, attack)
    streak = {"streak": "0"} if recipe.stop.rule == "row" else {}
    values = {"adv": "x", **parts.values, **streak}
    return text.LOOP.format(
        state=parts.state,
        names=", ".join(values),
        values=", ".join(values.values()),
        stop=text.STOP[recipe.stop.rule].format(met=text.MET[targeted], sure=text.SURE[targeted]),
        start=parts.start,
        gradient=text.GRADIENT.format(loss=text.LOSS[targeted]) if parts.gradient else "",
        update=parts.update,
    )


@dataclass(frozen=True)
class _Steps:
    """What a loop is made of. ``update``: what each step ends with; ``values``: names beside ``adv``, and
    what they begin with; ``state``: code before the loop; ``start``: code of the first step; ``gradient``:
    whether the loss's is taken."""

    update: str
    values: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    start: str = ""
    gradient: bool = True


def _mask(recipe: Recipe) -> str:
    return text.MASK if recipe.region else ""


def _norm(attack: Attack) -> str:
    return str(getattr(attack, "norm", LINF.name))


def _fgsm(recipe: Recipe, attack: Attack) -> _Steps:
    return _Steps(_mask(recipe) + text.FGSM)


def _bim(recipe: Recipe, attack: Attack) -> _Steps:
    norm = _norm(attack)
    start = text.START[norm].format(project=f"    {text.PROJECT[norm]}") if attack.stochastic() else ""
    return _Steps(_mask(recipe) + text.STEP[norm] + text.PROJECT[norm], start=start)


def _mi_fgsm(recipe: Recipe, attack: Attack) -> _Steps:
    step = text.STEP[_norm(attack)] + text.PROJECT[_norm(attack)]
    return _Steps(_mask(recipe) + text.MOMENTUM + step, {"g": "0"})


def _ni_fgsm(recipe: Recipe, attack: Attack) -> _Steps:
    ahead = text.AHEAD.format(loss=text.LOSS[recipe.target is not None], mask=_mask(recipe))
    step = text.STEP[_norm(attack)] + text.PROJECT[_norm(attack)]
    return _Steps(ahead + step, {"g": "0"}, gradient=False)


def _ddn(recipe: Recipe, attack: Attack) -> _Steps:
    update = _mask(recipe) + text.DDN.format(met=text.MET[recipe.target is not None])
    values = {"epsilon": "torch.tensor(INIT_EPSILON)", "nearest": "x", "shortest": "math.inf"}
    return _Steps(update, values, text.UNIT)


def _deepfool(recipe: Recipe, attack: Attack) -> _Steps:
    assert isinstance(attack, DeepFool)
    targeted = recipe.target is not None
    update = text.DEEPFOOL.format(
        rivals="" if targeted else text.RIVALS,
        met=text.MET[targeted],
        leads=text.LEADS[targeted],
        mask=" * mask" if recipe.region else "",
    )
    values = {} if attack.each_step else {"total": "0"}
    return _Steps(update + text.OVER[attack.each_step], values, text.UNIT, gradient=False)


def _carlini_wagner(recipe: Recipe, attack: Attack) -> _Steps:
    targeted = recipe.target is not None
    label = "TARGET" if targeted else "ORIGINAL"
    update = text.LACK.format(label=label, margin=text.MARGIN[targeted], mask=_mask(recipe))
    return _Steps(update, {"adv": "next(search)"}, text.CARLINI_WAGNER, gradient=False)


WRITERS: Mapping[type[Attack], Callable[[Recipe, Attack], _Steps]] = {
    FGSM: _fgsm,
    BIM: _bim,
    PGD: _bim,
    MIFGSM: _mi_fgsm,
    NIFGSM: _ni_fgsm,
    DDN: _ddn,
    DeepFool: _deepfool,
    CarliniWagner: _carlini_wagner,
}
"""What writes the steps of each attack that there is code for."""
