"""Kinds of challenges: one file for each.

Every file in this folder that defines a subclass of `contract.Kind` with a ``name`` is found by `registry`;
adding a kind is adding a file.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from types import MappingProxyType
from typing import Any

from engine.rooms.challenges.contract import Kind
from errors import BadSetting, UnknownName


@cache
def registry() -> Mapping[str, type[Kind]]:
    """Return every kind of challenge by its name."""
    known: dict[str, type[Kind]] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for kind in vars(module).values():
            if not (inspect.isclass(kind) and issubclass(kind, Kind) and "name" in vars(kind)):
                continue
            if known.setdefault(kind.name, kind) is not kind:
                raise ImportError(f"two kinds of challenges are called {kind.name!r}")
    return MappingProxyType(known)


def build(name: str, settings: Mapping[str, Any]) -> Kind:
    """Return a challenge of the kind called ``name``; raises `errors.FoolscopeError` for settings that it
    does not take."""
    if name not in registry():
        raise UnknownName.of("kind of challenge", name, registry())
    kind = registry()[name]
    types = {field.name: str(field.type) for field in fields(kind)}
    unknown = set(settings) - set(types)
    missing = {"model", "image"} - set(settings)
    if unknown or missing:
        raise BadSetting(
            "Expected settings of a challenge ({known}), got {names}.",
            known=", ".join(types),
            names=", ".join(sorted(map(str, settings)))[:80],
        )
    for setting, value in settings.items():
        if type(value).__name__ != types[setting]:
            raise BadSetting(
                "Expected {name} to be {kind}, got {value}.",
                name=setting,
                kind=types[setting],
                value=str(value)[:40],
            )
    return kind(**settings)


@dataclass(frozen=True)
class Offer:
    """A challenge that is ready to be set, with what ships alone."""

    name: str
    title: str
    kind: str
    settings: Mapping[str, Any]


OFFERS = {
    offer.name: offer
    for offer in (
        Offer(
            "panda_vulture",
            "The smallest step from panda to vulture",
            "least_l2",
            {"model": "efficientnet_lite0", "image": "panda", "target": "vulture"},
        ),
        Offer(
            "cat_pixels",
            "A cat and as few pixels as can be",
            "fewest_pixels",
            {"model": "photos", "image": "cat"},
        ),
        Offer(
            "cat_questions",
            "Only asking: a cat becomes something else",
            "fewest_queries",
            {"model": "photos", "image": "cat"},
        ),
        Offer(
            "panda_jpeg",
            "A panda that JPEG does not save",
            "survives_jpeg",
            {"model": "photos", "image": "panda", "target": "dog", "quality": 75},
        ),
        Offer(
            "koala_hidden",
            "A koala for a network nobody may see",
            "hidden_model",
            {"model": "efficientnet_lite0", "image": "koala", "hidden": "efficientnet_lite2"},
        ),
        Offer(
            "no_dog",
            "No dog at all",
            "out_of_family",
            {"model": "efficientnet_lite0", "image": "dog", "family": "dogs", "levels": 8},
        ),
    )
}
"""The ready-made challenges by name."""
