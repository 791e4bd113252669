"""HopSkipJump beside foolbox and ART: how small a change after as many questions."""

from __future__ import annotations

import math

from attacks.hop_skip_jump import HopSkipJump
from attacks.toolkit import norms
from bench.parity import _peers as peers
from bench.parity import _queries as queries

LIMITS = (1000, 3000)


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    return [row for norm in ("l2", "linf") for limit in LIMITS for row in _rows(norm, limit)]


def _rows(norm: str, limit: int) -> list[dict[str, object]]:
    what, size = f"{norm}, untargeted, {limit:,} queries", norms.SIZES[norm]
    mine = queries.watch(queries.ours(HopSkipJump(norm=norm, steps=limit // 8)), size, limit)
    found = []
    if name := peers.version("foolbox"):
        theirs = queries.watch(
            lambda net, x, criterion: peers.foolbox(
                "HopSkipJumpAttack", net, x, criterion, None, constraint=norm
            ),
            size,
            limit,
        )
        found.append(queries.compare_sizes(name, what, mine, theirs))
    if name := peers.version("ART"):
        order = math.inf if norm == "linf" else 2
        theirs = queries.watch(lambda *at: peers.art("HopSkipJump", *at, norm=order), size, limit)
        found.append(queries.compare_sizes(name, what, mine, theirs))
    return found
