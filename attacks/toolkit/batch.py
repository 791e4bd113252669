"""Rows of a batch that go their own ways: choosing between pictures, and one search for each picture."""

from __future__ import annotations

from torch import Tensor


def wide(values: Tensor, like: Tensor) -> Tensor:
    """Return ``values`` ``(n,)`` in the shape ``(n, 1, 1, 1)`` that goes with pictures ``like``."""
    return values.view(-1, *[1] * (like.dim() - 1))


def choose(rows: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Return ``new`` ``(n, c, h, w)`` where ``rows`` ``(n,)`` says so, else ``old``."""
    return new.where(wide(rows, new), old)
