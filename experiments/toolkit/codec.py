"""Frozen dataclasses to JSON and back, at the edge of files."""

from __future__ import annotations

from typing import Any, TypeVar

import cattrs
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
