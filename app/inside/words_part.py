"""“In words”: a paragraph from the figures of this run alone, longer as they are computed."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from app.inside import layers_part, shelf
from app.inside.looking import Line, Look
from components.i18n.text import say_in, translated
from engine.inside.classes import other_class
from engine.inside.layers import Profile
from engine.inside.pace import Progress
from engine.inside.saliency import (
    GRAD_CAM,
    GRADIENT_ATTENTION,
    INTEGRATED,
    Methods,
    Saliency,
    SaliencyMap,
    share_inside,
)
from engine.inside.words import Clause, Shares, clauses
from engine.sentences import Said

PART = "words"
NODES = 8
"""Points of the rule where integrated gradients are asked for at many steps."""
NAMES = {
    GRAD_CAM: "Grad-CAM",
    GRADIENT_ATTENTION: "gradient x attention",
    INTEGRATED: "integrated gradients",
}
"""Methods that tell what speaks for a class, the quickest first."""


def lines(look: Look) -> Iterator[Line]:
    """Yield the paragraph as far as it is known, again and again until all of it is. ``?photo=``: as in
    `layers_part.lines`."""
    yield _written(look, None, None)
    if look.step == 0:
        return
    profile = layers_part.profile(look, look.step, shelf.chosen(look, other_class(look.run, look.step)))
    yield _written(look, None, profile)
    shares = yield from _shares(look)
    yield _written(look, shares, profile)


def _written(look: Look, shares: Shares | None, profile: Profile | None) -> Line:
    parts = clauses(look.run, look.step, shares, profile)
    return {"type": "words", "step": look.step, "clauses": [_clause(part, look.language) for part in parts]}


def _clause(clause: Clause, language: str) -> Line:
    return {"said": _in(clause.sentence, language), "rests": _in(clause.rests, language)}


def _in(sentence: Said, language: str) -> list[object]:
    template, facts = sentence
    return [template, translated(facts, language)]


def _shares(look: Look) -> Generator[Line, None, Shares | None]:
    """Yield the progress; return the `Shares` of steps along the run up to the one that is looked at."""
    steps = [0, *(step for step in layers_part.course(look) if step < look.step), look.step]
    method, clean = _first(look)
    by_step = [(0, share_inside(clean.values, clean.values))]
    for index, step in enumerate(steps[1:]):
        yield {"type": "progress", "done": index, "of": len(steps) - 1}
        (best,) = look.run.top(step, 1)
        answer = _map(look, step, best.index, method)
        by_step.append((step, share_inside(clean.values, answer.values)))
    known = tuple((step, share) for step, share in by_step if share is not None)
    if not known or known[0][0] != 0:
        return None
    return Shares(say_in(look.language, NAMES[method]), known, clean.network)


def _first(look: Look) -> tuple[str, SaliencyMap]:
    """Return the method that has a meaning on this network, and the original class's map by it."""
    (methods,) = look.ask_network(Methods(look.picture(0)), "methods")
    method = next(name for name in NAMES if name in methods)
    return method, _map(look, 0, look.run.original, method)


def _map(look: Look, step: int, label: int, method: str) -> SaliencyMap:
    nodes = NODES if method == INTEGRATED else 0
    question = Saliency(look.picture(step), label, method, nodes=nodes)
    settings = (method, label, False, *([nodes] if nodes else []))
    answers = look.ask(question, *settings, step=step, part="saliency")
    (only,) = [answer for answer in answers if not isinstance(answer, Progress)]
    return only
