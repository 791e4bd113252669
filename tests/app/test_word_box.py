"""The classes of a CLIP, typed on the page: real open_clip, a tiny network with random weights."""

from __future__ import annotations

import pytest
import torch
from streamlit.testing.v1 import AppTest

from engine.engine import Engine
from models.added import words
from tests.app.test_controls import address, errors, live_view, page, press, quiet
from tests.support import small_clip

OWN = "giant panda\ntoaster\nAda"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOOLSCOPE_HOME", str(folder / "home"))
        small_clip.added(folder, *OWN.splitlines())
        made = Engine(torch.device("cpu"))
        patch.setattr("app.service.engine", lambda: made)
        patch.setattr("app.service.ready", lambda: True)
        yield made
        made.close()


def visit(**query):
    app = AppTest.from_function(page, default_timeout=120)
    app.session_state["lang"] = query.pop("lang", "en")
    for name, value in {"image": "panda", **query}.items():
        app.query_params[name] = value
    return quiet(app.run())


def test_words_typed_on_the_page_are_the_classes_at_once(engine):
    app = visit(model="clip")
    box = app.text_area(key="words.clip")
    assert box.value == OWN
    box.set_value("cat\na bowl of soup on ice\n\n Ada ")
    quiet(app.run())
    name = words.name_of("clip", ["cat", "a bowl of soup on ice", "Ada"])
    assert address(app)["model"] == name
    listed = app.selectbox(key=f"target.{name}").options
    assert sorted(title.split(" · ")[0] for title in listed[1:]) == ["Ada", "a bowl of soup on ice", "cat"]
    first = engine.classify(name, "panda")[0]
    assert first.label in listed[0] and first.label in ("cat", "a bowl of soup on ice", "Ada")
    texts = next(each.value for each in app.markdown if "a photo of a cat" in each.value)
    assert texts == "- a photo of a cat\n- a bowl of soup on ice\n- a photo of Ada"
    press(app, "start")
    run = engine.run(address(app)["run"])
    list(engine.follow(run))
    assert run.status == "finished" and run.recipe.model == name
    again = visit(run=run.id)
    assert again.text_area(key="words.clip").value == "cat\na bowl of soup on ice\nAda"
    assert live_view(again)["run"]


def test_bad_words_are_said_and_the_good_ones_stay(engine):
    app = visit(model="clip~cat;dog")
    app.text_area(key="words.clip").set_value("cat\nCAT")
    quiet(app.run())
    assert len(errors(app)) == 1 and "got “CAT” twice" in errors(app)[0]
    assert address(app)["model"] == "clip~cat;dog"
    assert app.text_area(key="words.clip").value == "cat\nCAT"
    app.text_area(key="words.clip").set_value(OWN)
    quiet(app.run())
    assert not errors(app) and address(app)["model"] == "clip"


def test_other_networks_have_no_words(engine):
    app = visit(model="lenet", image="seven")
    assert not app.text_area
    bad = visit(model="lenet~seven", image="seven")
    assert "compares images with words" in errors(bad)[0]
