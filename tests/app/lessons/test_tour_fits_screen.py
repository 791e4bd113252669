"""Every chapter of the tour is one screen: each of its parts fits, before and after its button is pressed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest

from app import lessons
from components.i18n.text import texts
from components.lesson import tabs
from tests.app.lessons.test_lessons import titles
from tests.support.browser import DESK, Playground, until

TOUR = lessons.menus()["Tour"]
PART = "part.five_pixels.en"
SLOW = ("resistance", "just_noise")
"""Their buttons compute for a minute what ships anyway."""
BEYOND = "(main => main.scrollHeight - main.clientHeight)(document.querySelector('[data-testid=stMain]'))"


def fits(page: Page, where: str) -> None:
    """The page need not be scrolled, neither down nor sideways."""
    until(lambda: page.evaluate(BEYOND) <= 1, f"{where} to fit, which is {page.evaluate(BEYOND)} too high")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where


@pytest.mark.parametrize("names", [TOUR[:4], TOUR[4:8], TOUR[8:]], ids=["first", "middle", "last"])
def test_a_chapter_is_one_screen(names: list[str], visitor: Callable[..., Playground]) -> None:
    here = visitor(viewport=DESK)
    page = here.page
    page.goto(f"{here.site.url}/{names[0]}?model=photos&image=cat")
    for name in names:
        expect(page.get_by_role("heading", name=texts(name)["title"], exact=True, level=2)).to_be_visible()
        expect(page.locator(".st-key-lesson_foot")).to_be_visible()
        here.settle()
        assert "model=photos" in page.url and "image=cat" in page.url
        walk_through(here, name)
        follower = TOUR[TOUR.index(name) + 1 :][:1]
        if follower:
            words = texts(follower[0])["title"]
            page.locator(".st-key-lesson_foot").get_by_role("link", name=words).click()
        assert not page.locator("[data-testid=stException]").count() and not here.complaints


def walk_through(here: Playground, name: str) -> None:
    """Look at each part of a chapter, and press its button."""
    page = here.page
    for at, title in enumerate(titles(name), 1):
        if at > 1:  # the way on leads through all the parts before it leads to the next chapter
            page.get_by_role("button", name=f"Next: {title}").click()
            expect(page.get_by_role("tab", name=title)).to_have_attribute("aria-selected", "true")
            expect(page).to_have_url(re.compile(f"part={at}"))
            here.settle()
        fits(page, f"{name}, {title}")
        button = page.locator(".st-key-screen button[kind=primary]:visible")
        if name not in SLOW and button.count() and button.first.is_enabled():
            button.first.click()
            here.settle()
            fits(page, f"{name}, {title}, pressed")


def test_what_was_on_its_way_when_a_part_was_opened_does_not_close_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = AppTest.from_string(
        "from app.lessons.tour.five_pixels import render\nrender()", default_timeout=120
    )
    first, second = titles("five_pixels")[:2]
    assert not app.run().exception and app.session_state[PART] == first
    app.button(key="part.onward").click().run()
    app.session_state[PART] = first  # as a page says that has not heard of the press yet
    assert app.run().session_state[PART] == second
    monkeypatch.setattr(tabs, "STALE", 0.0)
    app.session_state[PART] = first
    assert app.run().session_state[PART] == first


def test_a_link_opens_a_part_and_what_it_asks_wrongly_is_the_nearest() -> None:
    for asked, shown in (("2", 1), ("9", -1), ("0", 0), ("x", 0)):
        app = AppTest.from_string(
            "from app.lessons.tour.five_pixels import render\nrender()", default_timeout=120
        )
        app.query_params["part"] = asked
        assert not app.run().exception
        assert app.session_state[PART] == titles("five_pixels")[shown]
