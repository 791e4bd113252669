"""The question at the end of each chapter: its right answer is what the shipped figures say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import experiments
import models
from app import lessons
from app.lessons.tour import at_work, gradient
from app.shipped_recipes import PAIRS
from components.i18n.text import texts
from components.lesson import questions
from components.lesson.questions import question
from engine import saved
from engine.images.sources import samples
from engine.links import DEFAULT
from errors import UnknownName
from experiments.evans2016.survival import Survival
from models.records import read_record
from settings import RESULTS, TEXT

TOUR = lessons.menus()["Tour"]


def figures(name: str) -> Any:
    """Return the figures of a result that ships, as its file has them."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["figures"]


def at_work_() -> tuple[bool, str]:
    first = lessons.answer("at_work").facts["label"]
    names = models.card(DEFAULT.model).labels
    return first in names and not {"moose", "elk"} & set(names), first


def five_pixels_() -> tuple[bool, str]:
    weights, seen = (23, -3, 9, 2, -5), {0: 1}
    for weight in weights:
        spread: dict[int, int] = {}
        for score, count in seen.items():
            for level in range(256):
                spread[score + weight * level] = spread.get(score + weight * level, 0) + count
        seen = spread
    unsure = sum(count for score, count in seen.items() if abs(score) < 4.6) / 256**5
    return unsure < 0.01, f"{100 * unsure:.2f} %"


def templates_() -> tuple[bool, str]:
    rows = figures("templates")["decays"]
    noisy, smooth = rows[0]["distance"], rows[-1]["distance"]
    return rows[0]["decay"] < rows[-1]["decay"] and noisy["high"] < smooth["low"], f"{noisy['value']:.2g}"


def gradient_() -> tuple[bool, str]:
    worth = [
        sum(d * g for d, g in zip(s, (-0.01, -0.01, 0.01, 0.02, 0.03), strict=True)) for s in gradient.BETS
    ]
    return worth[1] == max(worth), ".08"


def one_step_() -> tuple[bool, str]:
    famous = figures("step_away")["steps"]["famous"]
    (before, p), (after, q) = famous["before"][0], famous["after"][0]
    return before == after and q < 0.9 * p, f"{100 * q:.1f} %"


def many_steps_() -> tuple[bool, str]:
    run = saved.read("hundred")
    ahead = [run.top(step, 1)[0].label == "vulture" for step in range(len(run))].index(True)
    return 26 <= ahead <= 75, str(ahead)


def anything_() -> tuple[bool, str]:
    steps = [len(saved.read(f"pair-{name}")) - 1 for name in ("cat", "coffee", "motorcycle")]
    return steps[2] == max(steps), str(steps[2])


def resistance_() -> tuple[bool, str]:
    stays = figures("confusion")["networks"]["efficientnet_lite0"]["dogs"]["stays"]["value"]
    return stays > 0.75, f"{100 * stays:.1f} %"


def just_noise_() -> tuple[bool, str]:
    shown = figures("survival")
    file = shown["handling"]["JPEG 75"]["attack"]
    return file["label"] == shown["clean"]["label"] != shown["attack"][
        "label"
    ], f"{100 * file['probability']:.1f} %"


def defences_() -> tuple[bool, str]:
    robust = read_record("photos_robust")["robust"]["robust"]["PGD-20"]
    return 30 <= robust <= 80, f"{robust:g} %"


def typographic_() -> tuple[bool, str]:
    reading = figures("typographic")["networks"]["efficientnet_lite0"]
    count = reading["written"]["value"] * reading["pairs"]
    return count < 0.05 * reading["pairs"], f"{count:.0f}"


RIGHT: dict[str, tuple[int, Callable[[], tuple[bool, str]]]] = {
    "at_work": (2, at_work_),
    "five_pixels": (2, five_pixels_),
    "templates": (0, templates_),
    "gradient": (1, gradient_),
    "one_step": (1, one_step_),
    "many_steps": (1, many_steps_),
    "anything": (2, anything_),
    "resistance": (2, resistance_),
    "just_noise": (1, just_noise_),
    "defences": (1, defences_),
    "typographic": (0, typographic_),
}
"""By chapter: an answer, and whether the files that ship say so, with a figure of the reason."""


@pytest.mark.parametrize("name", TOUR)
def test_the_right_answer_is_what_ships(name: str) -> None:
    number, judge = RIGHT[name]
    holds, fact = judge()
    right = lessons.answer(name)
    assert holds and right.number == number and fact in right.facts.values()


@pytest.mark.parametrize("name", TOUR)
def test_a_question_is_whole_in_every_language(name: str) -> None:
    facts, count = lessons.answer(name).facts, len(question(name).answers)
    for folder in TEXT.iterdir():
        asked = question(name, folder.name)
        assert len(asked.answers) == count and len(set(asked.answers)) == count
        assert set(re.findall(r"{(\w+)}", asked.why)) == set(re.findall(r"{(\w+)}", question(name).why))
        assert not re.search(r"[{}]", asked.because(facts))
        assert not re.search(r"\*", questions.plain(asked.asks + asked.because(facts)))


def test_every_chapter_of_the_tour_asks_and_other_names_do_not() -> None:
    assert lessons.asking() == TOUR
    for name in ("toy", "nothing", "../en/just_noise"):
        with pytest.raises(UnknownName):
            lessons.answer(name)
    with pytest.raises(UnknownName):
        question("toy")


def test_other_figures_make_another_answer_right(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = experiments.shipped(Survival)
    assert shipped is not None
    file = shipped.figures.corruptions["JPEG 75"]
    for label, fooled, number in (
        ("Great Pyrenees", True, 0),
        ("kuvasz", True, 2),
        ("giant panda", False, 1),
    ):
        changed = replace(file, attack=replace(file.attack, label=label, fooled=fooled))
        other = replace(shipped.figures, corruptions={"JPEG 75": changed})
        monkeypatch.setattr(experiments, "shipped", lambda *_, o=other, **__: replace(shipped, figures=o))
        lessons.answer.cache_clear()
        assert lessons.answer("just_noise").number == number
    lessons.answer.cache_clear()


def test_the_answers_of_a_question_are_of_the_runs_and_pictures_that_it_names() -> None:
    shown = [samples()[image].label.lower() for image, _ in PAIRS.values()]
    for answer, picture, (_, labels) in zip(question("anything").answers, shown, PAIRS.values(), strict=True):
        before, after = answer.lower().split(" → ")
        assert picture in before and after == labels[0]
    assert samples()[at_work.ODD].label.lower() in texts("at_work")["question"]


def chapter(name: str, part: int, **query: str) -> AppTest:
    app = AppTest.from_string(
        f"from app import lessons\nlessons.registry()[{name!r}].render()", default_timeout=120
    )
    app.query_params.update({"part": str(part), **query})
    return app.run()


def test_a_reader_bets_under_the_last_part_alone_and_is_told_why() -> None:
    assert not [radio for radio in chapter("templates", 1).radio if radio.label == "Your bet"]
    app = chapter("templates", 3)
    (bet,) = [radio for radio in app.radio if radio.label == "Your bet"]
    assert bet.value is None and not app.success and not app.info
    app = bet.set_value(1).run()
    assert app.info[0].value.startswith("Not so: “Those with noisy templates” is right.") and not app.success
    app = app.radio(key="bet.templates").set_value(0).run()
    assert app.success[0].value.startswith("Right.") and "0.32" in app.success[0].value and not app.info
    assert not app.exception


@pytest.mark.parametrize(
    "text",
    ["What?", "What?\n\n- One\n\n> Why.", "What?\n\n- One\n- Two", "- One\n- Two\n\n> Why."],
)
def test_a_text_that_is_no_question_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Expected a question"):
        questions._parsed("lesson", "en", text)
