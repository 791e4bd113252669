"""What an address names in vain is said until something else is chosen in its place, on every page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from components.widgets.unknown_names import Refusals
from engine.links import DEFAULT
from errors import BadSetting, UnknownName
from tests.support import small_model


def test_a_refusal_lasts_until_its_part_changes():
    refusals = Refusals()
    refusals.add("target", UnknownName.of("class", "unicorn", ["cat"]))
    refusals.add("seed", BadSetting("Expected a number."), "The page goes on.")
    assert refusals.parts() == ["target", "seed"]
    both = refusals.sentences({"target": 3, "seed": 0})
    assert "“unicorn”" in both[0] and both[1] == "Expected a number. The page goes on."
    assert refusals.sentences({"target": 3, "seed": 0}) == both
    assert refusals.sentences({"target": 4, "seed": 0}) == both[1:]
    assert refusals.sentences({"target": 3, "seed": 0}) == both[1:], (
        "what was chosen anew is not refused again"
    )
    refusals.add("seed", BadSetting("Expected another number."))
    assert refusals.sentences({"seed": 9}) == ["Expected another number."]


def visit(page, **query):
    """Return the page at an address; ``page``: the package that draws it, or "lessons.NAME"."""
    folder, _, lesson = page.partition(".")
    source = f"from app.{folder}.page import render\nrender()"
    if lesson:
        source = f"from app import lessons\nlessons.registry()[{lesson!r}].render()"
    app = AppTest.from_string(source, default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    return quiet(app.run())


def quiet(app):
    assert not app.exception, app.exception[0].value
    return app


def errors(app):
    return [error.value for error in app.error]


@pytest.mark.parametrize(
    ("query", "net", "picture"),
    [
        ({"model": "nobody", "image": "cat"}, DEFAULT.model, "cat"),
        ({"model": "photos", "image": "nobody"}, "photos", ""),
        ({"net": "photos", "picture": "nobody"}, "photos", ""),
    ],
    ids=["model", "image", "old names"],
)
def test_a_lesson_says_what_it_does_not_know_and_keeps_the_rest(query, net, picture):
    app = visit("lessons.at_work", **query)
    assert len(errors(app)) == 1 and "nobody" in errors(app)[0]
    assert (app.session_state["subject_model"], app.session_state["subject_image"]) == (net, picture)
    app = quiet(app.run())
    assert len(errors(app)) == 1
    choice = (
        app.selectbox(key="subject.model")
        if picture
        else next(box for box in app.selectbox if box.key.startswith("subject.image"))
    )
    other = next(i for i, _ in enumerate(choice.options) if i != choice.index)
    app = quiet(choice.select_index(other).run())
    assert not errors(app)


def test_the_catalogue_says_which_attack_it_does_not_know():
    app = visit("catalogue", card="tickle")
    assert len(errors(app)) == 1 and "There is no attack called “tickle”" in errors(app)[0]
    assert len(errors(quiet(app.run()))) == 1
    assert not errors(quiet(app.button(key="card.fgsm").click().run()))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"mode": "tickle"}, "There is no comparison called “tickle”"),
        ({"runs": "unknown"}, "does not know that run"),
    ],
    ids=["mode", "runs"],
)
def test_a_comparison_says_what_it_does_not_know(monkeypatch, query, sentence):
    with small_model.behind_pages(monkeypatch):
        app = visit("compare", model="small", image="cat", **query)
        assert len(errors(app)) == 1 and sentence in errors(app)[0]
        assert len(errors(quiet(app.run()))) == 1
        if "mode" in query:
            app.session_state["compare.mode"] = "sweep"
            assert not errors(quiet(app.run()))
        else:
            assert not errors(quiet(app.button(key="start_compare").click().run()))
