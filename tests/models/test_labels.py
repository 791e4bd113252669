"""What classes are called: Chinese names, other words that find them, and where pages and files say which."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import models
from app.cli import main
from attacks.contract import Stop
from components.i18n.text import named, told
from components.live.protocol import Feed, rows_message, run_message, status_message, step_message
from components.widgets import class_picker
from engine import links, report
from engine.engine import Engine
from engine.recipe import Recipe
from errors import UnknownName
from models.labels import TABLE, names, table

IMAGENET, PHOTOS = "efficientnet_lite0", "photos"
HAN = re.compile("[\u3400-\u9fff]+")
MIXED = {"jersey": "T恤衫"}
"""Names that Chinese itself writes with a letter."""


@pytest.mark.parametrize("network", [IMAGENET, PHOTOS])
def test_every_class_has_a_chinese_name_of_its_own(network: str) -> None:
    known = models.card(network).labels
    assert {label for label in known if label not in table()} == set()
    written = {label: names(label).chinese for label in known}
    assert {k: v for k, v in written.items() if not HAN.fullmatch(v)} == {
        k: MIXED[k] for k in MIXED if k in known
    }
    assert [name for name, times in Counter(written.values()).items() if times > 1] == []


def test_the_table_holds_the_classes_and_nothing_else() -> None:
    known = {label for name in (IMAGENET, PHOTOS) for label in models.card(name).labels}
    rows = TABLE.read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(known) + 1 and table().keys() == known
    for label, each in table().items():
        words = [word.casefold() for word in (label, *each.synonyms, each.chinese, *each.chinese_synonyms)]
        assert len(set(words)) == len(words) and all(word.strip() == word != "" for word in words), label
        assert all(HAN.search(word) for word in each.chinese_synonyms), label
        assert not any(HAN.search(word) for word in each.synonyms), label


def test_a_class_outside_the_table_is_called_by_its_label() -> None:
    assert names("7").chinese == "7" and named("7", "zh") == "7"
    assert named("vulture", "zh") == "秃鹫" and named("vulture", "en") == named("vulture") == "vulture"


@pytest.mark.parametrize("network", [IMAGENET, PHOTOS])
def test_every_label_and_every_chinese_name_is_its_class(network: str) -> None:
    card = models.card(network)
    for index, label in enumerate(card.labels):
        assert card.label_index(label) == card.label_index(names(label).chinese) == index


WORDS = [
    (IMAGENET, "toilet paper", "toilet tissue"),
    (IMAGENET, "Airplane", "airliner"),
    (IMAGENET, "football", "soccer ball"),
    (IMAGENET, " smartphone ", "cellular telephone"),
    (IMAGENET, "polar bear", "ice bear"),
    (IMAGENET, "panda", "giant panda"),
    (IMAGENET, "TRASH CAN", "ashcan"),
    (IMAGENET, "厨房纸", "paper towel"),
    (IMAGENET, "纸巾", "paper towel"),
    (IMAGENET, "飞机翅膀", "wing"),
    (IMAGENET, "熊猫", "giant panda"),
    (IMAGENET, "T恤", "jersey"),
    (IMAGENET, "388", "giant panda"),
    (PHOTOS, "plane", "airplane"),
    (PHOTOS, "motorcycle", "motorbike"),
    (PHOTOS, "soccer ball", "ball"),
    (PHOTOS, "足球", "ball"),
]


@pytest.mark.parametrize(("network", "text", "label"), WORDS)
def test_a_class_is_found_by_what_people_call_it(network: str, text: str, label: str) -> None:
    card = models.card(network)
    assert card.labels[card.label_index(text)] == label


def test_a_label_comes_before_a_synonym_of_another_class() -> None:
    """WordNet's plane is a carpenter's, and the airliner is called so by everyone else."""
    card = models.card(IMAGENET)
    assert card.label_index("plane") == 726 and "plane" in names("airliner").synonyms
    assert card.label_index("crane") == 517 and "crane" in names("crane bird").synonyms
    assert card.label_index("码头") == 536 and "码头" in names("pier").chinese_synonyms


def test_a_word_for_several_classes_is_refused_with_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    card = models.card(IMAGENET)
    with pytest.raises(UnknownName) as caught:
        card.label_index("Corgi")
    expected = "Expected the name of one class; “Corgi” may be any of 2: Pembroke, Cardigan (264)."
    assert str(caught.value) == expected
    with pytest.raises(UnknownName, match=r"any of 117: (\w[^,]*, ){8}…\.$"):
        card.label_index("狗")
    monkeypatch.setattr("components.i18n.preferences.language", lambda: "zh")
    said = told(caught.value)
    assert said == "需要一个类别的名称；“Corgi”可能是 2 个中的任何一个：彭布罗克柯基犬、卡迪根柯基犬。"
    with pytest.raises(UnknownName) as caught:
        card.label_index("giant pandas")
    assert "大熊猫" in told(caught.value) and "giant panda" in str(caught.value)


def test_names_of_other_things_stay_in_a_chinese_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.i18n.preferences.language", lambda: "zh")
    assert told(UnknownName.of("sample picture", "catt", ["cat", "coffee"])).endswith("cat？")


@pytest.mark.parametrize("text", ["秃鹫", "vulture", "VULTURE", "23"])
def test_an_address_may_name_the_target_in_any_way_and_is_written_by_label(text: str) -> None:
    link = links.read({"model": IMAGENET, "target": text})
    assert not link.problems and link.recipe.target == 23 and link.target == "vulture"
    assert links.write(link.recipe)["target"] == "vulture"


def test_an_attack_without_a_page_takes_any_name_and_writes_labels(tmp_path: Any) -> None:
    arguments = ["attack", "cat", "--model", PHOTOS, "--set", "steps=1", "--force", "--out", str(tmp_path)]
    for text in ("Automobile", "小汽车"):
        assert main([*arguments, "--target", text]) == 0
        found = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
        assert found["target"] == models.card(PHOTOS).labels[found["recipe"]["target"]] == "car"
        assert not HAN.search((tmp_path / "trajectory.csv").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run() -> Any:
    engine = Engine()
    target = models.card(PHOTOS).label_index("umbrella")
    recipe = Recipe(PHOTOS, "cat", "bim", {"steps": 2, "epsilon": 0.1 / 255}, target, stop=Stop("success"))
    try:
        started = engine.submit(recipe)
        list(engine.follow(started))
        yield started
    finally:
        engine.close()


def test_the_live_view_gets_names_in_its_language(run: Any) -> None:
    card = models.card(PHOTOS)
    assert run_message(run, "zh")["original"] == {"index": card.label_index("cat"), "label": "猫"}
    assert run_message(run, "zh")["target"]["label"] == "雨伞"
    assert run_message(run)["target"] == {"index": run.recipe.target, "label": "umbrella"}
    announced = [json.loads(each) for each in Feed(run, 0, "zh").frames() if isinstance(each, str)]
    there = [each for each in announced if each["type"] == "class"]
    assert len(there) > 2 and there == rows_message(run, 0, "zh")["classes"]
    assert [each["label"] for each in there] == [names(card.labels[each["index"]]).chinese for each in there]
    best = step_message(run, 0, "zh")["top"]
    assert [each["label"] for each in best] == [names(each.label).chinese for each in run.top(0)]


def test_a_sentence_about_a_run_names_classes_in_its_language(run: Any) -> None:
    run.reason = "success"
    chinese, english = status_message(run, "zh"), status_message(run)
    assert chinese["said"][1]["goal"] == "雨伞" and english["said"][1]["goal"] == "umbrella"
    assert chinese["sentence"] == english["sentence"]  # the language of programs
    assert report.result(run, "cat")["target"] == "umbrella"


def speaking(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setattr("components.i18n.preferences.language", lambda: language)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_list_begins_with_favourites_and_holds_every_class_once(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaking(monkeypatch, language)
    card = models.card(IMAGENET)
    listed, count = class_picker.listed(card.labels, "vulture")
    assert count == class_picker.MOST and listed[:4] == ["paper towel", "toaster", "ostrich", "guacamole"]
    assert "vulture" not in listed[:count] and sorted(listed) == sorted(card.labels)
    assert class_picker.listed(card.labels)[0][0] == "vulture"
    assert class_picker.listed(("3", "7", "1")) == (["1", "3", "7"], 0)


def test_a_chinese_list_is_in_the_order_of_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bai, cao, huo, ping, xiang, zhang."""
    speaking(monkeypatch, "zh")
    sounds = ["white stork", "strawberry", "torch", "ping-pong ball", "banana", "cockroach"]
    assert class_picker.listed(sounds[::-1], "banana")[0] == sounds


def test_what_stands_in_a_list_carries_the_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert class_picker.title("airliner") == "airliner · plane, airplane, aeroplane, jet"
    assert class_picker.title("zebra") == "zebra" and class_picker.title("7") == "7"
    assert class_picker.title("tiger shark") == "tiger shark"  # a part of the name finds it already
    speaking(monkeypatch, "zh")
    assert class_picker.title("airliner") == "客机 · airliner, 飞机, plane, airplane, aeroplane, jet"
    assert class_picker.title("zebra") == "斑马 · zebra" and class_picker.title("7") == "7"
    shown = [class_picker.title(label) for label in models.card(IMAGENET).labels]
    assert len(set(shown)) == 1000  # the browser tells options apart by what they say


def visit(lesson: str) -> AppTest:
    app = AppTest.from_string(
        f"from app import lessons\nlessons.registry()[{lesson!r}].render()", default_timeout=120
    )
    app.session_state["lang"] = "zh"
    app.query_params["model"], app.query_params["image"] = PHOTOS, "cat"
    return app.run()


def test_a_chinese_lesson_names_what_the_network_says_in_chinese() -> None:
    app = visit("at_work")
    assert not app.exception
    said = [name for each in app.get("html") for name in re.findall('class="name">([^<]*)<', each.proto.body)]
    assert len(said) >= 5 and said[0] == "猫" and all(HAN.fullmatch(name) for name in said)


@pytest.mark.parametrize(
    ("lesson", "key"), [("many_steps", "many_steps.photos"), ("gradient", "gradient.class.photos.cat")]
)
def test_a_chinese_lesson_offers_classes_by_every_name(lesson: str, key: str) -> None:
    app = visit(lesson)
    assert not app.exception
    offered = app.selectbox(key).options
    assert any(re.match("“?雨伞”?.* · umbrella", each) for each in offered)
    assert all(HAN.search(each.split(" · ")[0]) for each in offered)
