"""What was computed around a picture is in the report, and nothing where nothing was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from attacks.contract import Stop
from components.take_home.voice import voice
from engine.engine import Engine
from engine.inside.boundary import Distances, Lines
from engine.inside.composition import Filters, MadeOf, Survivors
from engine.inside.computed import Computed, Key
from engine.inside.plane import Asked, Grid, Plane, axes
from engine.recipe import Recipe
from engine.run import Run
from engine.sharing import around_section
from engine.sharing.voice import ENGLISH, percent
from tests.engine.inside.linear import normal_noise
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 6, "step_size": 1 / 255}, target=2, stop=Stop("steps"))


@pytest.fixture
def engine() -> Iterator[Engine]:
    with small_model.engine(small_model.Gate()) as running:
        yield running


@pytest.fixture
def run(engine: Engine) -> Run:
    started = engine.submit(RECIPE)
    list(engine.follow(started))
    return started


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Computed:
    remembered = Computed()
    monkeypatch.setattr(around_section, "COMPUTED", remembered)
    return remembered


def test_nothing_is_said_of_what_was_not_computed(run: Run, known: Computed) -> None:
    assert around_section.parts(run, ENGLISH) == ""


def test_what_was_computed_is_said_with_its_figures(engine: Engine, run: Run, known: Computed) -> None:
    start, last = run.start, run.picture(6)
    delta = last - start
    plane = axes(start, last, start + normal_noise(start.shape, 0))
    window = ("random", "0", 0.5, 0.0, 2.0, "small")
    corners: tuple[Asked, ...] = ()
    for level in (4, 8, 16):
        question = Plane(plane, (0.5, 0.0), 2.0, level, corners)
        answers = known.ask(engine, "small", Key(run.id, "plane", 6, (*window, level)), question)
        corners += tuple(answer for answer in answers if isinstance(answer, Asked))
    questions: dict[str, Any] = {
        "lines": Lines(start, delta),
        "distances": Distances(start, delta, 0, 8),
        "bands": Filters(start, delta, run.original),
        "largest": Survivors(start, delta, run.original),
    }
    for part, other in questions.items():
        list(known.ask(engine, "small", Key(run.id, part, 6), other))
    html = str(around_section.parts(run, ENGLISH))
    asked = sum(len(answer.at) for answer in corners)
    assert f"16 × 16 squares, 4 in l2 from side to side; of its corners {asked} were asked about" in html
    assert f"and {17 * 17 - asked} filled in" in html and "data:image/png;base64," in html
    assert "of 8 random directions leave the class" in html and "How straight the margin is" in html
    assert html.count("Of the perturbation, the frequencies") == 3 and "largest values alone" in html


def test_a_planted_grating_is_one_peak_in_the_report(engine: Engine, run: Run, known: Computed) -> None:
    wave = np.cos(2 * math.pi * 5 * np.arange(16) / 16)
    delta = np.broadcast_to(1.9 / 255 * wave, (3, 16, 16)).astype(np.float32)
    list(known.ask(engine, "small", Key(run.id, "composition", 6, (0,)), MadeOf(delta)))
    html = str(around_section.parts(run, ENGLISH))
    assert "the strongest has 5 cycles across the picture" in html
    assert "the middle ones &lt; 0.1 % (" in html and "the high ones 100 % (" in html
    assert "At step 6, 100 % of the 256 pixels have changed" in html
    share = float((255 * np.abs(delta) >= 1.5).mean())
    assert f"{percent(share)} of the values have changed by two grey levels" in html
    assert html.count("<img") == 3
    assert "横跨画面有 5 个周期" in str(around_section.parts(run, voice("zh")))


def test_a_plane_is_painted_the_right_way_up_and_paler_where_less_sure() -> None:
    grid = Grid.empty(4)
    grid.labels[:] = 0
    grid.labels[0] = 1  # the lowest row
    grid.numbers[0] = 1.0
    grid.numbers[0, :, 0] = 0.2
    picture = np.asarray(around_section.coloured(grid, {0: "#0072b2", 1: "#e69f00"}))
    assert picture[-1, -1].tolist() == [0xE6, 0x9F, 0] and picture[0, -1].tolist() == [0, 0x72, 0xB2]
    assert picture[0, 0].min() > picture[0, -1].min()
