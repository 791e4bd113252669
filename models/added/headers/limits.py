"""What a file may declare at most, and how what stands in it is shown to people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from errors import WeightsError

MOST_PARAMETERS = 2 * 10**9
"""Numbers in all tensors of a file at most."""
MOST_BYTES = 4 * 2**30
"""Bytes of a file at most: 4 GB."""
MOST_TENSORS = 20_000
MOST_HEADER = 16 * 2**20
"""Bytes of a safetensors header, or of the pickle that names a checkpoint's tensors, at most."""
MOST_DIMENSIONS = 16
LONGEST_NAME = 80
"""Signs of a name from a file that are shown."""


@dataclass(frozen=True)
class DeclaredTensor:
    """A tensor as a header declares it: its ``name``, its ``shape``, the ``bytes`` of one number."""

    name: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def count(self) -> int:
        """Return how many numbers it has, as a whole number of any size."""
        return math.prod(self.shape)


def shown(text: object) -> str:
    """Return a name from a file as one short line: without control characters, cut off when it is long."""
    line = "".join(sign if sign.isprintable() else "�" for sign in str(text)[: LONGEST_NAME + 1])
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"


def sized(path: Path, most: int = MOST_BYTES) -> int:
    """Return the bytes of a file; raises `errors.WeightsError` when it is no file, is empty or too large."""
    try:
        size = path.stat().st_size if path.is_file() else -1
    except (OSError, ValueError):
        size = -1
    if size < 0:
        raise WeightsError("Expected a file, found none at {path}.", path=shown(path))
    if not 0 < size <= most:
        words = "Expected {path} to have at most {most} MB and at least a byte, it has {got:,} bytes."
        raise WeightsError(words, path=shown(path.name), most=most >> 20, got=size)
    return size


def checked_shape(path: Path, name: object, shape: object) -> tuple[int, ...]:
    """Return a declared shape as whole numbers of at least 0; raises `errors.WeightsError` for any other."""
    if (
        not isinstance(shape, Sequence)
        or len(shape) > MOST_DIMENSIONS
        or not all(type(length) is int and 0 <= length < 2**63 for length in shape)
    ):
        words = "{path} declares a tensor “{name}” of the impossible shape {shape}."
        raise WeightsError(words, path=shown(path.name), name=shown(name), shape=shown(shape))
    return tuple(shape)


def within(path: Path, tensors: Iterable[DeclaredTensor]) -> None:
    """Raise `errors.WeightsError` when a file declares too many tensors or numbers."""
    declared = list(tensors)
    if len(declared) > MOST_TENSORS:
        words = "{path} declares {got:,} tensors; at most {most:,} are read."
        raise WeightsError(words, path=shown(path.name), got=len(declared), most=MOST_TENSORS)
    count = sum(tensor.count for tensor in declared)
    if count > MOST_PARAMETERS:
        words = "{path} declares {got:.2g} numbers; at most {most:.2g} are read."
        raise WeightsError(words, path=shown(path.name), got=min(count, 10**300), most=MOST_PARAMETERS)
