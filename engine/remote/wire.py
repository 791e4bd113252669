"""What travels between a page's server and a replica: one JSON object and named arrays, as safetensors.

Needs neither torch nor ray. Messages hold no code: an error travels as its name, its sentence and its facts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

import errors
from errors import BadSetting, FoolscopeError

HEAD = "head"
"""The array that holds the JSON, as bytes."""
Array = npt.NDArray[Any]
Head = dict[str, Any]


@dataclass(frozen=True)
class Message:
    """``head``: plain data; ``arrays``: numbers by name, of any shapes."""

    head: Head
    arrays: dict[str, Array] = field(default_factory=dict)


def pack(message: Message) -> bytes:
    """Return a message as bytes."""
    text = json.dumps(message.head).encode()
    arrays = {name: np.asarray(array, order="C") for name, array in message.arrays.items()}
    return save({HEAD: np.frombuffer(text, np.uint8), **arrays})


def unpack(data: bytes) -> Message:
    """Return the message that `pack` wrote; raises `errors.BadSetting` for other bytes."""
    try:
        arrays = load(data)
        head = json.loads(arrays.pop(HEAD).tobytes())
    except (SafetensorError, KeyError, ValueError) as error:
        raise BadSetting(
            "Expected a message of an engine, got {count} other bytes.", count=len(data)
        ) from error
    if not isinstance(head, dict):
        raise BadSetting("Expected a message of an engine, got {count} other bytes.", count=len(data))
    return Message(head, arrays)


def numbered(name: str, arrays: Sequence[Array]) -> dict[str, Array]:
    """Return several arrays under one name and their numbers, with how many there are, as `all_of` reads
    them."""
    return {name: np.array([len(arrays)])} | {f"{name}{number}": array for number, array in enumerate(arrays)}


def all_of(name: str, arrays: Mapping[str, Array]) -> tuple[Array, ...] | None:
    """Return the arrays of a name, in their order, None where nothing was sent under it. Raises KeyError
    where some are missing."""
    if name not in arrays:
        return None
    return tuple(arrays[f"{name}{number}"] for number in range(int(arrays[name][0])))


def plain(error: FoolscopeError) -> Head:
    """Return a refusal as plain data."""
    facts = {name: fact if isinstance(fact, int | float) else str(fact) for name, fact in error.facts.items()}
    return {"kind": type(error).__name__, "sentence": error.sentence, "facts": facts}


def refusal(data: Mapping[str, Any]) -> FoolscopeError:
    """Return the refusal that `plain` wrote, of its own class where this program has it."""
    kind = getattr(errors, str(data.get("kind")), FoolscopeError)
    kind = kind if isinstance(kind, type) and issubclass(kind, FoolscopeError) else FoolscopeError
    error: FoolscopeError = kind.__new__(kind)
    FoolscopeError.__init__(error, str(data.get("sentence", "")), **dict(data.get("facts") or {}))
    return error
