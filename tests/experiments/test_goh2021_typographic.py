"""A word written on a photo: the labels, their controls, and what is counted of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

import experiments
import models
from engine.images.sources import open_sample
from experiments.cache import Memory
from experiments.core import run
from experiments.goh2021.typographic import Pair, Photo, Typographic, reading
from experiments.methods.written_label import PLACES, labelled, nonsense, seen, square


def test_only_the_ink_differs_between_the_labels() -> None:
    photo = square(open_sample("panda"))
    plain, empty, word, mixed = (
        np.asarray(labelled(photo, text), np.int16) for text in (None, "", "banana", nonsense("banana"))
    )
    assert np.array_equal(plain, np.asarray(photo))
    covered = (empty != plain).any(2)
    rows, columns = covered.any(1).nonzero()[0], covered.any(0).nonzero()[0]
    assert columns[-1] - columns[0] == pytest.approx(0.6 * 512, abs=3)
    assert rows[-1] - rows[0] == pytest.approx(0.6 * 0.28 * 512, abs=3)
    for written in (word, mixed):
        ink = (written != empty).any(2)
        assert not (ink & ~covered).any() and 0.03 < ink.sum() / covered.sum() < 0.5
    assert (word != mixed).any()
    inks = [float((empty - written).sum()) for written in (word, mixed)]
    assert inks[0] == pytest.approx(inks[1], rel=0.03)


@pytest.mark.parametrize("place", PLACES)
def test_a_label_is_inside_the_photo_wherever_it_is(place) -> None:
    photo = square(open_sample("panda"))
    changed = np.asarray(labelled(photo, "a long word", 1.0, place)) != np.asarray(photo)
    middle = changed.any((1, 2)).nonzero()[0].mean() / 512
    assert {"top": middle < 0.3, "middle": 0.45 < middle < 0.55, "bottom": middle > 0.7}[place]
    assert seen(models.card("photos"), photo).shape == (3, 128, 128)


def test_the_letters_come_in_another_order_and_always_the_same() -> None:
    for word in ("banana", "iPod", "giant panda", "猫头鹰"):
        other = nonsense(word)
        assert other == nonsense(word) != word
        assert sorted(other.replace(" ", "")) == sorted(word.replace(" ", ""))
    assert nonsense("a") not in ("a", "") and nonsense("aaa") != "aaa"


def test_figures_follow_from_the_answers_by_hand() -> None:
    pairs = [
        Pair("banana", -5, -4.5, -4, False, False, True),
        Pair("zebra", -3, -3, -3.5, False, True, False),
    ]
    photos = [
        Photo("efficientnet_lite0", "a", "cat", True, pairs),
        Photo("efficientnet_lite0", "b", "dog", False, [Pair("pizza", -2, -2, -1, False, False, True)]),
    ]
    figures = reading("efficientnet_lite0", photos)
    assert (figures.pairs, figures.unchanged.value) == (3, 0.5)
    assert (figures.written.value, figures.nonsense.value, figures.empty.value) == pytest.approx(
        (2 / 3, 1 / 3, 0)
    )
    assert figures.rise_empty.value == pytest.approx((0.25 + 1) / 2)
    assert figures.rise_nonsense.value == pytest.approx((0 + 1) / 2)
    assert (figures.best_word, figures.best_photo) == ("pizza", "b")


def test_it_is_measured_on_real_networks_and_agrees_with_what_ships() -> None:
    result = run(Typographic(n=2), Memory())
    shipped = experiments.shipped(Typographic)
    assert shipped and shipped.n == 21 and set(shipped.claims) == set(result.claims)
    for name, figures in result.figures.networks.items():
        assert figures.pairs == 20 and np.isfinite(figures.rise_nonsense.value)
        assert figures.best_rise <= shipped.figures.networks[name].best_rise + 1e-3
    model = models.load("efficientnet_lite0")
    photo = square(open_sample("panda"))
    with torch.no_grad():
        p = model(torch.from_numpy(seen(model.card, labelled(photo, "banana")))[None]).softmax(1)[0]
    assert model.card.labels[int(p.argmax())] == "giant panda"


def page() -> None:
    from app.lessons.tour.typographic import render

    render()


def test_the_lesson_shows_what_the_networks_say_of_the_readers_word() -> None:
    app = AppTest.from_function(page, default_timeout=120)
    app.query_params["image"] = "koala"
    app.run()
    assert not app.exception
    app.text_input(key="label.word").set_value("zebra")
    app.run()
    assert not app.exception
    drawn = "".join(each.value if hasattr(each, "value") else each.proto.body for each in app.get("html"))
    assert "the word: “zebra”" in drawn and nonsense("zebra") in drawn and "koala" in drawn
    assert any("No, they do not read" in each.value for each in app.markdown)
    assert any("No CLIP is here" in each.value for each in app.caption)
