"""Matrix products in single precision, summed in the order of ATLAS, Caffe's default library.

What a sum of floating-point numbers comes to depends on its order. ATLAS 3.10, as Debian and Ubuntu package
it for any x86 processor, works in blocks of 48. Inside full blocks each sum runs in four lanes; where rows or
columns are left over another kernel takes the lanes otherwise, and where both are, it adds one after the
other. So equal columns need not have equal products: it matters where they stand. The orders were found by
comparing with the library bit by bit; here they are ordinary IEEE additions, the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

BLOCK, LANES = 48, 4
AT_ONCE = 1 << 16
"""How many sums are taken side by side: what stays in a processor's cache."""
NARROW = 1 << 12
"""Fewer sums than that are taken one after the other, not side by side, which would be calls mostly."""


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return ``a @ b``, ``(m, n)``, of ``(m, k)`` and ``(k, n)``, all float32: bit by bit what ATLAS's
    ``sgemm`` returned for every shape of GoogLeNet that was compared.
    """
    out = a.new_empty(len(a), b.shape[1])
    for rows, whole_rows in _regions(len(a)):
        for columns, whole_columns in _regions(b.shape[1]):
            alone = columns.stop - columns.start == 1
            for few in _few(columns, AT_ONCE // (rows.stop - rows.start)):
                out[rows, few] = _sums(a[rows], b[:, few], 0 if alone else whole_rows + whole_columns)
    return out


def _regions(length: int) -> Iterator[tuple[slice, bool]]:
    """Yield what full blocks cover, then what is left over, and whether it is the former."""
    covered = length - length % BLOCK
    if covered:
        yield slice(0, covered), True
    if covered < length:
        yield slice(covered, length), False


def _few(columns: slice, most: int) -> Iterator[slice]:
    step = max(most, 1)
    for start in range(columns.start, columns.stop, step):
        yield slice(start, min(start + step, columns.stop))


def _sums(a: Tensor, b: Tensor, whole: int) -> Tensor:
    """Return the products of a region; ``whole``: how many of its two sides are full blocks."""
    total, k = a.new_zeros(len(a), b.shape[1]), a.shape[1]
    covered = k - k % BLOCK if whole else 0
    for at in range(0, covered, BLOCK):
        total = _in_lanes(total, a[:, at : at + BLOCK], b[at : at + BLOCK], onto=whole == 2)
    if whole == 2 and not k % LANES:
        return _in_lanes(total, a[:, covered:], b[covered:], onto=False)
    return _one_by_one(total, a[:, covered:], b[covered:])


def _in_lanes(total: Tensor, a: Tensor, b: Tensor, *, onto: bool) -> Tensor:
    """Add a block's products in four sums, a term to each in turn, and those crosswise; ``onto``: beginning
    with ``total`` in the first of them, else it is added last."""
    lanes = total.new_zeros(LANES, *total.shape)
    if onto:
        lanes[0] = total
    factors = a.reshape(len(a), -1, LANES).permute(1, 2, 0).contiguous().unsqueeze(-1)
    term = torch.empty_like(lanes)
    for factor, row in zip(factors, b.reshape(-1, LANES, 1, b.shape[1]), strict=True):
        lanes.add_(torch.mul(factor, row, out=term))
    crossed = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
    return crossed if onto else total + crossed


def _one_by_one(total: Tensor, a: Tensor, b: Tensor) -> Tensor:
    if total.numel() < NARROW:
        terms = torch.cat([total.unsqueeze(-1), a.unsqueeze(1) * b.T.unsqueeze(0)], -1)
        return torch.from_numpy(np.add.accumulate(terms.numpy(), -1)[..., -1])
    term = torch.empty_like(total)
    for factor, row in zip(a.T.unsqueeze(-1), b, strict=True):
        total = total.add_(torch.mul(factor, row, out=term))
    return total
