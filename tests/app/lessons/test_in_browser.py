"""Lessons in a real browser: a digit is drawn, a boundary is dragged, a picture opens in the playground."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.browser import Playground, until


def lesson(here: Playground, name: str) -> Page:
    """Open a lesson in the visitor's window and return it when it is whole."""
    here.page.goto(f"{here.site.url}/{name}")
    expect(here.page.locator(".st-key-lesson h2")).to_be_visible()
    here.settle()
    return here.page


def test_a_drawn_digit_is_read_and_taken_to_every_class(playground: Playground) -> None:
    page = lesson(playground, "any_digit")
    canvas = page.locator(".field canvas")
    canvas.scroll_into_view_if_needed()
    read = page.locator("strong", has_text="The network reads")
    assert "7" in read.inner_text()  # a sample is read before anything is drawn
    first = page.locator(".tiles").first.locator("img")
    old = first.first.get_attribute("src")
    box = canvas.bounding_box()
    assert box
    x, top = box["x"] + box["width"] / 2, box["y"]
    page.mouse.move(x, top + 0.2 * box["height"])
    page.mouse.down()
    for share in (0.4, 0.6, 0.8):
        page.mouse.move(x, top + share * box["height"])
    page.mouse.up()
    until(lambda: first.first.get_attribute("src") != old, "the drawing to be taken to the classes")
    playground.settle()
    assert first.count() == 10
    expect(read).to_be_visible()
    page.locator(".tiles").first.locator("a").first.click()
    expect(page).to_have_url(re.compile(r"/\?model=fc100&image=upload.*attack=lbfgs&target=0"))
    expect(playground.picture("adversarial")).to_be_visible()
    assert not playground.complaints


def test_the_boundary_tilts_under_the_hand(playground: Playground) -> None:
    page = lesson(playground, "tilt")
    slider, angle = page.locator(".tilt input[type=range]"), page.locator(".tilt .numbers span").last
    expect(slider).to_be_visible()
    slider.focus()
    page.keyboard.press("Home")  # the weakest regularisation
    until(lambda: degrees(angle.inner_text()) > 80, "the boundary to lean over")
    page.keyboard.press("End")
    until(lambda: degrees(angle.inner_text()) < 1, "the boundary to stand upright")
    page.locator(".strip figure").last.locator("canvas").click()
    link = page.get_by_role("link", name=re.compile("y, mirrored"))
    expect(link).to_have_attribute("href", re.compile(r"/\?model=lenet&image=upload"))
    assert not playground.complaints


def degrees(text: str) -> float:
    """Return the number in a text such as "angle 41.7°"."""
    return float(re.findall(r"[\d.]+", text)[-1])
