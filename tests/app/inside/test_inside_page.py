"""The section “Look inside the network” as a person uses it, in one visit."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.support.browser import PHONE, Playground

DIGIT = "?image=seven&attack=bim&steps=6&stop=steps&target=3"


def test_somebody_looks_inside(visitor: Callable[..., Playground]) -> None:
    here = visitor().open(f"{DIGIT}&model=lenet")
    here.run()
    here.reaches("finished")
    inside = here.part("inside")
    expect(inside).to_be_visible()
    inside.locator("summary").first.click()
    maps = inside.locator("[data-test=maps] canvas:visible")
    expect(maps).to_have_count(6)
    expect(maps.first).to_have_attribute("aria-label", "Map of what speaks for 7 in the original picture")
    expect(inside.locator("[data-test=sanity]")).to_contain_text("rank correlation: ")
    expect(inside.locator("[data-test=inside-state]")).to_have_text("")

    # The arrow moves to the next tab, and not through the run.
    inside.locator("[data-test=inside-saliency]").press("ArrowRight")
    expect(inside.locator("[data-test=channels] > div")).to_have_count(4)
    expect(inside.locator("[data-test=parting]")).to_contain_text("At step 6 the picture is")
    expect(inside.locator("[data-test=layer-name]")).to_contain_text("Layer 3 of 6: conv2")
    inside.locator("[data-test=layer]").press("Home")
    expect(inside.locator("[data-test=layer-name]")).to_contain_text("Layer 1 of 6: conv1")

    others = inside.locator("[data-test=photos] button")
    expect(others.first).to_have_attribute("aria-pressed", "true")
    seen = inside.locator(".photo img").get_attribute("src")
    others.nth(1).press("Enter")
    expect(others.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(others.nth(1)).to_be_focused()
    assert inside.locator(".photo img").get_attribute("src") != seen

    inside.locator("[data-test=inside-words]").click()
    expect(inside.locator("[data-test=words]")).to_contain_text("At first the network says “7”")
    expect(inside.locator("[data-test=rests] > li")).to_have_count(7)
    here.press("first")
    expect(inside.locator("[data-test=words]")).to_contain_text("Nothing has been changed yet.")
    for tab in ("plane", "boundary", "made-of"):
        inside.locator(f"[data-test=inside-{tab}]").click()
        expect(inside.locator("[data-test=inside-state]")).to_contain_text(
            "has not changed yet: move to a later"
        )
    inside.locator("[data-test=inside-people]").click()
    expect(inside.locator("[data-test=people-ssim]")).to_contain_text("step 0: 1")
    record = inside.get_by_role("link", name="JSON").get_attribute("href") or ""
    parts = {entry["part"] for entry in here.ask(record.split("/runs/")[1])}
    assert {"saliency", "layers", "channels", "people"} <= parts


def test_on_a_network_without_convolutions_in_chinese_on_a_phone(visitor: Callable[..., Playground]) -> None:
    here = visitor(viewport=PHONE).open(f"{DIGIT}&model=fc100&lang=zh")
    here.press("play")
    here.begun()
    here.reaches("finished")
    inside = here.part("inside")
    inside.locator("summary").first.click()
    expect(inside.locator("[data-test=note-of-method]")).to_contain_text("Grad-CAM 对这个网络没有意义")
    expect(inside.get_by_role("button", name="积分梯度")).to_have_attribute("aria-pressed", "true")
    expect(inside.locator("[data-test=maps] canvas:visible")).to_have_count(6)
    spoken = re.sub("Grad-CAM|JSON|NumPy|logit|Adebayo", "", inside.inner_text())
    assert not re.findall(r"[A-Za-z]{3,}", spoken)
    assert here.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
