"""Searches that only look: they ask, and change nothing."""

from __future__ import annotations

from torch import Tensor

from attacks.core import Query, Search


def look(x: Tensor) -> Search:
    """Ask for the logits of ``x`` ``(n, c, h, w)`` once."""
    yield Query(x, None)
