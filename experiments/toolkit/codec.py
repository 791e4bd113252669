"""Frozen dataclasses to JSON and back, at the edge of files."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
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


def keys(*, omit: Collection[str] = (), **renamed: str) -> Callable[[type[T]], type[T]]:
    """Return a decorator of a dataclass and those that inherit from it: fields ``renamed`` have that key in
    JSON, and those of ``omit``, which have defaults, are left out of it where they are None or empty."""
    overrides: dict[str, Any] = {name: override(rename=key) for name, key in renamed.items()}

    def register(kind: type[T]) -> type[T]:
        def fits(other: Any) -> bool:
            return isinstance(other, type) and issubclass(other, kind)

        def dumping(other: type) -> Callable[[Any], dict[str, Any]]:
            whole: Callable[[Any], dict[str, Any]] = make_dict_unstructure_fn(other, _CONVERTER, **overrides)

            def dumped(value: Any) -> dict[str, Any]:
                return {k: v for k, v in whole(value).items() if k not in omit or v not in (None, [])}

            return dumped

        _CONVERTER.register_structure_hook_factory(
            fits, lambda other: make_dict_structure_fn(other, _CONVERTER, **overrides)
        )
        _CONVERTER.register_unstructure_hook_factory(fits, dumping)
        return kind

    return register
