"""Dataclasses in files, and intervals where there is nothing to spread."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from engine import intervals
from engine.intervals import Estimate
from experiments.toolkit import codec


@dataclass(frozen=True)
class Measured:
    origin: str = field(metadata={"json": "from"})
    size: Estimate


@dataclass(frozen=True)
class Whole:
    parts: dict[str, Measured]
    last: Measured | None = None


def test_a_field_may_have_another_key_in_json():
    size = {"value": 1.5, "low": None, "high": None, "n": 1}
    data = {"parts": {"a": {"from": "here", "size": size}}, "last": None}
    whole = codec.load(json.loads(json.dumps(data)), Whole)
    assert whole == Whole({"a": Measured("here", Estimate(1.5, None, None, 1))}) and codec.dump(whole) == data
    with pytest.raises(ValueError, match="origin"):
        codec.load({"parts": {"a": {"origin": "here", "size": size}}}, Whole)


def test_equal_values_have_an_interval_of_no_width():
    assert intervals.mean([1.0, 1.0, 1.0]) == Estimate(1.0, 1.0, 1.0, 3)
