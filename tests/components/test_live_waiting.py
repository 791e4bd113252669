"""The live view of a run that waits in the queue: its place and its wait, on the wire and in words."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from components.i18n.text import phrases
from components.live.protocol import Feed, about, status_message
from engine.places import Place
from engine.recipe import Recipe
from settings import LIVE
from tests.components.test_player_js import NODE
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 3})


@pytest.fixture
def run():
    with small_model.engine(small_model.Gate()) as made:
        yield made.prepare(RECIPE)[0]


def sent(feed: Feed) -> list[dict[str, Any]]:
    messages = [json.loads(frame) for frame in feed.frames() if isinstance(frame, str)]
    return [message for message in messages if message["type"] == "status"]


def test_a_new_place_is_sent_without_a_reload_once_a_second_at_most(run, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("components.live.protocol.time.monotonic", lambda: now[0])
    feed = Feed(run)
    (first,) = sent(feed)
    assert first["status"] == "waiting" and first["place"] is None and sent(feed) == []
    run.place = Place(7, 40, 24.4)
    assert sent(feed) == []
    now[0] += 1
    (second,) = sent(feed)
    assert [second[name] for name in ("place", "ahead", "of", "wait")] == [7, 6, 40, 25]
    now[0] += 1
    run.place = Place(7, 40, 25.6)  # is said alike
    assert sent(feed) == []
    run.place = Place(6, 40, 25.6)
    assert [message["place"] for message in sent(feed)] == [6]
    run.set_status("running")  # is never late
    (last,) = sent(feed)
    assert last["status"] == "running" and last["place"] is None and last["wait"] is None
    assert status_message(run)["ahead"] is None


def test_seconds_are_said_as_people_say_them():
    said = [about(seconds) for seconds in (0, 0.2, 3.6, 12, 13, 58, 119, 130, 140, 200, 299, 340)]
    assert said == [1, 1, 4, 10, 15, 60, 120, 120, 150, 210, 300, 360]


def words(language: str, *messages: dict[str, Any]) -> list[str]:
    program = f"""
    const {{ waiting }} = await import({json.dumps((LIVE / "waiting.js").as_uri())});
    const {{ speak }} = await import({json.dumps((LIVE / "words.js").as_uri())});
    speak({json.dumps(phrases(language, part="live"))}, {json.dumps(language)});
    console.log(JSON.stringify({json.dumps(messages)}.map(waiting)));
    """
    command = [NODE, "--input-type=module", "-"]
    done = subprocess.run(command, input=program, capture_output=True, text=True, timeout=60, check=True)
    answer: list[str] = json.loads(done.stdout)
    return answer


def test_the_player_says_it_in_english_and_in_chinese():
    messages = [
        {"place": place, "of": 40, "wait": wait}
        for place, wait in ((7, 25), (1, 3), (2, 3), (3, 3), (11, 180), (12, 150))
    ]
    assert words("en", *messages, {"place": None}) == [
        "Waiting: 7th of 40, about 25 s",
        "Waiting: 1st of 40, about 3 s",
        "Waiting: 2nd of 40, about 3 s",
        "Waiting: 3rd of 40, about 3 s",
        "Waiting: 11th of 40, about 3 min",
        "Waiting: 12th of 40, about 2.5 min",
        "Waiting for its turn …",
    ]
    assert words("zh", messages[0], messages[4]) == [
        "排队中：第 7 位，共 40 个，大约还要等 25 秒",
        "排队中：第 11 位，共 40 个，大约还要等 3 分钟",
    ]
