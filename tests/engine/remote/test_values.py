"""Values of this product's own types travel, and nothing else does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attacks.contract import Stop
from engine.engine import Engine
from engine.fields import Region
from engine.inside.classes import TowardsGoal
from engine.inside.plane import Asked, Axes, Plane
from engine.recipe import Recipe
from engine.remote.values import read, write
from engine.remote.wire import Array, Message, pack, unpack
from errors import BadSetting
from models.core import Crop

PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
NESTED = st.recursive(
    PLAIN | st.binary(),
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner)
    ),
)


def travelled(value: object) -> object:
    """Return what arrives of a value."""
    arrays: dict[str, Array] = {}
    message = unpack(pack(Message({"value": write(value, arrays)}, arrays)))
    return read(message.head["value"], message.arrays)


@given(NESTED)
def test_nested_values_arrive_as_they_are(value: object) -> None:
    assert travelled(value) == value


def test_a_question_inside_another_arrives_with_its_arrays() -> None:
    origin, right, up = np.random.default_rng(0).random((3, 3, 4, 4), np.float32)
    axes = Axes(origin, right, up, (1.0, math.inf), (0.0, -1.0))
    sent = TowardsGoal(Plane(axes, (0.5, 0.5), 2.0, 64, (Asked(8, (1, 2), (3,), (0.5,), ()),)), 7, True)
    came = travelled(sent)
    assert isinstance(came, TowardsGoal) and isinstance(came.question, Plane)
    assert (came.label, came.targeted, came.question.known) == (7, True, sent.question.known)  # type: ignore[attr-defined]
    assert np.array_equal(came.question.axes.up, up) and came.question.axes.adversarial == (1.0, math.inf)


def test_arrays_keep_their_type_and_shape() -> None:
    for array in (
        np.float32(3),
        np.zeros((0, 3)),
        np.arange(6, dtype=np.int16).reshape(2, 3).T,
        np.array(7.0),
    ):
        came = travelled(array)
        assert np.array_equal(np.asarray(came), np.asarray(array))
        if isinstance(array, np.ndarray):
            assert isinstance(came, np.ndarray) and (came.dtype, came.shape) == (array.dtype, array.shape)
    half = np.random.default_rng(0).random((2, 2)).astype(np.float16)
    came = travelled(half)
    assert isinstance(came, np.ndarray) and came.dtype == np.float16 and np.array_equal(came, half)
    with pytest.raises(TypeError, match="Tensor"):
        travelled(torch.zeros(2))
    image = Image.effect_noise((5, 4), 50).convert("RGB")
    came = travelled(image)
    assert isinstance(came, Image.Image) and (came.mode, came.tobytes()) == ("RGB", image.tobytes())


def test_a_recipe_arrives_and_checks_itself() -> None:
    sent = Recipe(
        "photos", "cat", "pgd", {"steps": 3}, 4, Stop("success"), Region(0.1, 0.1, 0.5, 0.5), 3,
        Crop(0.5, 0.5, 0.7), ("jpeg75",), True,
    )  # fmt: skip
    assert travelled(sent) == sent
    arrays: dict[str, Array] = {}
    data = write(sent, arrays)
    data["parts"]["seed"] = -5
    with pytest.raises(BadSetting):
        read(data, arrays)


@pytest.mark.parametrize(
    "data",
    [
        {"$": "made", "type": "os:system", "parts": {"command": "true"}},
        {"$": "made", "type": "engine.engine:Engine", "parts": {}},
        {"$": "made", "type": "engine.engine:time", "parts": {}},
        {"$": "made", "type": "engine.no_such_module:Thing", "parts": {}},
        {"$": "made", "type": "engine.remote.__main__:Thing", "parts": {}},
        {"$": "made", "type": "engine.recipe:Stop", "parts": {"rule": "steps"}},  # it is made elsewhere
        {"$": "made", "type": "attacks.contract:Stop", "parts": {"rule": "steps", "wings": 2}},
        {"$": "made", "type": 7, "parts": []},
        {"$": "tensor", "array": "value-9"},
        {"$": "nonsense"},
        {"type": "attacks.contract:Stop"},
    ],
)
def test_other_data_is_refused_with_a_sentence(data: object) -> None:
    with pytest.raises(BadSetting, match="Expected a value of this program's own types"):
        read(data, {})


def test_what_is_no_plain_data_is_not_written() -> None:
    for value in (Engine, lambda: None, {1, 2}, object()):
        with pytest.raises(TypeError, match="own types"):
            write(value, {})
