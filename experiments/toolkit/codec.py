"""Frozen dataclasses to JSON and back, at the edge of files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_origin

import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.preconf.json import make_converter

T = TypeVar("T")
_KEY = "json"
_CONVERTER = make_converter()


def key(name: str) -> dict[str, str]:
    """Return the metadata of a field whose key in JSON is ``name`` (``field(metadata=key("is"))``)."""
    return {_KEY: name}


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
    """Return the fields of a dataclass, generic or not, that have another key in JSON."""
    plain = get_origin(kind) or kind
    if not (isinstance(plain, type) and is_dataclass(plain)):
        return {}
    named = [field for field in fields(plain) if _KEY in field.metadata]
    return {field.name: override(rename=field.metadata[_KEY]) for field in named}


def _structure(kind: Any) -> Callable[[Any, Any], Any]:
    return make_dict_structure_fn(kind, _CONVERTER, **_renamed(kind))


def _unstructure(kind: Any) -> Callable[[Any], Any]:
    return make_dict_unstructure_fn(kind, _CONVERTER, **_renamed(kind))


_CONVERTER.register_structure_hook_factory(lambda kind: bool(_renamed(kind)), _structure)
_CONVERTER.register_unstructure_hook_factory(lambda kind: bool(_renamed(kind)), _unstructure)
