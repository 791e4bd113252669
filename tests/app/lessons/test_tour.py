"""The tour's frame: who reads, who plays, what a step does, and that the article's numbers come out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest
from torch import nn

import experiments
import models
from app import lessons
from components.widgets import image_picker
from errors import BadSetting, UnknownName
from experiments.cache import Store
from experiments.core import run
from experiments.datasets import photos
from experiments.evans2016 import black
from experiments.evans2016.between import Between, ClassPath, class_path
from experiments.evans2016.black import Black
from experiments.methods.sign_steps import asking, step
from models.core import Card, Classifier, WeightsFile
from tests.support.browser import PHONE, Playground

TOUR = lessons.menus()["Tour"]


@pytest.fixture
def small() -> Classifier:
    torch.manual_seed(0)
    card = Card("small", "", "", 4, ("a", "b", "c"), WeightsFile("", ""))
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.Tanh(), nn.Linear(8, 3))
    return Classifier(card, net).double()


def test_a_step_follows_the_probability_not_the_loss(small: Classifier) -> None:
    x, h, size = torch.rand(1, 3, 4, 4, dtype=torch.float64), 1e-6, 1e-3
    moved = step(asking(small), x, 1, [size], cut=False).x[1:] - x
    for place in [(0, 0, 0, 0), (0, 2, 3, 1)]:
        up, down = x.clone(), x.clone()
        up[place] += h
        down[place] -= h
        slope = (small(up).softmax(1) - small(down).softmax(1))[0, 1]
        assert float(moved[place]) == pytest.approx(size * float(slope.sign()))


def test_steps_go_as_far_as_they_say_and_are_cut_when_asked(small: Classifier) -> None:
    dark = torch.zeros(1, 3, 4, 4, dtype=torch.float64)
    free = step(asking(small), dark, 2, [0.1, 0.1, -0.1], cut=False)
    assert torch.allclose(free.x.diff(dim=0).abs(), torch.tensor(0.1, dtype=torch.float64))
    assert free.p[1, 2] > free.p[0, 2] and free.p[2, 2] > free.p[1, 2] and free.p[3, 2] < free.p[2, 2]
    assert torch.allclose(free.p, small(free.x).softmax(1))
    assert float(free.x.min()) < 0 <= float(step(asking(small), dark, 2, [0.1], cut=True).x.min())


def test_in_double_precision_the_article_is_near(shared: Callable[[str], Path], tmp_path: Path) -> None:
    shared("weights/bvlc_googlenet.safetensors")
    result = run(Black(model="bvlc_googlenet_article", double=True), Store(tmp_path))
    assert len(result.claims) == 3 and all(result.claims.values())
    curve = result.figures.walks["one step"].curves["paper towel"]
    assert curve == pytest.approx([0.0467, 0.1538], abs=1e-4)


def test_what_ships_of_black_is_of_the_first_network_and_sixty_steps_reach_the_paper_towel() -> None:
    result = experiments.shipped(Black)
    assert result is not None and result.settings["model"] == models.FIRST
    figures = result.figures
    curve = figures.walks["sixty steps"].curves["paper towel"]
    assert figures.target == "paper towel" and curve[0] < 0.01 and curve[-1] > 0.95 and len(curve) == 61
    model, dark = models.load(models.FIRST), torch.zeros(1, 3, 224, 224)
    moved = step(asking(model), dark, model.card.label_index("paper towel"), [0.9 / 255], cut=False)
    shipped = figures.walks["one step"].curves["paper towel"]
    assert shipped == pytest.approx(moved.p[:, model.card.label_index("paper towel")].tolist(), abs=2e-4)


def test_with_everyday_photos_black_tells_the_same_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(black.WALKS, black.LONG, (10, 9))  # what follows asks nothing of all sixty
    result = run(Black(model="photos"), Store(tmp_path))
    figures, card = result.figures, models.card("photos")
    assert len(result.claims) == 4
    model, dark = models.load("photos"), torch.zeros(1, 3, 128, 128)
    target = card.label_index(figures.target)
    assert target == int(model(dark).softmax(1)[0].topk(4).indices[3])
    moved = step(asking(model), dark, target, [0.9 / 255], cut=True)
    curve = figures.walks["one step, cut"].curves[figures.target]
    assert curve == pytest.approx(moved.p[:, target].tolist(), abs=1e-4)


def test_a_path_is_what_is_named_on_it_until_it_arrives() -> None:
    labels = ("a", "b", "c", "d")
    found = class_path(labels, 2, [0, 0, 1, 1, 0, 2, 3])
    assert found == ClassPath("c", [("a", 0), ("b", 2), ("a", 4), ("c", 5)], reached=5) and found.third == [
        "b"
    ]
    assert class_path(labels, 3, [0, 1]).reached is None


def test_between_goes_from_every_picture_to_the_others_class(tmp_path: Path) -> None:
    made = Between(model="photos", images="cat,coffee", steps=60, size=0.25)
    figures = run(made, Store(tmp_path)).figures
    rows = figures.rows
    assert rows["cat"].paths[0].target == rows["coffee"].label == "cup"
    assert figures.arrived == figures.total == 2
    assert rows["coffee"].paths[0].named[-1] == ("cat", rows["coffee"].paths[0].reached)
    with pytest.raises(BadSetting, match="at least two"):
        Between(images="cat").named()


def test_photos_of_the_data_folder_open_with_their_credit(shared: Callable[[str], Path]) -> None:
    shared("photos.tsv")
    found = photos.photographs()["panda-hero.webp"]
    assert found.shows == "giant panda" and found.credit.startswith("CC")
    assert min(photos.open_photograph("panda-hero.webp").size) > 100
    assert image_picker.picture_title("photo:panda-hero.webp") == "giant panda"


def test_pictures_that_are_not_there_are_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    assert photos.photographs() == {} and "photo:panda-hero.webp" not in image_picker.pictures()
    with pytest.raises(UnknownName, match="photo"):
        photos.open_photograph("panda-hero.webp")
    assert photos.plain("0,80,255").getpixel((5, 5)) == (0, 80, 255)
    for wrong in ("256", "1,2", "x"):
        with pytest.raises(UnknownName, match="levels 0 to 255"):
            photos.plain(wrong)


def test_a_link_says_who_plays_and_what_it_says_wrongly_is_told() -> None:
    app = AppTest.from_string("from app.lessons.tour.at_work import render\nrender()", default_timeout=120)
    app.query_params["model"], app.query_params["image"] = "photos", "coffee"
    assert not app.run().error and "Everyday photos" in str(app.main)
    wrong = AppTest.from_string("from app.lessons.tour.at_work import render\nrender()", default_timeout=120)
    wrong.query_params["model"] = "photoss"
    (said,) = wrong.run().error
    assert "photos" in said.value


@pytest.mark.parametrize("name", TOUR)
def test_a_chapter_is_drawn_with_the_offline_network_in_both_registers(name: str) -> None:
    for register in ("plain", "maths"):
        app = AppTest.from_string(
            f"from app import lessons\nlessons.registry()[{name!r}].render()", default_timeout=120
        )
        app.query_params["model"] = "photos"
        app.session_state["register"] = register
        app.session_state["lang"] = "zh"
        assert not app.run().exception and not app.error


def test_slides_follow_the_keys_and_the_reader_stays_the_same(playground: Playground) -> None:
    page = playground.page
    page.goto(f"{playground.site.url}/{TOUR[0]}?present=1&lang=zh&model=photos")
    parts = page.locator("[class*=st-key-part_]")
    expect(parts.first.locator("h2")).to_be_visible()
    expect(page.locator(".st-key-deck")).to_be_visible()  # it is drawn last
    playground.settle()
    count = parts.count()
    assert count >= 3
    for at in range(1, count):  # the style that hides them may come a moment after them
        expect(parts.nth(at)).to_be_hidden()
    expect(parts.first).to_be_visible()
    for at in range(1, count):
        page.keyboard.press("ArrowRight")
        expect(parts.nth(at)).to_be_visible()
        expect(parts.nth(at - 1)).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(f"/{TOUR[1]}\\?.*present=1"))
    assert "lang=zh" in page.url
    playground.settle()
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("present"))
    expect(page.get_by_role("radio", name="中文")).to_be_checked()
    expect(page.locator("[data-testid=stHeader]")).to_be_visible()


def test_a_chapter_streams_a_run_and_names_its_way(visitor: Callable[..., Playground]) -> None:
    here = visitor(viewport=PHONE)
    here.page.goto(f"{here.site.url}/many_steps?model=photos&image=coffee&part=3")
    start = here.page.get_by_role("button", name=re.compile("From cup to bird"))
    expect(start).to_be_visible()
    here.settle()
    start.click()
    here.begun()
    here.reaches("finished")
    expect(here.page.get_by_text("Named on the way, with the steps")).to_be_visible()
    assert here.count == 101


def test_the_twin_runs_beside_its_network_and_survives_a_reload(playground: Playground) -> None:
    page = playground.page
    recipe = (
        "model=photos&image=motorcycle&target=any&attack=pgd&steps=8&step_size=2/255&epsilon=6/255&stop=steps"
    )
    page.goto(f"{playground.site.url}/?{recipe}&stop=steps&twin=1")
    views = page.locator("[data-test=player]")
    expect(views).to_have_count(2)
    playground.settle()
    page.get_by_role("button", name="Run", exact=True).and_(page.locator("[kind=primary]")).click()
    for at in (0, 1):
        expect(views.nth(at)).to_have_attribute("data-status", "finished")
    runs = [str(views.nth(at).get_attribute("data-run")) for at in (0, 1)]
    asked = [playground.ask(run)["model"]["name"] for run in runs]
    assert asked == ["photos", "photos_robust"] and runs[0] != runs[1]
    expect(page).to_have_url(re.compile(f"run={runs[0]}.*twin={runs[1]}"))
    page.reload()
    for at, key in enumerate(runs):
        expect(views.nth(at)).to_have_attribute("data-run", key)
    page.get_by_text("Beside it").click()
    expect(views).to_have_count(1)
    expect(page).not_to_have_url(re.compile("twin"))


def test_pictures_of_one_name_can_be_told_apart(shared: Callable[[str], Path]) -> None:
    shared("photos.tsv")
    app = AppTest.from_string("from app.lessons.tour.at_work import render\nrender()", default_timeout=120)
    app.query_params["model"] = "photos"
    (box,) = [each for each in app.run().selectbox if each.label == "Picture"]
    assert len(set(box.options)) == len(box.options) == len(image_picker.pictures())


@pytest.mark.parametrize("model", ["lenet", "efficientnet_lite0+efficientnet_lite2"])
def test_a_network_that_chapters_do_not_offer_is_refused_in_a_sentence(model: str) -> None:
    app = AppTest.from_string("from app.lessons.tour.at_work import render\nrender()", default_timeout=120)
    app.query_params["model"] = model
    app.run()
    assert not app.exception and [model in each.value for each in app.error] == [True]


def test_a_trash_can_of_the_data_folder_may_become_a_cocktail_shaker(
    shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared("photos_test")
    folder = os.environ["FOOLSCOPE_DATA"]
    monkeypatch.delenv("FOOLSCOPE_DATA")
    source = "from app.lessons.tour.anything import render\nrender()"

    def offered() -> set[str]:
        groups = AppTest.from_string(source, default_timeout=120).run().get("button_group")
        chapter = [group for group in groups if "take_home" not in group.proto.id]
        return {option.content for option in chapter[-1].proto.options}

    without = offered()
    monkeypatch.setenv("FOOLSCOPE_DATA", folder)
    (new,) = offered() - without
    app = AppTest.from_string(source, default_timeout=120).run()
    assert new.startswith("ashcan → ") and new.endswith(("cocktail shaker", "cup"))
    app.session_state["anything.pair"] = "ashcan"
    assert not app.run().exception
