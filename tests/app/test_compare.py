"""Races and robustness curves: which recipes they are made of, on the page, and in a real browser."""

from __future__ import annotations

import json
import math
import re
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

import attacks
from app import shipped_recipes
from app.compare import comparisons, spectra
from attacks.contract import Stop
from attacks.toolkit.norms import NORMS
from components.display import attack_families
from engine.recipe import Recipe
from errors import BadSetting
from tests.components.test_translations import asked, foreign
from tests.components.test_translations import shown as said
from tests.support import small_model
from tests.support.browser import PHONE, until

BASE = Recipe("small", "cat", "bim", {"steps": 3}, target=2, stop=Stop("success"))


@pytest.mark.parametrize("norm", comparisons.NORMS)
def test_all_in_a_race_have_the_same_budget_or_need_none(norm):
    for name in comparisons.known(norm):
        (recipe,) = comparisons.race(BASE, [name], norm, 0.03, 17)
        attack, bound = recipe.build(), recipe.build().bound()
        assert bound in ((norm, 0.03), None) and (bound is None) == (attack.card.kind == "minimal")
        assert getattr(attack, "steps", 17) == 17 or bound is None
        assert (recipe.image, recipe.target, recipe.stop) == ("cat", 2, Stop("steps"))


def test_what_cannot_race_is_refused():
    with pytest.raises(BadSetting, match="FGSM keeps no budget in l2"):
        comparisons.race(BASE, ["fgsm"], "l2", 1.0, 5)
    for names in ([], ["pgd"] * (comparisons.MOST + 1)):
        with pytest.raises(BadSetting, match="1 to 8 attacks"):
            comparisons.race(BASE, names, "linf", 0.1, 5)


@pytest.mark.parametrize("norm", comparisons.NORMS)
def test_a_sweep_has_the_attack_and_noise_at_every_budget(norm):
    recipes = comparisons.sweep(BASE, "pgd", norm, 5)
    sizes = [(recipe.attack, (recipe.build().bound() or ("", 0.0))[1]) for recipe in recipes]
    assert sizes[: len(NORMS[norm].facts.budgets)] == [("pgd", e) for e in NORMS[norm].facts.budgets]
    assert {name for name, _ in sizes} == {"pgd", comparisons.CONTROL}
    told = comparisons.facts({str(i): recipe for i, recipe in enumerate(recipes)})
    assert [each["control"] for each in told] == [name == comparisons.CONTROL for name, _ in sizes]


def test_who_needs_no_budget_is_judged_by_the_others_in_a_race():
    recipes = comparisons.race(BASE, ["pgd", "fmn", "random_noise"], "l2", 1.5, 5)
    told = comparisons.facts(dict(zip("abc", recipes, strict=True)))
    assert [(each["id"], each["norm"], each["limit"]) for each in told] == [(run, "l2", 1.5) for run in "abc"]
    assert [each["epsilon"] for each in told] == [1.5, None, 1.5]
    assert comparisons.facts({"a": recipes[1]})[0]["limit"] is None
    assert [each["limit"] for each in comparisons.facts({"a": recipes[0], "b": recipes[1]}, "sweep")] == [
        1.5,
        None,
    ]


def test_every_attack_has_its_place_in_a_family():
    grouped = attack_families.grouped()
    assert sorted(name for names in grouped.values() for name in names) == sorted(attacks.registry())
    assert attack_families.ordered(attacks.registry()) == [n for names in grouped.values() for n in names]


def page():
    from app.compare.page import render

    render()


@pytest.fixture
def engine(monkeypatch):
    with small_model.behind_pages(monkeypatch) as made:
        yield made


def visit(**query):
    app = AppTest.from_function(page, default_timeout=120)
    for name, value in {"model": "small", **query}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception[0].value
    return app


def shown(app):
    """Return what the page tells its live view."""
    told = [json.loads(each.proto.json)[0] for each in app.get("bidi_component")]
    return next(each for each in told if "mode" in each)


def start(app):
    next(button for button in app.button if button.key == "start_compare").click().run()
    assert not app.exception, app.exception[0].value
    return shown(app)["runs"]


def test_a_race_starts_one_run_for_each_attack_and_ends_the_one_before(engine):
    app = visit(target="class 5")
    assert [each["id"] for each in shown(app)["runs"]] == shipped_recipes.race_ids()
    assert any("Ships with the program" in each.value for each in app.caption)
    racers = next(m for m in app.multiselect if m.key == "compare.racers.linf")
    racers.set_value(["fgsm", "pgd"]).run()
    runs = start(app)
    assert [each["title"] for each in runs] == ["FGSM", "PGD"]
    made = [engine.run(each["id"]) for each in runs]
    assert all(run.recipe.target == 5 and run.recipe.build().epsilon == 4 / 255 for run in made)
    again = start(app)
    assert {each["id"] for each in again}.isdisjoint(each["id"] for each in runs)
    assert all(run.over for run in made)


def test_the_address_brings_the_same_comparison_back(engine):
    app = visit(target="class 5", mode="sweep")
    runs = start(app)
    named = app.query_params["runs"]
    named = named[0] if isinstance(named, list) else named
    assert named.split(",") == [each["id"] for each in runs]
    other = shown(visit(target="class 5", mode="sweep", runs=named))
    assert (other["mode"], other["runs"]) == ("sweep", runs)


@pytest.fixture
def chinese(monkeypatch):
    monkeypatch.setattr("components.i18n.preferences.language", lambda: "zh")
    monkeypatch.setattr("app.compare.page.here", lambda card: ["small", "smaller"])


@pytest.mark.parametrize("mode", ["race", "sweep", "networks", "norms"])
def test_a_comparison_speaks_chinese(engine, chinese, mode):
    app = visit(mode=mode, target="class 5")
    assert foreign(f"{said(app)}\n{asked(app)}") == [] and shown(app)["words"]["Fooled at step"]
    assert next(button for button in app.button if button.key == "start_compare").label == "开始"


@pytest.mark.parametrize("mode", ["networks", "norms"])
def test_what_follows_from_a_comparison_is_said_in_chinese(engine, chinese, mode):
    app = visit(mode=mode, target="class 5")
    for each in start(app):
        engine.run(each["id"]).wait(10_000, timeout=60)
    app.run()
    assert "###" in said(app) and foreign(f"{said(app)}\n{asked(app)}") == []


def test_spectra_of_two_planted_changes_stand_side_by_side(engine):
    """Waves of 5 and of 2 cycles across the picture, of of the high and the middle band."""
    pair = []
    for cycles in (5, 2):
        run = engine.submit(BASE)
        list(engine.follow(run))
        wave = np.cos(2 * math.pi * cycles * np.arange(16, dtype=np.float32) / 16)
        run._latest = 0.5 * run.start + 0.2 + 0.1 * wave
        run.start = 0.5 * run.start + 0.2
        pair.append(spectra.spectrum(run, f"{cycles} cycles"))
    table = {head: cells for head, *cells in spectra.rows(pair)}
    assert table["strongest frequency, in cycles across the picture"] == ["5", "2"]
    assert table["high"][0].startswith("100 % (") and table["middle"][1].startswith("100 % (")
    assert table["pixels changed by half a grey level or more"] == ["87.5 %", "75.0 %"]  # a wave is 0 there


def test_a_person_chooses_whose_spectra_are_compared(engine):
    app = visit(target="class 5")
    next(m for m in app.multiselect if m.key == "compare.racers.linf").set_value(["fgsm", "pgd", "bim"]).run()
    for each in start(app):
        engine.run(each["id"]).wait(10_000, timeout=60)
    app.run()
    second = next(box for box in app.selectbox if box.key == "spectrum_1")
    assert second.options == ["FGSM", "PGD", "BIM (I-FGSM)"] and spectra_table(app) == ["FGSM", "PGD"]
    second.select_index(2).run()
    assert spectra_table(app) == ["FGSM", "BIM (I-FGSM)"]


def spectra_table(app):
    """Return whose spectra the table compares."""
    (table,) = [each.proto.body for each in app.get("html") if "Share of the squared l2" in each.proto.body]
    return re.findall(r'<th scope="col">([^<]*)</th>', table)[1:]


def test_runs_that_are_gone_are_told(engine):
    app = visit(runs="nothing,here")
    assert "does not know that run" in app.error[0].value and shown(app)["runs"] == []


def test_a_race_is_watched_in_a_browser(visitor):
    """Curves and table grow while it runs; a reload finds it; the phone shows it too."""
    window = visitor()
    view = window.page.locator("[data-test=compare]")
    window.page.goto(f"{window.site.url}/compare?model=photos&image=cat")  # whose steps take less time
    window.settle()
    window.page.locator(".st-key-start_compare button").click()
    window.page.wait_for_url(re.compile("runs="))
    runs = parse_qs(urlsplit(window.page.url).query)["runs"]
    expect(view).to_have_attribute("data-runs", runs[0])  # and no longer the race that ships
    until(lambda: int(view.get_attribute("data-count") or 0) > 2, "the curves to grow")
    expect(view).to_have_attribute("data-over", "", timeout=120_000)
    rows = window.page.locator("[data-test=race-table] tbody tr")
    assert rows.count() >= 2
    for row in rows.all():
        cells = row.locator("th, td").evaluate_all(
            "cells => Object.fromEntries(cells.map(cell => [cell.dataset.cell, cell.textContent]))"
        )
        assert cells["status"] in ("fooled", "not fooled", "fooled, beyond the budget")
        assert re.fullmatch(r"[\d.]+/255", cells["linf"]) and int(cells["queries"]) >= 2
        assert (cells["since"] == "–") or cells["since"].isdecimal()
    window.page.reload()
    expect(view).to_have_attribute("data-over", "", timeout=60_000)
    assert parse_qs(urlsplit(window.page.url).query)["runs"] == runs
    window.page.set_viewport_size(PHONE)
    expect(window.page.locator("[data-test=race-table]")).to_be_visible()
