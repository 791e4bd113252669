"""Chapters 4 and 9 of the tour, and what Compare has of them: many networks, many norms."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

import experiments
import models
from app import service
from app.compare import comparisons, transfer_table
from attacks.contract import Query, Stop, answer
from components.i18n import preferences
from engine import layouts
from engine.images.sources import open_sample
from engine.recipe import Recipe
from engine.robustness import transfer
from errors import BadSetting, UnknownName
from experiments.cache import Memory
from experiments.core import run
from experiments.evans2016.survival import Survival, others
from experiments.methods import first_order
from experiments.methods.corruptions import CORRUPTIONS, corrupted
from settings import SAMPLES
from tests.support import small_model


@pytest.fixture(scope="module")
def net():
    return models.load("photos")


@pytest.fixture(scope="module")
def ask(net):
    return lambda x, objective=None: answer(net, Query(x, objective))


@pytest.fixture(scope="module")
def cat(net):
    from engine.images.sources import open_sample

    return net.card.see(open_sample("cat"))


def test_the_slope_is_that_of_the_probability_per_grey_level(net, ask, cat):
    index = net.card.label_index("cat")
    found = first_order.slope(ask, cat, index)
    double, x = net.double(), torch.from_numpy(cat).double()
    try:
        way = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        p = [double((x + t / 255 * way)[None]).softmax(1)[0, index].item() for t in (-1e-3, 0, 1e-3)]
    finally:
        net.float()
    assert found.probability == pytest.approx(p[1], rel=1e-4) and 0.5 < p[1] < 1
    assert float((found.grad * way.numpy()).sum()) == pytest.approx((p[2] - p[0]) / 2e-3, rel=3e-2)
    assert found.percentile == pytest.approx(np.percentile(np.abs(found.grad), 98), rel=1e-4)
    assert found.steepness == pytest.approx(np.abs(found.grad).sum(), rel=1e-4)


def test_the_line_touches_and_leaves_the_curve(net, ask, cat):
    index = net.card.label_index("cat")
    at = first_order.slope(ask, cat, index)
    found = first_order.lines(ask, cat, at)
    line, loss = found["probability"], found["loss"]
    zero = line.levels.index(0.0)
    assert line.levels[0] == -2 and line.levels[-1] == 2 and len(line.levels) == first_order.POINTS
    assert line.predicted[-1] - line.actual[zero] == pytest.approx(2 * at.steepness, rel=1e-3)
    with torch.no_grad():
        end = (
            net(torch.from_numpy(cat - np.float32(2 / 255) * np.sign(at.grad))[None])
            .softmax(1)[0, index]
            .item()
        )
    assert line.actual[0] == pytest.approx(end, rel=1e-2, abs=1e-6) and end < 0.1
    assert [-math.log(p) for p in line.actual] == pytest.approx(loss.actual, rel=1e-6)
    back, on = line.parts()
    assert back is not None and on is not None and -1 < back < 0 < on < 1
    near = line.levels.index(on) - 1
    rise = line.predicted[near] - line.predicted[zero]
    assert abs(line.actual[near] - line.predicted[near]) <= first_order.SHARE * rise


def test_a_straight_function_never_parts():
    x = torch.tensor([-1.0, 0.0, 1.0]).tolist()
    assert first_order.Line(x, x, x).parts() == (None, None)
    assert first_order.Line(x, x, [-1.0, 0.0, 1.3]).parts() == (None, 1.0)


def test_the_articles_example_is_worked_out():
    grad, step = first_order.EXAMPLE_GRADIENT, first_order.EXAMPLE_STEP
    assert first_order.product(step, grad) == pytest.approx(0.08)
    best, most = first_order.best_signs(grad)
    assert best == step and most == pytest.approx(0.08)
    assert first_order.best_signs((2.0, -1.0, 3.0)) == ((1, -1, 1), 6.0)


def chapter(name, lang="en", register="plain", press="", state=None):
    app = AppTest.from_string(
        f"from app import lessons\nlessons.registry()[{name!r}].render()", default_timeout=120
    )
    app.query_params["model"], app.query_params["image"] = "photos", "cat"
    for key, value in {"lang": lang, "register": register, **(state or {})}.items():
        app.session_state[key] = value
    app.run()
    if press:
        next(button for button in app.button if button.key == press).click().run()
    assert not app.exception and not app.error
    return app


def spoken(app):
    html = [each.proto.body for each in app.get("html")]
    return "\n".join([*html, *(m.value for m in app.markdown), *(c.value for c in app.caption)])


def test_a_step_against_the_gradient_makes_the_cat_less_sure(net, ask, cat):
    app = chapter("gradient", press="gradient.press")
    index = net.card.label_index("cat")
    at = first_order.slope(ask, cat, index)
    moved = first_order.moved(cat, np.sign(at.grad), [0.9, -0.9])
    p = net(torch.from_numpy(moved)).softmax(1)[:, index]
    said = spoken(app)
    assert f"cat: {at.probability:.1%}".replace("%", " %") in said
    assert f"→ {100 * p[1]:.1f} %" in said and p[0] > at.probability > 2 * p[1]
    assert "0.00431" in said and "0.00187" in said and "δ·∇ = +0.08" in said


def test_the_readers_class_is_differentiated():
    app = chapter("gradient")
    (box,) = [each for each in app.selectbox if each.key.startswith("gradient.class")]
    dog = models.card("photos").label_index("dog")
    box.set_value(dog).run()
    assert not app.exception and "dog: " in spoken(app)


@pytest.mark.parametrize("register", preferences.REGISTERS)
def test_the_gradient_is_told_in_chinese(register):
    # Not pressed: AppTest asks for the options' names outside the session, where the language is English.
    taken = ("photos", "cat", models.card("photos").label_index("cat"))
    app = chapter("gradient", "zh", register, state={"gradient_taken": taken})
    said = spoken(app)
    assert "梯度" in said and "抛硬币定符号" in said
    assert app.header[0].value == "梯度是一幅图"


ASKED = ("efficientnet_lite0", "photos_robust")
"""Of all other networks those that this file asks: the classes of another family, and the same classes."""


@pytest.fixture(scope="module")
def survived():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.evans2016.survival.others", lambda card: list(ASKED))
        return run(Survival(network="photos", picture="cat", n=10, steps=8), Memory())


def test_the_attack_keeps_its_budget_and_chance_is_as_large(survived):
    sizes = survived.figures.sizes
    assert sizes["attack"].linf == pytest.approx(4 / 255, abs=1e-5)
    assert sizes["noise"].l2 == pytest.approx(sizes["attack"].l2, rel=1e-3)
    assert sizes["coin"].l2 == pytest.approx(sizes["attack"].l2, rel=0.02)
    assert sizes["noise"].linf > sizes["attack"].linf >= sizes["coin"].linf - 1e-6


def test_the_attack_fools_where_chance_does_not(survived, net, cat):
    figures = survived.figures
    label = int(net(torch.from_numpy(cat)[None]).argmax())
    assert figures.clean.label == net.card.labels[label] == "cat" and not figures.clean.fooled
    assert figures.attack.fooled and figures.attack.original < 0.05
    for chance in (figures.noise, figures.coin):
        assert chance.fooled == 0 and chance.n == 10 and chance.original > 0.5
    assert survived.claims["No random change of the same size does."]


@pytest.fixture
def alone(monkeypatch):
    """Leave no other network to ask: those take most of the time."""
    monkeypatch.setattr("experiments.evans2016.survival.others", lambda card: [])


def test_other_networks_are_asked_in_their_own_words(survived):
    transfer, names = survived.figures.transfer, others(models.card("photos"))
    assert {*ASKED} <= {*names} and "photos" not in names
    assert tuple(transfer) == ASKED
    for name, asked in transfer.items():
        assert {asked.clean.label, asked.attack.label} <= set(models.card(name).labels)
        assert not asked.clean.fooled and not asked.same
        assert asked.attack.fooled == (asked.attack.label != asked.clean.label)


@pytest.mark.usefixtures("alone")
def test_the_same_again_gives_the_same_and_another_seed_other_noise(survived):
    again = run(Survival(network="photos", picture="cat", n=10, steps=8), Memory())
    assert again.figures == replace(survived.figures, transfer={})
    other = run(Survival(network="photos", picture="cat", n=10, steps=8, seed=1), Memory())
    assert other.figures.attack == survived.figures.attack
    assert other.figures.noise != survived.figures.noise


def test_every_corruption_is_what_it_says(cat):
    picture = torch.from_numpy(cat)
    exact = corrupted(picture, "PNG, 8 bits")
    assert torch.equal(exact, (picture * 255).round() / 255)
    loss = {name: float((corrupted(picture, name) - exact).abs().mean()) for name in CORRUPTIONS}
    assert 0 < loss["JPEG 95"] < loss["JPEG 75"] < loss["JPEG 50"] < 0.1
    assert all(corrupted(picture, name).shape == cat.shape for name in CORRUPTIONS)
    checks = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(3, 16, 16)
    for name in ("half as large and back", "blurred by a pixel"):
        assert corrupted(checks, name).std() < 0.4 * checks.std()
    assert corrupted(torch.rand(1, 28, 28), "JPEG 75").shape == (1, 28, 28)


@pytest.mark.usefixtures("alone")
def test_a_target_is_reached_and_what_cannot_be_is_said():
    attack = run(Survival(network="photos", picture="cat", n=10, target="dog"), Memory()).figures.attack
    assert attack.label == "dog" and attack.probability > 0.5
    with pytest.raises(BadSetting, match="already says cat"):
        run(Survival(network="photos", picture="cat", n=10, target="cat"), Memory())
    with pytest.raises(UnknownName, match="picture"):
        run(Survival(network="photos", n=10, picture="nothing"), Memory())


def test_what_ships_is_what_is_computed_here(survived):
    ships = experiments.shipped(Survival)
    assert ships
    standard, model = Survival(), models.load(models.FIRST)
    assert ships.settings == {s.name: getattr(standard, s.name) for s in standard.settings()}
    p = model(model.card.preprocess(open_sample("panda"))[None]).softmax(1)[0]
    assert ships.figures.clean.label == model.card.labels[int(p.argmax())]
    assert ships.figures.clean.probability == pytest.approx(float(p.max()), abs=1e-3)
    assert ships.claims.keys() >= survived.claims.keys()


@pytest.mark.usefixtures("alone")
def test_the_button_computes_for_the_readers_own_photo_and_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    token = service.engine().uploads.add((SAMPLES / "cat.jpg").read_bytes(), "mine.jpg")
    script = "from app.lessons.tour.just_noise import render\nrender()"
    app = AppTest.from_string(script, default_timeout=120)
    app.query_params["model"], app.query_params["image"] = "photos", token
    app.run()
    assert "Press to do it with your choice." in spoken(app)
    next(button for button in app.button if button.key == "survival.press").click().run()
    assert not app.exception and not app.error
    said = spoken(app)
    assert "your picture, at most 4" in said and "✗ fooled: cougar" in said and "Press to do" not in said
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert written <= {layouts.FILE}  # of the network alone, where this process had not measured it


def test_noise_is_told_in_chinese():
    said = spoken(chapter("just_noise", "zh", "maths"))
    assert "被骗" in said and "截屏" in said and "fooled" not in said.replace('class="fooled"', "")


BASE = Recipe("small", "cat", "bim", {"steps": 3}, target=2, stop=Stop("success"))


def compare_page():
    from app.compare.page import render

    render()


@pytest.fixture
def engine(monkeypatch):
    with small_model.behind_pages(monkeypatch) as made:
        monkeypatch.setattr("app.compare.page.here", lambda card: ["small", "smaller"])
        yield made


def compared(engine, press=True, **query):
    """Return the Compare page after Start, once all is over, what it tells its live view, and its tables:
    that of the mode, and of the spectra."""
    app = AppTest.from_function(compare_page, default_timeout=120)
    for name, value in {"model": "small", **query}.items():
        app.query_params[name] = value
    app.run()
    if press:
        next(button for button in app.button if button.key == "start_compare").click().run()
    views = [json.loads(each.proto.json)[0] for each in app.get("bidi_component")]
    told = next(each for each in views if "mode" in each)
    for each in told["runs"]:
        list(engine.follow(engine.run(each["id"])))
    app.run()
    assert not app.exception and not app.error, (app.exception, app.error)
    return app, told, [each.proto.body for each in app.get("html") if "<table" in each.proto.body]


@pytest.mark.parametrize(("norm", "value", "length"), [("linf", 1, 1), ("l2", 16 * 3**0.5, 16 * 3**0.5),
                                                       ("l1", 768, 16 * 3**0.5)])  # fmt: skip
def test_budgets_of_several_norms_are_comparable(norm, value, length):
    assert comparisons.comparable(small_model.card(), norm, 0.01, "value") == pytest.approx(0.01 * value)
    assert comparisons.comparable(small_model.card(), norm, 0.01, "length") == pytest.approx(0.01 * length)


@pytest.mark.usefixtures("engine")
def test_one_attack_is_tried_under_each_norm_that_it_knows():
    recipes = comparisons.across_norms(BASE, "pgd", 0.02, 7, "value")
    assert [(recipe.build().bound() or ("", 0.0))[0] for recipe in recipes] == ["linf", "l2", "l1"]
    corner = [(recipe.build().bound() or ("", 0.0))[1] for recipe in recipes]
    assert corner == pytest.approx([0.02, 0.02 * 768**0.5, 0.02 * 768])
    assert all(recipe.target == 2 and recipe.params["steps"] == 7 for recipe in recipes)
    free = comparisons.across_norms(BASE, "fmn", 0.02, 7, "value")
    assert [recipe.params for recipe in free] == [{"norm": n} for n in ("linf", "l2", "l1", "l0")]
    assert {"pgd", "fmn"} <= set(comparisons.manynormed()) and "random_noise" not in comparisons.manynormed()


@pytest.mark.usefixtures("engine")
def test_a_target_goes_to_other_networks_by_its_label():
    one = comparisons.alone(BASE, "pgd", "linf", 0.02, 5)
    both = comparisons.networks(
        BASE, ["small", "smaller"], one, lambda name: {"small": 0, "smaller": 2}[name]
    )
    assert [(recipe.model, recipe.target) for recipe in both] == [("small", 2), ("smaller", None)]
    (other,) = comparisons.networks(BASE, ["photos"], one, lambda name: 0)
    assert other.target is None and other.image == "cat" and other.build().bound() == ("linf", 0.02)
    with pytest.raises(BadSetting, match="1 to 8 networks"):
        comparisons.networks(BASE, [], one, lambda name: 0)


def test_only_networks_that_are_here_and_take_the_picture_are_offered():
    names = transfer.here(models.card("photos"))
    assert names[0] == "photos" and {models.card(name).channels for name in names} == {3}
    assert "lenet" in transfer.here(models.card("fc100")) and "photos" not in transfer.here(
        models.card("fc100")
    )


def test_the_transfer_table_says_what_each_network_says(engine):
    app, told, (table, _) = compared(engine, mode="networks", target="class 5")
    assert [each["title"] for each in told["runs"]] == ["Small", "Smaller"] and told["mode"] == "networks"
    runs = [engine.run(each["id"]) for each in told["runs"]]
    assert [run.recipe.model for run in runs] == ["small", "smaller"]
    clean = engine.classify("small", "cat")[0]
    after = engine.logits("small", torch.from_numpy(runs[1].picture(len(runs[1]) - 1))[None].float())
    says = small_model.card().labels[int(after.argmax())]
    assert table.count(f"{clean.label} ") >= 2 and f"{says} " in table
    assert table.count("attacked</small>") == 2 and table.count("<tr>") == 1 + 1 + 2
    fooled = says != clean.label  # both have the same weights: all four cells say the same
    assert table.count("✗ fooled: ") == 4 * fooled and table.count("✓ not fooled: ") == 4 * (not fooled)
    assert f"{2 * fooled} of 2" in spoken(app)


def test_the_table_of_norms_measures_each_change(engine):
    _, told, (table, _) = compared(engine, mode="norms")
    assert [each["title"] for each in told["runs"]] == ["PGD, linf", "PGD, l2", "PGD, l1"]
    for each in told["runs"]:
        run, found = engine.run(each["id"]), transfer_table.sizes(engine.run(each["id"]))
        change = run.picture(len(run) - 1) - run.start
        assert found["l2"] == pytest.approx(np.sqrt((change**2).sum()), rel=0.01)
        assert found["l1"] == pytest.approx(np.abs(change).sum(), rel=0.01)
        assert found[each["norm"]] <= each["epsilon"] * 1.01 and 0 < found["l0"] <= 1
        assert f"{found['l2']:,.3g}" in table


@pytest.mark.parametrize("mode", ["networks", "norms"])
def test_the_address_brings_either_comparison_back(engine, mode):
    app, told, tables = compared(engine, mode=mode)
    named, kept = ("".join(app.query_params[name]) for name in ("runs", "mode"))
    assert named.split(",") == [each["id"] for each in told["runs"]] and kept == mode
    _, again, same = compared(engine, press=False, mode=mode, runs=named)
    assert again["runs"] == told["runs"] and again["mode"] == mode and same == tables


def test_norms_are_watched_in_a_browser(visitor):
    """Curves grow, then the table of sizes stands below without a press; a reload finds both again."""
    window = visitor()
    window.page.goto(f"{window.site.url}/compare?mode=norms&model=photos&image=coffee&target=any")
    expect(window.page.locator(".st-key-start_compare button")).to_be_visible()
    window.settle()
    window.page.locator(".st-key-start_compare button").click()
    the_table_of_norms_is_there(window)
    window.page.reload()
    the_table_of_norms_is_there(window)


def the_table_of_norms_is_there(window):
    expect(window.page.locator("[data-test=compare]")).to_have_attribute("data-over", "", timeout=120_000)
    rows = window.page.locator(".asked.norms tbody tr")
    expect(rows).to_have_count(3)
    assert "PGD, l1" in rows.nth(2).inner_text()
