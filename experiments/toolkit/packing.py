"""Arrays inside JSON, small: rounded to a step, compressed and written as text."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

READABLE = ("<i1", "<i2", "<i4")
"""The types that a page reads (``packed.js``)."""


@dataclass(frozen=True)
class Packed:
    """An array of ``shape``: ``data`` is base64 of zlib of little-endian whole numbers of NumPy's ``type``,
    in row-major order, the first axis as differences from one row to the next; a value is that number times
    ``step``."""

    shape: list[int]
    step: float
    type: str
    data: str


def pack(values: ArrayLike, step: float = 1.0) -> Packed:
    """Return ``values`` of any shape, each rounded to a multiple of ``step`` (above 0).

    Raises ValueError where rows differ by more steps than a page can read: 2,147,483,647.
    """
    whole = np.rint(np.asarray(values, dtype=np.float64) / step).astype(np.int64)
    rows = np.diff(whole, axis=0, prepend=np.zeros_like(whole[:1]))
    kind = next((kind for kind in READABLE if _fits(rows, kind)), None)
    if kind is None:
        raise ValueError(f"Expected rows that differ by at most 2,147,483,647 steps of {step:g}, got more.")
    text = base64.b64encode(zlib.compress(rows.astype(kind).tobytes(), 9)).decode()
    return Packed(list(whole.shape), step, kind, text)


def unpack(packed: Packed) -> NDArray[np.float64]:
    """Return the values that were `pack`ed, to within half a step."""
    raw = zlib.decompress(base64.b64decode(packed.data))
    rows = np.frombuffer(raw, packed.type).reshape(packed.shape).astype(np.float64)
    values: NDArray[np.float64] = np.cumsum(rows, axis=0) * packed.step
    return values


def _fits(values: NDArray[np.int64], kind: str) -> bool:
    info = np.iinfo(kind)
    return bool(values.min(initial=0) >= info.min and values.max(initial=0) <= info.max)
