"""Square Attack beside torchattacks and ART: how many questions until the network is fooled."""

from __future__ import annotations

import math

from attacks.square import Square
from attacks.toolkit import norms
from bench.parity import _peers as peers
from bench.parity import _queries as queries

LIMIT = 400
BUDGETS = {"linf": 6 / 255, "l2": 0.6}


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    return [row for norm in BUDGETS for row in _rows(norm)]


def _rows(norm: str) -> list[dict[str, object]]:
    size, epsilon = norms.SIZES[norm], BUDGETS[norm]
    budget = "6/255" if norm == "linf" else f"{epsilon:g}"
    what = f"{norm} {budget}, untargeted, {LIMIT:,} queries"
    mine = queries.watch(queries.ours(Square(norm=norm, epsilon=epsilon, steps=LIMIT)), size, LIMIT)
    found = []
    if name := peers.version("torchattacks"):
        theirs = queries.watch(
            lambda *at: peers.torchattack(
                "Square", *at, norm="Linf" if norm == "linf" else "L2", eps=epsilon, n_queries=LIMIT
            ),
            size,
            LIMIT,
        )
        found.append(queries.compare_counts(name, what, mine, theirs))
    if name := peers.version("ART"):
        order = math.inf if norm == "linf" else 2
        theirs = queries.watch(
            lambda *at: peers.art("SquareAttack", *at, norm=order, eps=epsilon, max_iter=LIMIT), size, LIMIT
        )
        found.append(queries.compare_counts(name, what, mine, theirs))
    return found
