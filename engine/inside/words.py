"""What happened in a run, in words: clauses that are put together from figures, each with those it rests on.

Nothing is written that was not computed: a clause whose figures are not there is left out. As in
`engine.sentences`, a sentence is a template, literal English, and the facts for its places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import models
from engine.inside.classes import other_class
from engine.inside.composition import LOW, MIDDLE, composition
from engine.inside.layers import Profile
from engine.inside.saliency import REGION
from engine.run import Run
from engine.sentences import Said
from engine.sharing.voice import percent

CLEAN = "At first the network says “{original}”, {percent}."
UNTOUCHED = "Nothing has been changed yet."
FOOLED = "Since step {since} it says “{goal}”; at step {step} it is {percent} sure."
ELSEWHERE = "At step {step} it says “{label}”, {percent}, which is not the target, “{goal}”."
NOT_FOOLED = (
    "At step {step} it still says “{original}”, {percent}: it is not fooled. “{goal}” is {behind} logits "
    "behind."
)
SIZE = "No value of the picture was changed by more than {levels} of 255 levels."
SPECTRUM = (
    "Of the squared length of the change, {low} lies in the low frequencies and {high} in the high ones; of "
    "noise as long, {noise_low} and {noise_high}."
)
MOVED_AWAY = (
    "By step {moved} what speaks for its answer had left the place where “{original}” was seen: {percent} of "
    "it lies there, of {before} in the original picture."
)
STAYED = (
    "It did not look away from where “{original}” was seen: at step {step}, {percent} of what speaks for its "
    "answer lies there, of {before} in the original picture."
)
PARTED = (
    "Inside, the picture is nearer to another “{goal}” than to what it was from layer {number} of {of} on, "
    "{layer}."
)
NOT_PARTED = "Inside, it is nearer to what it was than to another “{goal}” at the last of {of} layers."
BEYOND = "At the last layer the attack moved it {times} times as far as noise of the same size does."
PROBABILITY = "probability of “{label}” at step {step}: {value}"
MARGIN = "margin at step {step}: {value} logits; above 0 since step {since}"
MARGIN_UNMET = "margin at step {step}: {value} logits"
LARGEST = "largest change of a value at step {step}: {value} (linf)"
SHARES = (
    "share inside the fifth of the original picture that spoke most for “{original}”, by {method} (by chance "
    "it would be {chance}); at {shares}"
)
ANGLES = (
    "1 minus the cosine at the last layer: {towards} from the other picture, {changed} from the clean one"
)
BANDS = (
    "squared l2 at step {step}: {low} of it below {below} and {high} from {above} on, where 1 is half a "
    "cycle a pixel; of noise {noise_low} and {noise_high}"
)
OF_FIRST = (
    "Several networks are taken as one here: what is written of where it looked by a method that looks at "
    "layers, and of the layers themselves, is about the first, {network}."
)
NETWORKS = "networks taken as one: {networks}"
LENGTHS = "relative l2 at the last layer: {changed}, of noise: {noise}"
TEMPLATES = (
    *(
        CLEAN,
        UNTOUCHED,
        FOOLED,
        ELSEWHERE,
        NOT_FOOLED,
        SIZE,
        SPECTRUM,
        MOVED_AWAY,
        STAYED,
        PARTED,
        NOT_PARTED,
        BEYOND,
        OF_FIRST,
    ),
    *(PROBABILITY, MARGIN, MARGIN_UNMET, LARGEST, BANDS, SHARES, ANGLES, LENGTHS, NETWORKS),
)
"""All that may be written."""


@dataclass(frozen=True)
class Clause:
    """``sentence``; ``rests``: the figures it rests on, in words."""

    sentence: Said
    rests: Said


@dataclass(frozen=True)
class Shares:
    """Which share, in [0, 1], of what speaks for the network's answer lies where the original class was seen
    (`engine.inside.saliency.share_inside`), by step, from step 0 on; ``method``: its name in the reader's
    words; ``network``: as in `engine.inside.saliency.SaliencyMap`."""

    method: str
    by_step: tuple[tuple[int, float], ...]
    network: str = ""


def clauses(run: Run, step: int, shares: Shares | None, profile: Profile | None) -> list[Clause]:
    """Return the clauses about a run up to ``step``; ``shares`` and ``profile`` are of the same step, None
    where they were not computed."""
    parts = [_clean(run)]
    if step == 0:
        return [*parts, Clause((UNTOUCHED, {}), (LARGEST, {"step": 0, "value": "0"}))]
    parts += [_answer(run, step), _size(run, step), *_spectrum(run, step)]
    if shares is not None and len(shares.by_step) > 1:
        parts.append(_attention(run, shares))
    if profile is not None:
        parts += _inside(run, step, profile)
    return [*parts, *_first_of(run, shares, profile)]


def _first_of(run: Run, shares: Shares | None, profile: Profile | None) -> Iterator[Clause]:
    """Yield, of several networks as one, which one the other clauses about its inside are about."""
    title = next((one.network for one in (shares, profile) if one is not None and one.network), "")
    if title:
        names = ", ".join(models.card(name).title for name in models.card(run.recipe.model).parts)
        yield Clause((OF_FIRST, {"network": title}), (NETWORKS, {"networks": names}))


def _clean(run: Run) -> Clause:
    label = run.labels[run.original]
    p = run.prediction(0, run.original).probability
    rests: dict[str, str | int] = {"label": label, "step": 0, "value": f"{p:.4f}"}
    return Clause((CLEAN, {"original": label, "percent": percent(p)}), (PROBABILITY, rests))


def _answer(run: Run, step: int) -> Clause:
    goal, original = run.labels[_rival(run, step)], run.labels[run.original]
    (best,) = run.top(step, 1)
    margin = float(run.scalars(step, step + 1)[0, 0])
    facts: dict[str, str | int] = {"step": step, "goal": goal, "original": original}
    facts |= {"percent": percent(best.probability), "label": best.label, "behind": _three(-margin)}
    figure: dict[str, str | int] = {"step": step, "value": _three(margin)}
    if run.succeeded(step):
        sentence = (FOOLED, facts | {"since": named_since(run, step)})
        return Clause(sentence, (MARGIN, figure | {"since": fooled_since(run, step)}))
    unmet = NOT_FOOLED if best.index == run.original else ELSEWHERE
    return Clause((unmet, facts), (MARGIN_UNMET, figure))


def _rival(run: Run, step: int) -> int:
    """Return the class that the margin at ``step`` is about: the target, else the most probable one but the
    original, which may be another than at the end."""
    if run.recipe.target is not None:
        return run.recipe.target
    return next(one.index for one in run.top(step, 2) if one.index != run.original)


def fooled_since(run: Run, step: int) -> int:
    """Return the first step from which on, up to ``step``, the network is fooled as asked."""
    return _since(step, run.succeeded)


def named_since(run: Run, step: int) -> int:
    """Return the first step from which on, up to ``step``, the most probable class is that of ``step``."""
    (best,) = run.top(step, 1)
    return _since(step, lambda at: run.top(at, 1)[0].index == best.index)


def _since(step: int, holds: Callable[[int], bool]) -> int:
    return next((at + 1 for at in range(step, -1, -1) if not holds(at)), 0)


def _size(run: Run, step: int) -> Clause:
    largest = run.figures(step)["linf"] or 0.0
    levels = f"{255 * largest:.3g}"
    return Clause((SIZE, {"levels": levels}), (LARGEST, {"step": step, "value": f"{largest:.4f}"}))


def _spectrum(run: Run, step: int) -> Iterator[Clause]:
    delta = run.picture(step) - run.picture(0)
    if not delta.any():
        return
    seen = composition(delta)
    (low, _, high), (noise_low, _, noise_high) = seen.shares, seen.noise_shares
    facts = {"low": low, "high": high, "noise_low": noise_low, "noise_high": noise_high}
    rests: dict[str, str | int] = {"step": step, "below": f"{LOW:g}", "above": f"{MIDDLE:g}"}
    rests |= {name: f"{share:.4f}" for name, share in facts.items()}
    yield Clause((SPECTRUM, {name: percent(share) for name, share in facts.items()}), (BANDS, rests))


def _attention(run: Run, shares: Shares) -> Clause:
    (_, before), *later = shares.by_step
    last, now = later[-1]
    moved = first_moved(shares)
    facts: dict[str, str | int] = {"original": run.labels[run.original], "before": percent(before)}
    rests = facts | {"method": shares.method, "shares": _listed(shares.by_step), "chance": percent(REGION)}
    if moved is None:
        return Clause((STAYED, facts | {"step": last, "percent": percent(now)}), (SHARES, rests))
    share = dict(later)[moved]
    return Clause((MOVED_AWAY, facts | {"moved": moved, "percent": percent(share)}), (SHARES, rests))


def first_moved(shares: Shares) -> int | None:
    """Return the first step from which on the share is nearer to that of chance, `REGION`, than to that at
    step 0; None where that is not so at the last step."""
    (_, before), *later = shares.by_step
    moved = None
    for step, share in reversed(later):
        if share >= (before + REGION) / 2:
            break
        moved = step
    return moved


def _inside(run: Run, step: int, profile: Profile) -> Iterator[Clause]:
    goal, of = run.labels[other_class(run, step)], len(profile.layers)
    changed, still = profile.changed, profile.noise
    if profile.towards is not None:
        figures = {"towards": _three(profile.towards.cosine[-1]), "changed": _three(changed.cosine[-1])}
        facts: dict[str, str | int] = {"goal": goal, "of": of}
        if profile.parting is not None:
            layer = profile.layers[profile.parting].name.removeprefix("network.")
            facts |= {"number": profile.parting + 1, "layer": layer}
        yield Clause((NOT_PARTED if profile.parting is None else PARTED, facts), (ANGLES, figures))
    times = float(profile.beyond_noise[-1])
    if math.isfinite(times):
        lengths = {"changed": _three(changed.l2[-1]), "noise": _three(still.l2[-1])}
        yield Clause((BEYOND, {"times": _three(times)}), (LENGTHS, lengths))


def _listed(by_step: Sequence[tuple[int, float]]) -> str:
    return ", ".join(f"{step}: {percent(share)}" for step, share in by_step)


def _three(value: float) -> str:
    return f"{value:.3g}"
