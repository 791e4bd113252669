"""Targets that go by a network's own ranking of a picture: the second most probable class, the least
probable one, or one at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, get_args

from engine.run import Prediction

RankedTarget = Literal["second likely", "least likely", "random"]
RANKED_TARGETS: tuple[RankedTarget, ...] = get_args(RankedTarget)
SHORT_NAMES: dict[str, RankedTarget] = {
    "second": "second likely",
    "2nd likely": "second likely",
    "least": "least likely",
}


def ranked_target(text: str) -> RankedTarget | None:
    """Return the target by rank that ``text`` names, in any case; None when it names none."""
    name = " ".join(text.casefold().split())
    return next((target for target in RANKED_TARGETS if target == name), SHORT_NAMES.get(name))


def class_by_rank(target: RankedTarget, ranking: Sequence[Prediction], chance: random.Random) -> int:
    """Return the index of the class that ``target`` means.

    ``ranking``: at least two classes, the most probable first; that one is never returned. ``chance`` draws
    the random class.
    """
    others = ranking[1:]
    if target == "random":
        return chance.choice(others).index
    return others[0 if target == "second likely" else -1].index
