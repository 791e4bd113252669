"""“The boundary”: how straight the network is along two lines, and how far its boundary is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from app.inside.looking import Line, Look
from components.i18n.text import named
from engine.inside.boundary import Along, Distance, Distances, Lines, Straightness

PART = "boundary"
EVERY = 8
"""Of the messages that nothing is new yet, one in so many is passed on."""


def lines(look: Look) -> Iterator[Line]:
    """Yield the points of both lines, then the distances as they come.

    ``?count=``: of directions, 200 by default; ``?seed=`` of them.
    """
    start = look.start()
    delta = look.change()
    for point in look.ask(Lines(start, delta), "lines"):
        yield _along(point) if isinstance(point, Along) else _straight(look, point)
    seed, count = look.whole("seed", 0), look.whole("count", 200)
    yield {"type": "searching", "asked": 0, "of": count, "length": float(np.linalg.norm(delta))}
    for number, answer in enumerate(look.ask(Distances(start, delta, seed, count), "distances", seed, count)):
        if isinstance(answer, Distance):
            yield _distance(look, answer)
        elif number % EVERY == 0:
            yield {"type": "searching", "asked": answer.asked, "of": count}


def _along(point: Along) -> Line:
    return {
        "type": "along",
        "line": point.line,
        "at": point.at,
        "losses": point.losses,
        "margins": point.margins,
        "clipped": point.clipped,
    }


def _straight(look: Look, answer: Straightness) -> Line:
    own, other = (named(look.run.labels[label], look.language) for label in (answer.own, answer.other))
    figures = {"loss": answer.loss, "margin": answer.margin}
    return {"type": "straight", "line": answer.line, "own": own, "other": other} | figures


def _distance(look: Look, answer: Distance) -> Line:
    label = None if answer.label is None else named(look.run.labels[answer.label], look.language)
    figures = {"direction": answer.direction, "length": answer.length, "asked": answer.asked}
    return {"type": "distance", "label": label} | figures
