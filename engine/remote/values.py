"""Values of this product's own types as plain data and named arrays, and back.

    arrays = {}
    head = write(Plane(...), arrays)
    read(head, arrays)  # equal to what was written

Read back are numbers, texts, bytes, tuples, lists, dicts, arrays, the pixels of images, and frozen
dataclasses and named tuples of the packages in `PACKAGES`, which check themselves as they are made. No code
travels.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from PIL import Image

from engine.remote.wire import Array
from errors import BadSetting

PACKAGES = ("attacks.", "engine.", "experiments.", "models.")
"""Modules may be named that begin so."""
PLAIN = (type(None), bool, int, float, str)
FOREIGN = "Expected a value of this program's own types, got {got}."
TAG = "$"
"""The key of an object that stands for something else than a list or a plain value."""


def write(value: object, arrays: dict[str, Array]) -> Any:
    """Return ``value`` as `json.dumps` takes it; what it has of arrays is put into ``arrays``.

    Raises TypeError for a value of another type.
    """
    if type(value) in PLAIN:
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {TAG: "array", "array": _put(value, arrays)}
    if isinstance(value, bytes):
        return {TAG: "bytes", "array": _put(np.frombuffer(value, np.uint8), arrays)}
    if isinstance(value, Image.Image):
        return {TAG: "image", "mode": value.mode, "array": _put(np.asarray(value), arrays)}
    if isinstance(value, list):
        return [write(part, arrays) for part in value]
    if isinstance(value, dict):
        pairs = [[write(key, arrays), write(part, arrays)] for key, part in value.items()]
        return {TAG: "dict", "pairs": pairs}
    if _names(type(value)) is not None:
        parts = {name: write(getattr(value, name), arrays) for name in _names(type(value)) or ()}
        return {TAG: "made", "type": f"{type(value).__module__}:{type(value).__qualname__}", "parts": parts}
    if type(value) is tuple:
        return {TAG: "tuple", "parts": [write(part, arrays) for part in value]}
    raise TypeError(FOREIGN.format(got=type(value).__name__))


def read(data: Any, arrays: Mapping[str, Array]) -> Any:
    """Return the value that `write` wrote; raises `errors.BadSetting` for other data, and what a type raises
    that refuses its parts."""
    if isinstance(data, list):
        return [read(part, arrays) for part in data]
    if not isinstance(data, dict):
        return data
    try:
        return _READERS[data[TAG]](data, arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadSetting(FOREIGN, got=str(data.get(TAG))[:40]) from error


def _put(array: Array, arrays: dict[str, Array]) -> str:
    name = f"value-{len(arrays)}"
    arrays[name] = array
    return name


def _names(kind: type) -> tuple[str, ...] | None:
    """Return the parts of a frozen dataclass or a named tuple, None for any other type."""
    if is_dataclass(kind) and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return tuple(field.name for field in fields(kind) if field.init)
    return getattr(kind, "_fields", None) if issubclass(kind, tuple) else None


def _made(data: Mapping[str, Any], arrays: Mapping[str, Array]) -> object:
    module, _, name = str(data["type"]).partition(":")
    if not module.startswith(PACKAGES) or "__" in module:
        raise BadSetting(FOREIGN, got=module[:40])
    try:
        kind = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise BadSetting(FOREIGN, got=module[:40]) from error
    if not isinstance(kind, type) or _names(kind) is None or kind.__module__ != module:
        raise BadSetting(FOREIGN, got=name[:40])
    return kind(**{name: read(part, arrays) for name, part in data["parts"].items()})


_READERS = {
    "array": lambda data, arrays: arrays[data["array"]],
    "image": lambda data, arrays: Image.fromarray(arrays[data["array"]], str(data["mode"])),
    "bytes": lambda data, arrays: arrays[data["array"]].tobytes(),
    "dict": lambda data, arrays: {read(key, arrays): read(part, arrays) for key, part in data["pairs"]},
    "tuple": lambda data, arrays: tuple(read(part, arrays) for part in data["parts"]),
    "made": _made,
}
