"""Searches that only look: they ask, and change nothing."""

from __future__ import annotations

from torch import Tensor

from attacks.contract import Objective, Query, Search


def look(x: Tensor, objective: Objective | None = None) -> Search:
    """Ask about ``x`` ``(n, c, h, w)`` once: for its logits, and, with an ``objective``, its gradient."""
    yield Query(x, objective)
