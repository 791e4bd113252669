"""What the lessons on the tilting boundary do when the reader chooses or presses something."""

from __future__ import annotations

import io

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import ButtonGroup

import experiments
from app.lessons.tilting_boundary import tilt, tilt_view
from components.widgets import mnist_fetch
from experiments.datasets import digit_sets
from experiments.tanay2018.mirror_images import image_png
from experiments.tanay2018.svm_path import SVMPath
from experiments.toolkit.packing import unpack


def lesson(name: str) -> AppTest:
    page = f"from app.lessons.tilting_boundary.{name} import render\nrender()"
    return AppTest.from_string(page, default_timeout=120).run()


@pytest.fixture
def small(monkeypatch, tmp_path) -> None:
    """scikit-learn's digits, wherever MNIST may lie, and an empty cache."""
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))


def test_the_reliability_of_every_network_that_is_offered_is_shown() -> None:
    app = lesson("calibration")
    groups = [group for group in app.get("button_group") if isinstance(group, ButtonGroup)]
    (chooser,) = (group for group in groups if group.key == "calibration.network")
    assert len(chooser.options) == 2
    for name in ("lenet_low", "lenet_high"):
        app.session_state["calibration.network"] = name
        app.run()
        assert not app.exception and len(app.get("plotly_chart")) == 3


def test_the_toy_is_trained_on_the_page(small) -> None:
    app = lesson("toy")
    shipped = [table.proto.body for table in app.get("html")]
    app.button(key="trial.toy.run").click().run()
    assert not app.exception and any("Computed here just now" in caption.value for caption in app.caption)
    assert [table.proto.body for table in app.get("html")] == shipped


def test_a_pair_of_digits_is_computed_on_the_page(small) -> None:
    app = lesson("tilt")
    assert any(caption.value.startswith("Ships with the program: 29 s") for caption in app.caption)
    app.selectbox(key="tilt.second.7").select(1).run()
    assert not app.exception
    assert any("scikit-learn digits" in caption.value for caption in app.caption)


def test_a_picture_that_was_pressed_opens_as_it_was_drawn(monkeypatch) -> None:
    result = experiments.shipped(SVMPath)
    assert result is not None
    shown: list[str] = []
    monkeypatch.setattr(st, "markdown", shown.append)
    tilt._open(tilt_view.Picked("x", 3), result.figures, digit_sets.MNIST)
    tilt._open(tilt_view.Picked("xm", 3), result.figures, digit_sets.MNIST)
    assert "[Open x at λ = 10^1.7 in the playground](" in shown[0] and "mirrored" in shown[1]
    opened = Image.open(io.BytesIO(image_png(result.figures, "x", 3)))
    assert np.asarray(opened).ravel() == pytest.approx(unpack(result.figures.pictures.images)[0], abs=1)


def test_a_training_image_needs_mnist(monkeypatch, small) -> None:
    result = experiments.shipped(SVMPath)
    assert result is not None
    offered: list[str] = []
    monkeypatch.setattr(mnist_fetch, "offer", offered.append)
    tilt._open(tilt_view.Picked("point", 3), result.figures, digit_sets.MNIST)
    assert offered == ["To open this training image in the playground, MNIST is needed."]
