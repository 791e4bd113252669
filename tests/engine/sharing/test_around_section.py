"""What was computed around a picture is in the report, and nothing where nothing was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attacks.contract import Stop
from engine.inside import computed
from engine.inside.boundary import Distances, Lines
from engine.inside.composition import Filters, Survivors
from engine.inside.computed import Key
from engine.inside.plane import Grid, Plane, axes
from engine.recipe import Recipe
from engine.sharing import around_section
from engine.sharing.voice import ENGLISH
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 6, "step_size": 1 / 255}, target=2, stop=Stop("steps"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(around_section, "COMPUTED", computed.Computed())
    with small_model.engine(small_model.Gate()) as engine:
        made = engine.submit(RECIPE)
        list(engine.follow(made))
        made.engine = engine
        yield made


def test_nothing_is_said_of_what_was_not_computed(run) -> None:
    assert around_section.parts(run, ENGLISH) == ""


def test_what_was_computed_is_said_with_its_figures(run) -> None:
    start, last = run.start.float(), torch.from_numpy(run.picture(6).copy()).float()
    delta = last - start
    plane = axes(start, last, start + torch.randn(start.shape, generator=torch.Generator().manual_seed(0)))
    window = ("random", "0", 0.5, 0.0, 2.0, "small")
    known: tuple[object, ...] = ()
    for level in (4, 8, 16):
        key = Key(run.id, "plane", 6, (*window, level))
        question = Plane(plane, (0.5, 0.0), 2.0, level, tuple(known))  # type: ignore[arg-type]
        answers = around_section.COMPUTED.ask(run.engine, "small", key, question)
        known += tuple(one for one in answers if hasattr(one, "at"))
    for part, question in {
        "lines": Lines(start, delta),
        "distances": Distances(start, delta, 0, 8),
        "bands": Filters(start, delta, run.original),
        "largest": Survivors(start, delta, run.original),
    }.items():
        list(around_section.COMPUTED.ask(run.engine, "small", Key(run.id, part, 6), question))
    html = str(around_section.parts(run, ENGLISH))
    asked = sum(len(one.at) for one in known)  # type: ignore[attr-defined]
    assert f"16 × 16 squares, 4 in l2 from side to side; of its corners {asked} were asked about" in html
    assert f"and {17 * 17 - asked} filled in" in html and "data:image/png;base64," in html
    assert "of 8 random directions leave the class" in html and "How straight the margin is" in html
    assert html.count("Of the perturbation, the frequencies") == 3 and "largest values alone" in html


def test_a_plane_is_painted_the_right_way_up_and_paler_where_less_sure() -> None:
    grid = Grid.empty(4)
    grid.labels[:] = 0
    grid.labels[0] = 1  # the lowest row
    grid.numbers[0] = 1.0
    grid.numbers[0, :, 0] = 0.2
    picture = np.asarray(around_section.coloured(grid, {0: "#0072b2", 1: "#e69f00"}))
    assert picture[-1, -1].tolist() == [0xE6, 0x9F, 0] and picture[0, -1].tolist() == [0, 0x72, 0xB2]
    assert picture[0, 0].min() > picture[0, -1].min()
