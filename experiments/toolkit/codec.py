"""Frozen dataclasses to JSON and back, at the edge of files.

A field whose key in JSON is no name in Python says so: ``origin: str = field(metadata={"json": "from"})``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn
from cattrs.preconf.json import make_converter

T = TypeVar("T")
_CONVERTER = make_converter()


def dump(value: object) -> Any:
    """Return ``value`` as `json.dumps` takes it: dataclasses as objects, tuples as lists."""
    return _CONVERTER.unstructure(value)


def load(data: Any, kind: type[T]) -> T:
    """Return the ``kind`` that ``data`` holds; raises ValueError, which names the fields, where it does not.

    Fields that ``data`` lacks have their defaults; fields that ``kind`` does not know are left out.
    """
    try:
        return _CONVERTER.structure(data, kind)
    except cattrs.BaseValidationError as error:
        raise ValueError("; ".join(cattrs.transform_error(error))) from error


def _renamed(kind: Any) -> dict[str, Any]:
    """Return the fields of a dataclass whose keys in JSON are others; none for any other type."""
    if not (isinstance(kind, type) and is_dataclass(kind)):
        return {}
    keys = {field.name: field.metadata.get("json") for field in fields(kind)}
    return {name: cattrs.override(rename=key) for name, key in keys.items() if key}


def _from_json(kind: Any) -> Callable[[Any, Any], Any]:
    return make_dict_structure_fn(kind, _CONVERTER, **_renamed(kind))


def _to_json(kind: Any) -> Callable[[Any], Any]:
    return make_dict_unstructure_fn(kind, _CONVERTER, **_renamed(kind))


_CONVERTER.register_structure_hook_factory(lambda kind: bool(_renamed(kind)), _from_json)
_CONVERTER.register_unstructure_hook_factory(lambda kind: bool(_renamed(kind)), _to_json)
