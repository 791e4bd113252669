"""The live view in the reader's language: every phrase is translated, and the server's sentences are too."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

from attacks.contract import Stop
from components.i18n.text import phrases
from components.live.protocol import status_message
from engine import checks
from engine.recipe import Recipe
from engine.sentences import templates
from settings import LIVE, TEXT
from tests.components.test_player_js import NODE
from tests.support import live_phrases, small_model
from tests.support.browser import Playground, until

LANGUAGES = sorted(folder.name for folder in TEXT.iterdir() if folder.name != "en")
PLACE = re.compile(r"{(\w*)}")
HAN = re.compile("[\u4e00-\u9fff]")
RECIPE = Recipe("small", "cat", "bim", {"steps": 3, "epsilon": 30 / 255}, target=2, stop=Stop("steps"))


@pytest.fixture
def engine():
    with small_model.engine(small_model.Gate()) as made:
        yield made


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_of_the_live_view_goes_with_it(language):
    carried = phrases(language, part="live")
    own = carried.keys() - {"Press Run and watch it change its mind."}  # the page's
    assert len(own) > 120 and sorted(own ^ live_phrases.spoken()) == []
    for phrase, other in carried.items():
        assert set(PLACE.findall(phrase)) == set(PLACE.findall(other)), phrase


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_of_a_comparison_goes_with_it(language):
    assert phrases(language, part="compare").keys() == live_phrases.compared()


def test_what_stands_in_the_modules_is_found():
    found = live_phrases.said_by_the_browser()
    assert {"lossless", "It changed its mind at step {since}: this is the target."} <= found
    assert (
        all("{" not in text for text in live_phrases.findings() if "grey" in text)
        and len(live_phrases.findings()) == 20
    )


def test_no_module_of_the_view_writes_words_past_say():
    """An element's own text and the attributes that are read out are never literal words."""
    past = re.compile(
        r'(?:"aria-label"|\btitle|\balt): "\w|element\("\w+", {[^}]*}, "\w|write\([^,()]+, "\w|describe\("'
    )
    names = "player", "verdict", "pictures", "transport", "figures", "ranking", "chart", "findings"
    for name in (*names, "compare"):
        assert past.findall((LIVE / f"{name}.js").read_text(encoding="utf-8")) == [], name


def say(words: Any, *asked: Any) -> Any:
    """Return what the browser makes of each ``[phrase, facts]``, told ``words``."""
    program = f"""
    const {{ say, speak }} = await import({json.dumps((LIVE / "words.js").as_uri())});
    speak({json.dumps(words)});
    console.log(JSON.stringify({json.dumps(asked)}.map((each) => say(...each))));
    """
    command = [NODE, "--input-type=module", "-"]
    done = subprocess.run(command, input=program, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_the_browser_puts_facts_in_their_places():
    words = {"{a} of {b}": "共 {b}，第 {a}"}
    asked = ["{a} of {b}", {"a": 1, "b": "$& {a}"}], ["{a} is new", {"a": 0}], ["{unknown}", {}], ["as it is"]
    assert say(words, *asked) == ["共 $& {a}，第 1", "0 is new", "{unknown}", "as it is"]
    assert say(None, *asked) == ["1 of $& {a}", "0 is new", "{unknown}", "as it is"]


def finished(engine, recipe):
    run = engine.submit(recipe)
    list(engine.follow(run))
    return run


def test_a_run_s_sentence_is_said_in_chinese(engine):
    """The parts on the wire make the English sentence, and in the browser the Chinese one."""
    runs = [finished(engine, RECIPE), finished(engine, replace(RECIPE, target=None, stop=Stop("success")))]
    runs[1].set_status("cancelled")
    runs += [finished(engine, replace(RECIPE, params={"steps": 1, "epsilon": 0.1 / 255}))]
    messages = [json.loads(json.dumps(status_message(run))) for run in runs]
    for message in messages:
        template, facts = message["said"]
        assert message["sentence"] == template.format(**facts) and template in templates()
    unmet = messages[2]
    assert unmet["sentence"] == "All 1 steps are done; the network was not fooled."
    (found,) = [each for each in unmet["findings"] if each["name"] == "not fooled"]
    assert found["seen"] == "After 1 steps the network was not fooled."
    chinese = say(phrases("zh", part="live"), unmet["said"], found["said"], [found["means"]])
    assert chinese[:2] == ["全部 1 步已完成；网络没有被骗过。", "1 步之后，网络没有被骗过。"]
    assert HAN.search(chinese[2])


def test_each_end_of_a_run_has_its_sentence(engine):
    run = finished(engine, RECIPE)
    label, steps = run.labels[2], len(run) - 1
    run.reason = "probability"
    run.recipe = replace(run.recipe, stop=Stop("probability", 0.9))
    assert run.sentence() == f"Stopped at step {steps}: {label} passed 90 %."
    run.recipe = replace(run.recipe, target=None)
    assert run.sentence() == f"Stopped at step {steps}: {run.labels[run.original]} fell to 10 %."
    run.reason, run.error = "failed", "The {cable} burnt."
    assert run.sentence() == "The {cable} burnt."
    run.error = None
    assert run.sentence() == "The run failed."


def test_a_finding_is_its_template_with_its_facts():
    found = checks.Finding("name", ("{a} of 3", {"a": 2}), "means", "url")
    assert found.plain() == {"name": "name", "seen": "2 of 3", "means": "means", "url": "url"}


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_the_words_go_with_the_view_unless_they_are_english(language, monkeypatch):
    given: list[Any] = []

    def facts(base, **more):
        given.append(more)
        return [more]

    monkeypatch.setattr("components.live.player.facts", facts)
    app = AppTest.from_string(
        "from components.live.player import player\nplayer(base='/x', run=None, idle=None, key='p')"
    )
    app.session_state["lang"] = language
    assert not app.run().exception
    assert given[0]["language"] == language
    assert given[0]["words"] == (phrases(language, part="live") if language != "en" else None)
    assert len(json.dumps(given[0], ensure_ascii=False).encode()) < 20_000


def words_of(here: Playground) -> str:
    """Return all that the view shows and reads out."""
    said: str = here.player.evaluate(
        """root => [root.innerText, ...[root, ...root.querySelectorAll("*")].flatMap((node) => [
        "title", "aria-label", "alt", "aria-valuetext", "data-nothing"
        ].map((name) => node.getAttribute(name)))].filter(Boolean).join("\\n")"""
    )
    return said


def test_the_view_speaks_chinese_and_changes_its_language(visitor: Callable[..., Playground]) -> None:
    here = visitor().open("?attack=bim&steps=6&stop=steps&lang=zh")
    expect(here.part("note")).to_have_text("按下运行按钮，看它如何改变主意。")
    run = here.run()
    here.reaches("finished")
    expect(here.part("status")).to_contain_text("全部 6 步已完成")
    expect(here.picture("adversarial")).to_contain_text("无损")
    left = re.sub("l∞|logit", "", words_of(here))
    assert HAN.search(left) and not re.findall(r"[A-Za-z]{3,}", left)

    here.page.get_by_role("radio", name="EN", exact=True).click()
    expect(here.part("status")).to_contain_text("All 6 steps are done")
    until(lambda: here.count == 7, "the same run in the other view")
    assert here.fact("run") == run and not HAN.search(words_of(here))


def test_another_language_leaves_what_was_chosen(visitor: Callable[..., Playground]) -> None:
    """What was chosen by hand is chosen still, and its words change too."""
    here = visitor().open("?attack=eot_pgd&transform=blur&steps=17&target=any")
    here.choose("Withstand", "rotate")
    chosen = {
        "attack": ("Within a budget · EOT-PGD", "预算之内 · EOT-PGD"),
        "eot_pgd-transform": ("rotate", "旋转"),
    }
    expect(here.page).to_have_url(re.compile("transform=rotate"))
    for spoken, button in ((1, "中文"), (0, "EN")):
        here.page.get_by_role("radio", name=button, exact=True).click()
        here.settle()
        for key, words in chosen.items():
            expect(here.page.locator(f".st-key-{key} input")).to_have_value(words[spoken])
        expect(here.page).to_have_url(re.compile("steps=17&transform=rotate"))
