"""The page's controls, without a browser: widgets made from what attacks and networks say of themselves."""

from __future__ import annotations

import io
import json
import re

import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

import attacks
import models
from attacks.contract import Stop
from engine.engine import Engine
from engine.recipe import Recipe
from tests.components.test_translations import asked, foreign, shown
from tests.support import small_model

ATTACKS = sorted(attacks.registry())


def page():
    from app.playground.page import render

    render()


@pytest.fixture
def engine(monkeypatch):
    with small_model.behind_pages(monkeypatch) as made:
        yield made


@pytest.fixture
def open_page(engine):
    """Return a function that visits the page at an address; ``small`` is its network."""

    def visit(**query):
        app = AppTest.from_function(page, default_timeout=120)
        app.session_state["lang"] = query.pop("lang", "en")
        for name, value in {"model": "small", "image": "cat", **query}.items():
            app.query_params[name] = value
        return quiet(app.run())

    return visit


def quiet(app):
    assert not app.exception, app.exception[0].value
    return app


def widget(app, key):
    """Return the control with this key, whatever its kind."""
    kinds = (app.selectbox, app.slider, app.select_slider, app.toggle, app.number_input, app.button)
    found = [each for kind in kinds for each in kind if each.key == key]
    assert len(found) == 1, f"{len(found)} controls are called {key}"
    return found[0]


def control(app, attack, field):
    """Return the control of an attack's field, under whatever distance."""
    kinds = (app.selectbox, app.slider, app.select_slider, app.toggle)
    found = [
        w for kind in kinds for w in kind if re.fullmatch(rf"{attack}\.(linf|l2|)\.?{field}", w.key or "")
    ]
    assert len(found) == 1, f"{len(found)} controls for {field}"
    return found[0]


def address(app):
    """Return what the page's address says, by name."""
    return {name: text[0] if isinstance(text, list) else text for name, text in app.query_params.items()}


def change(app, key, value):
    return quiet(widget(app, key).set_value(value).run())


def press(app, key):
    return quiet(widget(app, key).click().run())


def errors(app):
    return [each.value for each in app.error]


def live_view(app):
    """Return what the page tells the live view."""
    return next(d for d in map(data, app.get("bidi_component")) if "run" in d)


def data(component):
    return json.loads(component.proto.json)[0]


def ranking(engine):
    return engine.classify("small", "cat")


def other(engine):
    """Return the label of a class that the network does not see in the picture."""
    return ranking(engine)[2].label


# ---- controls from the attacks' fields -----------------------------------------------------------


@pytest.mark.parametrize("name", ATTACKS)
def test_every_field_of_an_attack_has_a_control_at_its_default(open_page, name):
    app = open_page(attack=name)
    kind = attacks.get(name)
    for each in kind.settings():
        made = control(app, name, each.name)
        assert made.value == each.default
        assert made.label.casefold() == each.label.casefold() and each.name in made.help
        if each.choices:
            assert list(made.options) == list(each.choices)
    assert not errors(app)
    assert set(address(app)) == {"model", "image", "attack", "target"}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_first_touch_of_every_slider_counts(open_page, name):
    """One after the other on one page, none of which was touched before."""
    app = open_page(attack=name)
    touched = []
    for each in (s for s in attacks.get(name).settings() if s.type in ("int", "float")):
        top = each.soft_high or each.high
        touched.append((each, top if each.default != top else each.low))
        app = change(app, control(app, name, each.name).key, touched[-1][1])
        for field, end in touched:
            assert control(app, name, field.name).value == pytest.approx(end), field.name
            assert field.parse(address(app)[field.name]) == pytest.approx(end), field.name


def test_another_attack_brings_its_own_controls(open_page):
    app = open_page(attack="bim")
    before = {each.label for each in [*app.slider, *app.select_slider, *app.toggle]}
    app = change(app, "attack", "towards")
    after = {each.label for each in [*app.slider, *app.select_slider, *app.toggle]}
    fields = {
        name: {s.label for s in attacks.get(name).settings() if not s.choices} for name in ("bim", "towards")
    }
    assert fields["bim"] <= before and fields["towards"] <= after
    assert not (fields["bim"] - fields["towards"]) & after
    assert address(app)["attack"] == "towards"


@pytest.mark.parametrize("name", [n for n in ATTACKS if any(s.by for s in attacks.get(n).settings())])
def test_another_distance_brings_its_own_ranges_and_defaults(open_page, name):
    app = change(open_page(attack=name), f"{name}.norm", "l2")
    for each in attacks.get(name).settings("l2"):
        if each.by:
            assert control(app, name, each.name).value == pytest.approx(each.default)
    assert address(app)["norm"] == "l2"
    assert not {each.name for each in attacks.get(name).settings("l2") if each.by} & set(address(app))
    app = change(app, f"{name}.norm", "linf")
    assert "norm" not in address(app) and "step_size" not in address(app)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_controls_speak_chinese(open_page, name):
    app = open_page(attack=name, lang="zh")
    assert foreign(f"{shown(app)}\n{asked(app)}") == []
    assert widget(app, "start").label == "运行" and widget(app, "stop").label == "何时停止"
    for each in attacks.get(name).settings():
        assert control(app, name, each.name).label != each.label or each.label == "Adam"


def test_a_bad_address_and_a_bad_file_are_told_in_chinese(open_page, monkeypatch):
    monkeypatch.setattr("components.i18n.preferences.language", lambda: "zh")
    app = open_page(model="nonsense", attack="bim", steps="-1", seed="x")
    app.file_uploader(key="upload").upload("diary.jpg", b"dear diary", "image/jpeg")
    told = errors(quiet(app.run()))
    assert len(told) == 4 and [each for each in told if not re.search("[\u4e00-\u9fff]", each)] == []


# ---- the address ---------------------------------------------------------------------------------


def test_the_address_sets_the_controls(open_page, engine):
    app = open_page(
        attack="pgd",
        target=other(engine),
        epsilon="4/255",
        steps="17",
        random_start="0",
        seed="5",
        stop="success",
    )
    assert widget(app, "attack").value == "pgd"
    assert control(app, "pgd", "epsilon").value == pytest.approx(4 / 255)
    assert control(app, "pgd", "steps").value == 17
    assert control(app, "pgd", "random_start").value is False
    assert widget(app, "seed").value == 5 and widget(app, "stop").value == "success"
    assert widget(app, "target.small").value == ranking(engine)[2].index
    assert not errors(app)


def test_the_controls_set_the_address_and_defaults_drop_out(open_page):
    app = open_page(attack="bim", steps="17")
    assert address(app)["steps"] == "17"
    app = change(app, "bim.steps", 23)
    app = change(app, "seed", 9)
    app = change(app, "stop", "steps")
    assert {"steps": "23", "seed": "9", "stop": "steps"}.items() <= address(app).items()
    app = change(app, "bim.steps", 10)
    app = change(app, "seed", 0)
    assert not {"steps", "seed"} & set(address(app))


def picture(app):
    """Upload a picture."""
    photo = io.BytesIO()
    Image.new("RGB", (50, 40), "purple").save(photo, "PNG")
    app.file_uploader(key="upload").upload("photo.png", photo.getvalue(), "image/png")
    return quiet(app.run())


def setting(key, value):
    """Return what a person does who gives the control ``key`` another value."""
    return lambda app: change(app, key, value)


REFUSED = [
    ({"model": "nonsense"}, "There is no model called “nonsense”", setting("model", "smaller")),
    ({"attack": "nonsense"}, "There is no attack called “nonsense”", setting("attack", "pgd")),
    ({"target": "unicorn"}, "There is no class called “unicorn”", setting("target.small", 3)),
    (
        {"attack": "bim", "step_size": "-1"},
        "Expected step_size to be a number from 0 to 1",
        setting("bim.linf.step_size", 2 / 255),
    ),
    (
        {"attack": "bim", "steps": "1000000000"},
        "Expected steps to be a whole number from 0 to 10,000",
        setting("bim.steps", 20),
    ),
    ({"attack": "bim", "colour": "red"}, "has no setting “colour”", setting("attack", "pgd")),
    ({"attack": "pgd", "norm": "l9"}, "Expected norm to be one of", setting("pgd.norm", "l2")),
    ({"seed": "-1"}, "Expected seed to be a whole number", setting("seed", 7)),
    ({"stop": "7"}, "Expected a stopping probability between 0 and 1", setting("stop", "success")),
    ({"crop": "9"}, "Expected crop as x,y,size", setting("crop.size", 0.5)),
    ({"region": "9"}, "Expected region as left,top,right,bottom", setting("part", True)),
    ({"witness": "nobody"}, "There is no model called “nobody”", setting("witness.small", "smaller")),
    ({"image": "nobody"}, "nobody", picture),
    ({"run": "unknown"}, "does not know that run", lambda app: press(app, "start")),
]


@pytest.mark.parametrize(("query", "sentence", "mend"), REFUSED, ids=[list(part)[-1] for part, *_ in REFUSED])
def test_nonsense_in_the_address_stays_in_sight_until_it_is_chosen_anew(open_page, query, sentence, mend):
    app = open_page(**query)
    assert len(errors(app)) == 1 and sentence in errors(app)[0]
    assert not query.items() <= address(app).items()
    assert live_view(app)["idle"]["top"]
    app = quiet(app.run())
    assert len(errors(app)) == 1 and sentence in errors(app)[0]
    assert not errors(mend(app)), "what was chosen anew is no longer refused"


def test_run_attacks_what_the_page_says_where_the_link_names_no_class(open_page, engine):
    app = open_page(target="unicorn")
    shown = widget(app, "target.small").value
    assert shown == widget(app, "again.target.small").value != ranking(engine)[0].index
    app = press(app, "start")
    assert engine.run(live_view(app)["run"]).recipe.target == shown == widget(app, "target.small").value
    assert len(errors(app)) == 1 and "“unicorn”" in errors(app)[0]
    app = press(app, "quick.second")
    assert not errors(app) and widget(app, "target.small").value == ranking(engine)[1].index


# ---- targets -------------------------------------------------------------------------------------


def test_a_target_is_offered_that_is_not_the_current_class(open_page, engine):
    app = open_page()
    assert widget(app, "target.small").value != ranking(engine)[0].index
    assert address(app)["target"] == f"class {widget(app, 'target.small').value}"


def test_quick_picks_take_the_second_the_last_or_any_other_class(open_page, engine):
    ranks = [outcome.index for outcome in ranking(engine)]
    app = press(open_page(), "quick.second")
    assert widget(app, "target.small").value == ranks[1]
    app = press(app, "quick.least")
    assert widget(app, "target.small").value == ranks[-1]
    assert address(app)["target"] == f"class {ranks[-1]}"
    for _ in range(5):
        app = press(app, "quick.random")
        assert widget(app, "target.small").value in ranks[1:]


def test_a_link_may_name_its_target_by_rank_and_then_says_the_class(open_page, engine):
    ranks = [outcome.index for outcome in ranking(engine)]
    for name, index in (("least likely", ranks[-1]), ("second", ranks[1])):
        app = open_page(target=name, image="cat")
        assert address(app)["target"] == f"class {index}" and not errors(app)
        assert widget(app, "target.small").value == index
    goals = {address(open_page(target="random", seed="4", image="cat"))["target"] for _ in range(3)}
    assert len(goals) == 1 and goals <= {f"class {index}" for index in ranks[1:]}


def test_anything_else_is_a_target_too(open_page, engine):
    app = open_page(target="any")
    assert address(app)["target"] == "any" and live_view(app)["idle"]["target"] is None
    app = press(app, "start")
    assert engine.run(live_view(app)["run"]).recipe.target is None


def test_the_current_class_is_refused_with_the_reason(open_page, engine):
    now = ranking(engine)[0]
    app = change(open_page(), "target.small", now.index)
    app = press(app, "start")
    assert len(errors(app)) == 1 and f"already says {now.label}" in errors(app)[0]
    assert live_view(app)["run"] is None and "run" not in address(app)


def test_another_network_keeps_a_target_that_it_knows(open_page, engine):
    app = open_page(target=other(engine))
    app = change(app, "model", "smaller")
    assert address(app)["model"] == "smaller" and address(app)["target"] == other(engine)


# ---- runs ----------------------------------------------------------------------------------------


def test_run_carries_out_what_the_controls_say(open_page, engine):
    app = open_page(attack="pgd", target=other(engine), steps="7", epsilon="4/255", seed="3", stop="steps")
    app = press(app, "start")
    run = engine.run(live_view(app)["run"])
    assert address(app)["run"] == run.id
    assert run.recipe.build().steps == 7 and run.recipe.target == ranking(engine)[2].index
    recipe = run.recipe
    assert (recipe.attack, recipe.seed, recipe.stop.rule, recipe.image) == ("pgd", 3, "steps", "cat")
    assert recipe.build().bound() == ("linf", pytest.approx(4 / 255))


@pytest.fixture
def digits(monkeypatch):
    """Return an engine with the real digit networks."""
    made = Engine(torch.device("cpu"))
    monkeypatch.setattr("app.service.engine", lambda: made)
    monkeypatch.setattr("app.service.ready", lambda: True)
    yield made
    made.close()


def test_a_second_network_says_what_it_makes_of_the_picture(digits):
    app = AppTest.from_function(page, default_timeout=120)
    link = {"model": "lenet", "image": "seven", "attack": "fgsm", "epsilon": "0.25", "target": "any"}
    for name, value in {**link, "witness": "fc100"}.items():
        app.query_params[name] = value
    app = quiet(app.run())
    assert not [each for each in app.markdown if "FC100" in each.value]  # nothing was run yet
    app = press(app, "start")
    run = digits.run(live_view(app)["run"])
    run.wait(run.total, timeout=30)
    app = quiet(app.run())
    seen = [torch.from_numpy(x) for x in (run.start, run.picture(len(run) - 1))]
    told = [each.value for each in app.markdown if "FC100" in each.value]
    labels = [int(models.load("fc100")(x[None]).argmax()) for x in seen]
    assert len(told) == 1 and f"“{labels[0]}”" in told[0]
    assert ("not fooled" in told[0]) == (labels[0] == labels[1])
    assert address(app)["witness"] == "fc100"
    assert "lenet" not in widget(app, "witness.lenet").options and len(widget(app, "witness.lenet").options)


def test_a_part_and_a_row_of_successes_are_carried_out(open_page, engine):
    app = open_page(target=other(engine), steps="4", stop="7x")
    assert widget(app, "stop_times").value == 7
    app = change(app, "part", True)
    app = change(app, "region_x", (0.0, 0.5))
    assert address(app)["region"] == "0,0.25,0.5,0.75"
    recipe = engine.run(live_view(press(app, "start"))["run"]).recipe
    assert recipe.region == (0, 0.25, 0.5, 0.75) and (recipe.stop.rule, recipe.stop.times) == ("row", 7)
    assert widget(open_page(region="0,0.25,0.5,0.75"), "region_y").value == (0.25, 0.75)


def test_an_attack_that_minimises_goes_on_after_its_first_success(open_page, engine):
    app = open_page(attack="bim")
    assert widget(app, "stop").value == "probability"
    app = change(app, "attack", "ddn")
    assert widget(app, "stop").value == "steps" and "stop" not in address(app)
    assert widget(change(app, "attack", "pgd"), "stop").value == "probability"
    app = change(change(open_page(attack="bim"), "stop", "success"), "attack", "ddn")
    assert widget(app, "stop").value == "success", "what was chosen by hand stays"


def test_a_new_run_ends_the_one_before(open_page, engine):
    app = press(open_page(attack="bim", steps="10000", stop="steps"), "start")
    first = engine.run(live_view(app)["run"])
    app = press(app, "start")
    second = engine.run(live_view(app)["run"])
    assert first.reason == "cancelled" and second.status == "running"


def test_a_link_to_a_run_shows_its_recipe_and_does_not_own_it(open_page, engine):
    recipe = Recipe("small", "coffee", "bim", {"steps": 9999}, target=None, seed=4, stop=Stop("steps"))
    run = engine.submit(recipe)
    app = open_page(run=run.id)
    assert live_view(app)["run"] == run.id and live_view(app)["idle"] is None
    assert (control(app, "bim", "steps").value, widget(app, "seed").value) == (9999, 4)
    assert {"image": "coffee", "target": "any", "stop": "steps", "run": run.id}.items() <= address(
        app
    ).items()
    press(app, "start")
    assert run.status == "running"


def test_another_picture_or_crop_leaves_the_run(open_page, engine):
    app = press(open_page(), "start")
    assert live_view(app)["run"]
    app = change(app, "crop.size", 0.5)
    assert live_view(app)["run"] is None
    assert address(app)["crop"] == "0.5,0.5,0.5" and "run" not in address(app)
    assert "crop=" in live_view(app)["idle"]["image_url"]


# ---- pictures ------------------------------------------------------------------------------------


def test_an_uploaded_photo_is_what_the_network_gets(open_page, engine):
    app = picture(open_page())
    name = address(app)["image"]
    assert name.startswith("upload:") and engine.picture(name).getpixel((3, 3)) == (128, 0, 128)
    assert next(d for d in map(data, app.get("bidi_component")) if "items" in d)["chosen"] == name
    app = press(app, "start")
    assert engine.run(live_view(app)["run"]).recipe.image == name


def test_a_file_that_is_no_picture_is_refused_once_and_changes_nothing(open_page):
    app = open_page()
    app.file_uploader(key="upload").upload("diary.jpg", b"dear diary", "image/jpeg")
    app = quiet(app.run())
    assert len(errors(app)) == 1 and re.match("Expected a .* picture, got .*dear diary", errors(app)[0])
    assert address(app)["image"] == "cat"
    assert not errors(press(app, "start"))


def one_class_page():
    from components.widgets import controls
    from engine.run import Prediction
    from models.core import Card, WeightsFile

    card = Card("one", "One", "Knows one thing.", 8, ("thing",), WeightsFile("one.safetensors", "0" * 64))
    ranking = [Prediction(0, "thing", 1.0)]
    assert controls.default_target(card, ranking, None) is None
    assert controls.target_picker(card, ranking, None) is None


def test_a_network_of_one_class_has_nothing_but_anything_else_as_target():
    app = quiet(AppTest.from_function(one_class_page, default_timeout=120).run())
    assert [box.options for box in app.selectbox] == [["anything but thing", "thing"]]
    assert not app.button


def test_several_networks_are_attacked_as_one(open_page, engine, monkeypatch):
    monkeypatch.setattr("models.weights.locate", lambda card: card.name in ("small", "smaller"))
    app = open_page(target="class 5", attack="bim", steps="3")
    (together,) = [each for each in app.multiselect if each.key == "together.small"]
    assert together.options == ["Smaller"]
    together.select("smaller")
    quiet(app.run())
    assert address(app)["model"] == "small+smaller" and address(app)["target"] == "class 5"
    press(app, "start")
    run = engine.run(address(app)["run"])
    assert run.recipe.model == "small+smaller"
    list(engine.follow(run))
    assert run.status == "finished"
    again = open_page(run=run.id)
    assert [each.value for each in again.multiselect if each.key == "together.small"] == [["smaller"]]
    quiet(again.radio(key="kind.small").set_value("worst").run())
    assert address(again)["model"] == "small+smaller@worst" and address(again)["target"] == "class 5"
    press(again, "start")
    worst = engine.run(address(again)["run"])
    list(engine.follow(worst))
    assert worst.status == "finished" and worst.recipe.model == "small+smaller@worst"
    quiet(again.multiselect(key="together.small").unselect("smaller").run())
    assert address(again)["model"] == "small"


def test_what_it_must_survive_is_chosen_with_the_other_settings(open_page):
    app = open_page(survives="blur")
    assert app.multiselect(key="survives").value == ["blur"]
    app.multiselect(key="survives").select("jpeg75")
    quiet(app.run())
    assert address(app)["survives"] == "jpeg75,blur"
