"""The lesson on LeNet shows its changes while they are computed, not only when they are whole."""
# ruff: noqa: F811  (fixtures are imported by name)

from __future__ import annotations

import itertools
import json
import re

import pytest
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

import experiments
from components import ascents
from experiments import data, lenet
from models.train.tanay import DECAYS
from tests.browser import Playground, playground, site, until, visitor, window_maker  # noqa: F401

PAGE = "from app.lessons.lenet_decay import render\nrender()"
STAND = re.compile(r"(\d+) of 10 are there, mean length ([\d.]+)")


def standing(texts: list[str]) -> list[tuple[int, float]]:
    """Return of each network how many digits arrived and the mean length of their changes."""
    found = [STAND.search(text) for text in texts]
    return [(int(each[1]), float(each[2])) for each in found if each]


def farthest(app: AppTest) -> float:
    """Return the last step of the curves that are drawn."""
    drawn = json.loads(app.get("plotly_chart")[-1].proto.spec)["data"]
    return max(len(line["x"]) and line["x"][-1] for line in drawn if isinstance(line["x"], list))


@pytest.mark.skipif(data.place() is None, reason="needs MNIST: the result that ships is on its digits")
def test_the_curves_grow_stretch_by_stretch_and_end_where_the_result_says(monkeypatch) -> None:
    app = AppTest.from_string(PAGE, default_timeout=120).run()
    whole = farthest(app)
    ended = standing([each.value for each in app.markdown])
    assert [there for there, _ in ended] == [10, 10]
    app.button(key="lenet_decay.press").click().run()
    heard = []
    for _ in range(3):
        heard.append((farthest(app), standing([each.value for each in app.markdown])))
        app.run()
    assert [last for last, _ in heard] == [ascents.AT_ONCE * k for k in (1, 2, 3)] and whole > 500
    lengths = [[length for _, length in stand] for _, stand in heard]
    assert all(a < b for pair in itertools.pairwise(lengths) for a, b in zip(*pair, strict=True))
    assert all(there == 0 for _, stand in heard for there, _ in stand)
    monkeypatch.setattr(ascents, "AT_ONCE", 5000)
    app.run()
    assert farthest(app) == pytest.approx(whole, abs=2) and not app.exception
    again = standing([each.value for each in app.markdown])
    assert [there for there, _ in again] == [10, 10]
    assert [length for _, length in again] == pytest.approx([length for _, length in ended], abs=0.02)


def test_other_digits_are_taken_where_those_of_the_result_are_not_here(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found, result = data.digits(), experiments.shipped("lenet")
    assert result is not None
    going = lenet.again(result["figures"], 3)
    assert list(going) == list(DECAYS)
    for each in going.values():
        assert found.test_y[each.rows].tolist() == list(range(10))
        assert [one["digit"] for one in each.shown()] == list(range(10))


def test_the_browser_sees_the_curves_on_their_way(playground: Playground) -> None:
    page = playground.page
    page.goto(f"{playground.site.url}/lenet_decay?part=4")
    expect(page.locator(".st-key-lesson h2")).to_be_visible()
    playground.settle()
    lines = page.locator("[data-testid=stMarkdownContainer]", has_text="are there, mean length")
    page.locator(".st-key-lenet_decay-press button").click()
    seen: list[tuple[int, float]] = []

    def look() -> bool:
        now = standing(lines.all_inner_texts())
        if len(now) == 2 and (not seen or now[1] != seen[-1]):
            seen.append(now[1])
        return len([length for there, length in seen if there == 0]) > 4

    until(look, "the lengths to grow before the eye")
    on_the_way = [length for there, length in seen if there == 0]
    assert on_the_way == sorted(on_the_way)
    page.goto(f"{playground.site.url}/toy")  # a reader who leaves in the middle
    expect(page.locator(".st-key-lesson h2")).to_be_visible()
    playground.settle()
    assert not playground.complaints
