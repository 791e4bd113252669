"""The stories that the page tells, told again on real networks and real pictures."""

from __future__ import annotations

import pytest

import models
from attacks.contract import Stop
from engine.engine import Engine
from engine.images.sources import samples
from engine.recipe import Recipe, Value

PHOTOS = [name for name, sample in samples().items() if sample.file and sample.channels == 3]


@pytest.fixture(scope="module")
def engine():
    made = Engine()
    yield made
    made.close()


def follow(engine, recipe):
    run = engine.submit(recipe)
    assert list(engine.follow(run)) and run.status == "finished", run.sentence()
    return run


def test_black_is_velvet_as_the_article_printed(engine, shared):
    shared("weights/bvlc_googlenet.safetensors")
    top = engine.classify("bvlc_googlenet_article", "black")[:5]
    assert [outcome.label for outcome in top] == [
        "velvet",
        "shower curtain",
        "wool",
        "paper towel",
        "window screen",
    ]
    assert [100 * o.probability for o in top] == pytest.approx([27.38, 6.40, 6.19, 4.67, 4.39], abs=0.01)


def test_the_panda_becomes_a_vulture_within_two_grey_levels(engine, shared):
    shared("weights/bvlc_googlenet.safetensors")
    panda = engine.uploads.add(shared("photos/panda-hero.webp").read_bytes(), "panda-hero.webp")
    settings: dict[str, Value] = {
        "steps": 100,
        "step_size": 0.02 / 255,
        "norm": "linf",
        "ascend": "log-probability",
    }
    vulture = models.card("bvlc_googlenet").label_index("vulture")
    run = follow(engine, Recipe("bvlc_googlenet", panda, "towards", settings, vulture, stop=Stop("success")))
    last = len(run) - 1
    assert run.top(0, 1)[0].label == "giant panda" and run.top(0, 1)[0].probability > 0.95
    assert run.top(last, 1)[0].label == "vulture" and last <= 100
    assert run.figures(last)["linf"] <= 2.001 / 255


@pytest.mark.parametrize("photo", PHOTOS)
def test_the_offline_network_is_fooled_on_each_bundled_photo(engine, photo):
    least = engine.classify("photos", photo)[-1].index
    params = {"steps": 200, "step_size": 0.5 / 255, "epsilon": 8 / 255}
    run = follow(engine, Recipe("photos", photo, "bim", params, least, stop=Stop("success")))
    last = len(run) - 1
    assert run.top(last, 1)[0].index == least and run.top(0, 1)[0].index != least
    assert run.figures(last)["linf"] <= 8 / 255 + 1e-6


@pytest.mark.parametrize("digit", [3, 7])
@pytest.mark.parametrize("name", ["lenet", "fc100"])
def test_the_digit_networks_read_the_drawn_digits_and_are_fooled_into_every_other(engine, name, digit):
    picture = {3: "three", 7: "seven"}[digit]
    now = engine.classify(name, picture)[0]
    assert now.label == str(digit) and now.probability > 0.9
    for target in set(range(10)) - {digit}:
        params = {"steps": 100, "step_size": 2 / 255, "epsilon": 128 / 255}
        run = follow(engine, Recipe(name, picture, "bim", params, target, stop=Stop("success")))
        assert run.top(len(run) - 1, 1)[0].index == target
