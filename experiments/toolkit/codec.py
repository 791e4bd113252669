"""Frozen dataclasses to JSON and back, at the edge of files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import TypeVar, get_origin

import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.preconf.json import make_converter

T = TypeVar("T")
_KEY, _OMIT = "json", "omit"
OMITTED = {_OMIT: True}
"""The metadata of a field with a default that is left out of JSON where it is None or empty."""
_CONVERTER = make_converter()


def key(name: str) -> dict[str, str]:
    """Return the metadata of a field whose key in JSON is ``name`` (``field(metadata=key("is"))``)."""
    return {_KEY: name}


def dump(value: object) -> object:
    """Return ``value`` as `json.dumps` takes it: dataclasses as objects, tuples as lists."""
    return _CONVERTER.unstructure(value)


def load(data: object, kind: type[T]) -> T:
    """Return the ``kind`` that ``data`` holds; raises ValueError, which names the fields, where it does not.

    Fields that ``data`` lacks have their defaults; fields that ``kind`` does not know are left out.
    """
    try:
        return _CONVERTER.structure(data, kind)
    except cattrs.BaseValidationError as error:
        raise ValueError("; ".join(cattrs.transform_error(error))) from error


def _renamed(kind: type) -> dict[str, object]:
    """Return the fields of a dataclass, generic or not, that have another key in JSON."""
    plain = get_origin(kind) or kind
    if not (isinstance(plain, type) and is_dataclass(plain)):
        return {}
    named = [field for field in fields(plain) if _KEY in field.metadata]
    return {field.name: override(rename=field.metadata[_KEY]) for field in named}


def _omitted(kind: type) -> set[str]:
    """Return the keys that are left out of JSON where the field is None or empty."""
    plain = get_origin(kind) or kind
    if not (isinstance(plain, type) and is_dataclass(plain)):
        return set()
    return {field.metadata.get(_KEY, field.name) for field in fields(plain) if _OMIT in field.metadata}


def _structure(kind: type) -> Callable[[Mapping[str, object], type], object]:
    hook: Callable[[Mapping[str, object], type], object] = make_dict_structure_fn(
        kind,
        _CONVERTER,
        **_renamed(kind),  # type: ignore[arg-type]
    )
    return hook


def _unstructure(kind: type) -> Callable[[object], dict[str, object]]:
    whole: Callable[[object], dict[str, object]] = make_dict_unstructure_fn(
        kind,
        _CONVERTER,
        **_renamed(kind),  # type: ignore[arg-type]
    )
    omitted = _omitted(kind)

    def unstructure(value: object) -> dict[str, object]:
        return {key: v for key, v in whole(value).items() if key not in omitted or v not in (None, [])}

    return unstructure if omitted else whole


_CONVERTER.register_structure_hook_factory(lambda kind: bool(_renamed(kind)), _structure)
_CONVERTER.register_unstructure_hook_factory(
    lambda kind: bool(_renamed(kind) or _omitted(kind)), _unstructure
)
