"""The header of a safetensors file: a length of 8 bytes, JSON, then the tensors without a hole between them.

Source: https://huggingface.co/docs/safetensors, "Format".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from errors import WeightsError
from models.added.headers.limits import (
    MOST_HEADER,
    DeclaredTensor,
    checked_shape,
    shown,
    sized,
    within,
)

BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
"""Bytes of one number of every type that is read."""
METADATA = "__metadata__"
LENGTH = 8
BROKEN = "{path} is not safetensors: {reason}."


def check(path: Path) -> None:
    """Check what a safetensors file declares against its bytes and the limits.

    Raises `errors.WeightsError` with a sentence.
    """
    size = sized(path)
    header, length = _header(path, size)
    entries = {name: value for name, value in header.items() if name != METADATA}
    tensors = [_tensor(path, name, value) for name, value in entries.items()]
    within(path, tensors)
    spans = sorted(_span(path, tensor, entries[tensor.name]) for tensor in tensors)
    room = size - LENGTH - length
    if any(end > room for _, end in spans):
        words = "{path} is cut off or damaged: it declares tensors beyond its end."
        raise WeightsError(words, path=shown(path.name))
    edges = [(0, 0), *spans, (room, room)]
    if any(end > start for (_, end), (start, _) in pairwise(edges)):
        words = "{path} is damaged or made up: two of its tensors lie on the same bytes."
        raise WeightsError(words, path=shown(path.name))
    if any(end < start for (_, end), (start, _) in pairwise(edges)):
        words = "{path} is damaged or made up: it has bytes that belong to no tensor."
        raise WeightsError(words, path=shown(path.name))


def _header(path: Path, size: int) -> tuple[Mapping[str, Any], int]:
    """Return the header as JSON has it, and its bytes."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH), "little")
        if length > min(MOST_HEADER, size - LENGTH):
            words = "it declares a header of {length:.3g} bytes, which is more than it has or than is read"
            raise WeightsError(BROKEN, path=shown(path.name), reason=words.format(length=length))
        text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        reason = f"its header cannot be read ({shown(error)})"
        raise WeightsError(BROKEN, path=shown(path.name), reason=reason) from error
    if not isinstance(header, dict):
        raise WeightsError(BROKEN, path=shown(path.name), reason="its header names no tensors")
    return header, length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return pairs as a dictionary; raises ValueError when a name occurs twice."""
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a name occurs twice")
    return unique


def _tensor(path: Path, name: str, value: Any) -> DeclaredTensor:
    kind = value.get("dtype") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in BYTES:
        words = "{path} declares a tensor “{name}” of a type that is not read ({kind})."
        raise WeightsError(words, path=shown(path.name), name=shown(name), kind=shown(kind))
    return DeclaredTensor(name, checked_shape(path, name, value.get("shape")), BYTES[kind])


def _span(path: Path, tensor: DeclaredTensor, value: Mapping[str, Any]) -> tuple[int, int]:
    """Return from which byte to which a tensor lies; raises `errors.WeightsError` unless that is its size."""
    span = value.get("data_offsets")
    if (
        not isinstance(span, list)
        or [type(edge) for edge in span] != [int, int]
        or not 0 <= span[0] <= span[1]
        or span[1] - span[0] != tensor.count * tensor.bytes
    ):
        words = "{path} declares a place for the tensor “{name}” that is not as long as its shape says."
        raise WeightsError(words, path=shown(path.name), name=shown(tensor.name))
    return span[0], span[1]
