"""The part "What it survives" under a finished run, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from attacks.contract import Stop
from components.take_home import robustness
from engine.engine import Engine
from engine.recipe import Recipe
from engine.robustness import answers, transfer
from engine.robustness.corruptions import CORRUPTIONS
from engine.run import Run
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 4, "epsilon": 32 / 255}, target=5, stop=Stop("steps"))


def part():
    import streamlit as st

    from app import service
    from components.take_home.robustness import render

    engine = service.engine()
    render(engine, "/foolscope", engine.run(st.session_state["run"]), "here")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with small_model.behind_pages(monkeypatch) as made:
        for module in (robustness, transfer):
            monkeypatch.setattr(module, "here", lambda card: ["small", "smaller"])
        yield made


def finished(engine: Engine, key: str) -> Run:
    run = engine.run(key)
    list(engine.follow(run))
    return run


def opened(engine: Engine, language: str = "en") -> tuple[AppTest, Run]:
    app = AppTest.from_function(part, default_timeout=120)
    app.session_state["lang"], app.session_state["run"] = language, engine.submit(RECIPE).id
    run = finished(engine, app.session_state["run"])
    return quiet(app.run()), run


def quiet(app: AppTest) -> AppTest:
    assert not app.exception, app.exception[0].value
    return app


def tables(app: AppTest) -> list[str]:
    return [each.proto.body for each in app.get("html") if "<table" in each.proto.body]


def test_the_table_says_what_the_network_says(engine: Engine) -> None:
    app, run = opened(engine)
    survives, networks = tables(app)
    assert len(re.findall("<tr>", survives)) == 1 + 1 + len(CORRUPTIONS) + 1
    rows = answers.corrupted_answers(engine, run)
    for row, text in zip(rows, survives.split("<tr>")[2:], strict=False):
        for said in (row.clean, row.noise, row.attacked):
            assert f"{said.label} " in text
        fooled = row.attacked.label != run.labels[run.original]
        assert text.split("</td>")[2].count("fooled: ") == 1 and ("✗" in text.split("</td>")[2]) is fooled
    assert "linf 16/255" in survives or "linf" in survives
    met = sum(row.attacked.label == run.labels[5] for row in rows[1:])
    assert f"Still “class 5” after {met} of 12." in app.caption[0].value
    assert "this one has 16" in app.caption[0].value
    assert networks.count("<tr>") == 3 and networks.count("attacked</small>") == 1


def test_one_press_makes_a_version_and_both_are_shown(engine: Engine) -> None:
    app, run = opened(engine)
    app.button[0].click()
    quiet(app.run())
    made = finished(engine, app.session_state["here.made"])
    assert made.recipe == answers.survivor(RECIPE, ("jpeg75",), 8 / 255)
    survives, networks = tables(quiet(app.run()))
    assert "made to survive" in survives and "made to survive" in networks
    assert f"linf {255 * (made.figures(len(made) - 1)['linf'] or 0):.3g}/255" in survives
    again = answers.corrupted_answers(engine, made)
    last = [text.split("</td>")[3] for text in survives.split("<tr>")[2:15]]
    assert all(f"{row.attacked.label} " in text for row, text in zip(again, last, strict=True))
    assert any(f"run={made.id}" in each.value for each in app.markdown)


def test_nothing_ticked_is_told_and_what_is_there_stays(engine: Engine) -> None:
    app, _ = opened(engine, "zh")
    app.button_group[0].set_value([])
    app.button[0].click()
    quiet(app.run())
    assert [each.value for each in app.error] == ["需要至少一种要经得起的处理，却一种也没有。"]
    assert len(tables(app)) == 2 and "here.made" not in app.session_state
