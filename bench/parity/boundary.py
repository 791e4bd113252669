"""Boundary Attack beside foolbox and ART: how small a change after as many questions."""

from __future__ import annotations

import warnings
from typing import Any

from torch import Tensor, nn

from attacks.boundary import Boundary
from attacks.contract import Criterion
from attacks.toolkit import norms
from bench.parity import _peers as peers
from bench.parity import _queries as queries

LIMITS = (1000, 3000)


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    return [row for limit in LIMITS for row in _rows(limit)]


def _rows(limit: int) -> list[dict[str, object]]:
    what = f"l2, untargeted, {limit:,} queries"
    mine = queries.watch(queries.ours(Boundary(steps=limit // 17)), norms.l2, limit)
    found = []
    if name := peers.version("foolbox"):
        theirs = queries.watch(
            lambda net, x, criterion: peers.foolbox("BoundaryAttack", net, x, criterion, None),
            norms.l2,
            limit,
        )
        found.append(queries.compare_sizes(name, what, mine, theirs))
    if name := peers.version("ART"):
        theirs = queries.watch(lambda *at: _art("BoundaryAttack", *at), norms.l2, limit)
        found.append(queries.compare_sizes(name, what, mine, theirs))
    return found


def _art(name: str, net: nn.Module, x: Tensor, criterion: Criterion, **settings: Any) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peers.art(name, net, x, criterion, **settings)
