"""Every chapter of the tour is one screen: each of its parts fits, before and after its button is pressed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest

from app import lessons
from components.i18n.text import texts
from tests.support.browser import DESK, Playground, until

TOUR = lessons.menus()["Tour"]
SLOW = ("resistance", "just_noise")
"""Their buttons compute for a minute what ships anyway."""
BEYOND = "(main => main.scrollHeight - main.clientHeight)(document.querySelector('[data-testid=stMain]'))"


def titles(name: str, language: str = "en") -> list[str]:
    return re.findall(r"^- (.+)$", texts(name, language)["parts"], re.MULTILINE)


@pytest.mark.parametrize("name", lessons.registry())
def test_a_lesson_has_as_many_parts_as_titles_in_every_language(name: str) -> None:
    app = AppTest.from_string(
        f"from app import lessons\nlessons.registry()[{name!r}].render()", default_timeout=120
    )
    assert not app.run().exception
    assert app.session_state["deck_parts"] == len(titles(name)) == len(titles(name, "zh"))


def fits(page: Page, where: str) -> None:
    """The page need not be scrolled, neither down nor sideways."""
    until(lambda: page.evaluate(BEYOND) <= 1, f"{where} to fit, which is {page.evaluate(BEYOND)} too high")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where


@pytest.mark.parametrize("name", TOUR)
def test_a_chapter_is_one_screen(name: str, visitor: Callable[..., Playground]) -> None:
    here = visitor(viewport=DESK)
    page = here.page
    page.goto(f"{here.site.url}/{name}?model=photos&image=cat")
    expect(page.locator(".st-key-lesson_foot")).to_be_visible()
    here.settle()
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
    follower = TOUR[TOUR.index(name) + 1 :][:1]
    if follower:
        words = texts(follower[0])["title"]
        expect(page.locator(".st-key-lesson_foot").get_by_role("link", name=words)).to_be_visible()
    assert not page.locator("[data-testid=stException]").count() and not here.complaints


def test_a_link_opens_a_part_and_what_it_asks_wrongly_is_the_nearest() -> None:
    for asked, shown in (("2", 1), ("9", -1), ("0", 0), ("x", 0)):
        app = AppTest.from_string(
            "from app.lessons.tour.five_pixels import render\nrender()", default_timeout=120
        )
        app.query_params["part"] = asked
        assert not app.run().exception
        assert app.session_state["part.five_pixels.en"] == titles("five_pixels")[shown]
