"""What was computed inside a network is in the report of a run, and in files of its own."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from attacks.contract import Stop
from components.take_home.voice import voice
from engine.inside.computed import COMPUTED, Key
from engine.inside.layers import LayerProfile
from engine.inside.pace import Progress
from engine.inside.saliency import GRAD_CAM, ROLLOUT, Saliency, SaliencyMap
from engine.recipe import Recipe
from engine.sharing import files
from engine.sharing.inside_section import overlaid
from engine.sharing.voice import ENGLISH
from errors import FoolscopeError
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 4, "step_size": 1 / 255}, target=2, stop=Stop("steps"))


@pytest.fixture
def engine():
    with small_model.engine(small_model.Gate()) as made:
        yield made


@pytest.fixture
def run(engine):
    submitted = engine.submit(RECIPE)
    list(engine.follow(submitted))
    return submitted


def look_inside(engine, run):
    """Compute what somebody who opens the section sees first."""
    for step, label in ((0, run.original), (4, 2), (4, run.original)):
        key = Key(run.id, "saliency", step, (GRAD_CAM, label, False))
        list(COMPUTED.ask(engine, "small", key, Saliency(run.picture(step), label, GRAD_CAM)))
    question = LayerProfile(run.picture(0), run.picture(4))
    list(COMPUTED.ask(engine, "small", Key(run.id, "layers", 4, ("",)), question))


def test_before_anybody_looked_there_is_nothing_and_the_report_has_no_section(run):
    for name in ("inside.json", "inside.npz"):
        with pytest.raises(FoolscopeError, match="Nothing was computed about the inside"):
            files.made(run, name, ENGLISH)
    assert "Inside the network" not in files.made(run, "report.html", ENGLISH).decode()


def test_what_was_computed_is_in_all_three(engine, run):
    before = files.made(run, "report.html", ENGLISH)
    look_inside(engine, run)
    page = files.made(run, "report.html", ENGLISH).decode()
    assert page != before.decode() and "Inside the network" in page
    assert page.count("data:image/png") == before.decode().count("data:image/png") + 3
    assert "times as far as noise" in page and "at step 4" in page
    assert "网络内部" in files.made(run, "report.html", voice("zh")).decode()
    entries = json.loads(files.made(run, "inside.json", ENGLISH))
    assert [(entry["part"], entry["step"]) for entry in entries] == [
        ("layers", 4),
        *[("saliency", s) for s in (0, 4, 4)],
    ]
    (answer,) = entries[0]["answers"]
    assert [layer["kind"] for layer in answer["layers"]] == ["Conv2d", "Tanh", "Conv2d", "Tanh", "Linear"]


def test_the_arrays_are_those_that_were_computed(engine, run):
    look_inside(engine, run)
    archive = np.load(io.BytesIO(files.made(run, "inside.npz", ENGLISH)))
    entries = json.loads(str(archive["record"]))
    known = COMPUTED.of(run.id)
    maps = [x for answers in known.values() for x in answers if isinstance(x, SaliencyMap)]
    names = [entry["answers"][0]["values"]["array"] for entry in entries if entry["part"] == "saliency"]
    assert len(names) == len(maps) == 3
    assert all(np.array_equal(archive[name], one.values) for name, one in zip(names, maps, strict=True))


def test_a_map_is_drawn_over_the_grey_picture_in_two_colours():
    values = np.zeros((16, 16), np.float32)
    values[:8, :8], values[8:, 8:] = 1.0, -1.0
    drawn = overlaid(np.full((3, 16, 16), 0.5, np.float32), SaliencyMap(GRAD_CAM, 0, values, 1.0, 0.0, 0.0))
    assert drawn.getpixel((20, 20)) == (213, 70, 0) and drawn.getpixel((200, 200)) == (0, 114, 178)
    assert drawn.getpixel((200, 20)) == (128, 128, 128)


def test_a_map_without_a_class_names_none(run):
    values = np.ones((16, 16), np.float32)
    for step in (0, 4):
        answer = SaliencyMap(ROLLOUT, run.original, values, 1.0, 0.0, 1.0)
        COMPUTED._remember(Key(run.id, "saliency", step, (ROLLOUT, run.original, False)), (answer,))
    page = files.made(run, "report.html", ENGLISH).decode()
    assert "What the answer rests on (orange), by attention rollout" in page
    assert "<figcaption>At step 4</figcaption>" in page and "What speaks for a class" not in page


def test_progress_is_not_an_answer(engine, run):
    key = Key(run.id, "saliency", 0, ("occlusion", 1, False))
    answers = list(COMPUTED.ask(engine, "small", key, replace(Saliency(run.picture(0), 1, "occlusion"))))
    assert any(isinstance(answer, Progress) for answer in answers)
    (entry,) = json.loads(files.made(run, "inside.json", ENGLISH))
    assert [answer["type"] for answer in entry["answers"]] == ["SaliencyMap"]
