"""The lesson on LeNet shows its changes while they are computed, not only when they are whole."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

import experiments
from app import service
from app.lessons.tilting_boundary import ascent_panels
from experiments.tanay2018 import lenet
from models.train.tanay import DECAYS
from tests.support.browser import Playground, until

PAGE = "from app.lessons.tilting_boundary.lenet_decay import render\nrender()"
STAND = re.compile(r"(\d+) of 10 are there, mean length ([\d.]+)")


def standing(texts: list[str]) -> list[tuple[int, float]]:
    """Return of each network how many digits arrived and the mean length of their changes."""
    matches = [STAND.search(text) for text in texts]
    return [(int(match[1]), float(match[2])) for match in matches if match]


def farthest(app: AppTest) -> float:
    """Return the last step of the curves that are drawn."""
    drawn = json.loads(app.get("plotly_chart")[-1].proto.spec)["data"]
    return max(len(line["x"]) and line["x"][-1] for line in drawn if isinstance(line["x"], list))


@pytest.fixture
def bare(monkeypatch, tmp_path) -> None:
    """No MNIST."""
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    for name in ("XDG_CACHE_HOME", "FOOLSCOPE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))


def test_the_curves_grow_stretch_by_stretch_and_end_where_the_result_says(monkeypatch, bare) -> None:
    monkeypatch.setattr(ascent_panels, "AT_ONCE", 20)
    app = AppTest.from_string(PAGE, default_timeout=120).run()
    ended = standing([each.value for each in app.markdown])
    assert [there for there, _ in ended] == [10, 10]
    app.button(key="lenet_decay.press").click()
    heard = []
    for _ in range(3):
        app.run()
        heard.append((farthest(app), standing([each.value for each in app.markdown])))
    assert [last for last, _ in heard] == [20, 40, 60]
    lengths = [[length for _, length in stand] for _, stand in heard]
    assert all(a < b for pair in itertools.pairwise(lengths) for a, b in zip(*pair, strict=True))
    assert all(there == 0 for _, stand in heard for there, _ in stand)

    quick = list(DECAYS)[0]  # the other one takes more than twice as many steps
    monkeypatch.setattr(lenet, "DECAYS", {quick: DECAYS[quick]})
    monkeypatch.setattr(ascent_panels, "AT_ONCE", 5000)
    app.button(key="lenet_decay.press").click().run()
    result = experiments.shipped(lenet.LeNetDecay)
    assert result is not None and not app.exception
    whole = max(one.steps for one in result.figures.networks[quick].changes.shown)
    assert farthest(app) == pytest.approx(whole, abs=2) and whole > 500
    ((there, length),) = standing([each.value for each in app.markdown])
    assert there == 10 and length == pytest.approx(ended[0][1], abs=0.02)


def test_the_digits_of_the_result_are_taken_without_their_data_set(bare) -> None:
    result = experiments.shipped(lenet.LeNetDecay)
    assert result is not None
    work = lenet.DigitAscents.of(result.figures, at_once=5)
    first = next(service.engine().carry_out(work))
    assert list(first) == list(DECAYS)
    for name, digits in first.items():
        shown = result.figures.networks[name].changes.shown
        assert [one.row for one in digits] == [one.row for one in shown]
        assert [one.original for one in digits] == [one.original for one in shown]
        assert [one.length for one in digits] == [0] * 10


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
        return len([length for there, length in seen if there == 0]) > 2

    until(look, "the lengths to grow before the eye")
    on_the_way = [length for there, length in seen if there == 0]
    assert on_the_way == sorted(on_the_way)
    page.goto(f"{playground.site.url}/toy")  # a reader who leaves in the middle
    expect(page.locator(".st-key-lesson h2")).to_be_visible()
    playground.settle()
    assert not playground.complaints
