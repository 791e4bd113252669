"""The first screen of a phone, and the uploader's words, in a real browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, ViewportSize, expect

from settings import SAMPLES
from tests.support.browser import PHONE, Playground, Scheme, Visitor, until

SMALL_PHONE: ViewportSize = {"width": 360, "height": 740}
OVERHANG = """section => {
  const own = section.getBoundingClientRect();
  const beyond = [...section.querySelectorAll("*")].filter((node) => {
    const { width, height, left, right, top, bottom } = node.getBoundingClientRect();
    const across = left < own.left - 1 || right > own.right + 1;
    return width > 1 && height > 1 && (across || top < own.top - 1 || bottom > own.bottom + 1);
  });
  const words = getComputedStyle(section, "::after");
  return {
    beyond: beyond.map((node) => node.outerHTML.slice(0, 80)),
    across: section.scrollWidth - section.clientWidth,
    down: section.scrollHeight - section.clientHeight,
    lines: words.content === "none" ? 0 : parseFloat(words.height) / parseFloat(words.fontSize),
  };
}"""


def handheld(visitor: Visitor, size: ViewportSize = PHONE, **more: Any) -> Playground:
    return visitor(viewport=size, has_touch=True, is_mobile=True, **more)


def fits(section: Locator) -> None:
    """Fail unless all of an uploader, its words too, is inside its box, and the words take one line."""
    beyond = section.evaluate(OVERHANG)
    assert beyond.pop("lines") < 2, "the words run down"
    assert beyond == {"beyond": [], "across": 0, "down": 0}


def stands_open(section: Locator) -> None:
    """Wait until the drawer in which a section is has come to rest: it slides in."""
    widths = [0]

    def rests() -> bool:
        widths.append(section.evaluate("section => section.clientWidth"))
        return widths[-1] > 150 and widths[-1] == widths[-2]

    until(rests, "the drawer to stand open")


def whole(here: Playground) -> None:
    """Fail where something reaches beyond the sides of the window."""
    page = here.page
    assert page.evaluate("document.scrollingElement.scrollWidth") <= page.evaluate("innerWidth")
    wide, own = here.player.evaluate("player => [player.scrollWidth, player.clientWidth]")
    assert wide <= own
    for name in ("verdict", "chart", "play", "status"):
        box = here.part(name).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= page.evaluate("innerWidth") + 0.5


def on_the_first_screen(here: Playground, part: Locator) -> None:
    """Fail unless a part is seen without scrolling, above the fixed bar."""
    bar, box = here.player.locator(".transport").bounding_box(), part.bounding_box()
    assert bar and box
    assert box["y"] >= 0 and box["y"] + box["height"] <= bar["y"] + 0.5
    assert box["x"] >= 0 and box["x"] + box["width"] <= here.page.evaluate("innerWidth") + 0.5


WORDS = {"en": '"or drop a photo"', "zh": '"或拖入照片"'}
WORDS_OF = "section => getComputedStyle(section, '::after').content"


@pytest.mark.parametrize(("lang", "theme"), [("en", "light"), ("zh", "dark")])
def test_the_uploaders_words_stay_in_their_box(visitor: Visitor, lang: str, theme: Scheme) -> None:
    here = visitor(color_scheme=theme).open(f"?lang={lang}&image=cat&target=toaster")
    if lang == "en":
        another_page_begins_with_what_was_chosen(here)
    the_words_fit(here, [here.page.locator(".st-key-upload section")], lang)


def another_page_begins_with_what_was_chosen(here: Playground) -> None:
    for name in ("Compare", "Playground"):
        here.page.get_by_role("link", name=name, exact=True).first.click()
        here.page.wait_for_url(re.compile("compare" if name == "Compare" else r"/\?"))
        here.settle()
        expect(here.page.get_by_role("combobox", name="Make it say")).to_have_value(re.compile("^toaster"))
        until(lambda: "target=toaster" in here.page.url, "the address to say what is chosen")
        assert "crop" not in here.page.url and "image=cat" in here.page.url


def the_words_fit(here: Playground, sections: list[Locator], lang: str) -> None:
    """Fail unless the uploaders' words are inside their boxes, and the name of a photo after them."""
    assert sections[-1].evaluate(WORDS_OF) == WORDS[lang]
    for section in sections:
        fits(section)
    before = here.pixels("original")
    photo = (SAMPLES / "rocket.jpg").read_bytes()
    long: FilePayload = {"name": f"{'holiday ' * 9}.jpg", "mimeType": "image/jpeg", "buffer": photo}
    for section in sections:
        section.locator("input[type=file]").set_input_files(long)
        expect(section.get_by_test_id("stFileChip")).to_be_attached()
        here.settle()
        fits(section)
    until(lambda: here.pixels("original") != before, "the photo to show")


def the_words_fit_beside_the_drawer(here: Playground, lang: str, theme: Scheme) -> None:
    """Fail unless the words of both uploaders of a phone fit, in another theme than before."""
    here.page.emulate_media(color_scheme=theme)
    here.page.get_by_test_id("stExpandSidebarButton").tap()
    sections = [here.page.locator(f".st-key-{name} section") for name in ("phone_upload", "upload")]
    stands_open(sections[-1])
    the_words_fit(here, sections, lang)
    here.page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").tap()


def test_a_phone_runs_the_panda_and_chooses_in_its_drawer(visitor: Visitor) -> None:
    here = handheld(visitor).open("?lang=en")
    the_first_screen_runs_the_panda(here, "vulture")
    a_file_that_a_phone_may_not_send_is_refused(here)
    the_words_fit_beside_the_drawer(here, "en", "dark")
    what_is_chosen_is_chosen_in_the_drawer(here)


def test_a_small_phone_in_chinese(visitor: Visitor) -> None:
    here = handheld(visitor, SMALL_PHONE, color_scheme="dark").open("?lang=zh")
    the_first_screen_runs_the_panda(here, "秃鹫")
    the_words_fit_beside_the_drawer(here, "zh", "light")


def the_first_screen_runs_the_panda(here: Playground, vulture: str) -> None:
    start = here.page.locator(".st-key-phone_start button")
    uploader = here.page.locator(".st-key-phone_upload button")
    target = here.page.locator("[class*=st-key-again-target]")
    samples = here.page.locator(".st-key-phone_gallery")
    pictures = [here.picture(name) for name in ("original", "adversarial", "perturbation")]
    for part in (samples, uploader, target, start, *pictures):
        on_the_first_screen(here, part)
    expect(here.page.locator(".st-key-phone_upload input[type=file]")).to_have_attribute("accept", "image/*")
    expect(here.page.get_by_test_id("stExpandSidebarButton")).to_be_in_viewport(ratio=1)
    whole(here)

    start.tap()
    here.begun()
    whole(here)
    here.reaches("finished")
    here.page.wait_for_function("scrollY === 0")
    expect(here.part("now")).to_contain_text(vulture)
    whole(here)
    for part in (start, *pictures):
        on_the_first_screen(here, part)


def a_file_that_a_phone_may_not_send_is_refused(here: Playground) -> None:
    section = here.page.locator(".st-key-phone_upload section")
    section.locator("input[type=file]").set_input_files(
        {"name": "diary.txt", "mimeType": "text/plain", "buffer": b"dear diary"}
    )
    expect(section.locator("[aria-invalid=true]")).to_be_visible()
    assert section.evaluate(WORDS_OF) == '"Expected a picture of at most 20 MB."'
    whole(here)
    section.get_by_test_id("stFileChipDeleteBtn").get_by_role("button").tap()
    expect(section.get_by_test_id("stFileChip")).to_have_count(0)


def what_is_chosen_is_chosen_in_the_drawer(here: Playground) -> None:
    again = here.page.locator("[class*=st-key-again-target] input")
    rocket = here.pixels("original")
    samples = here.page.locator(".st-key-phone_gallery")
    samples.get_by_role("radio", name=re.compile("cat", re.IGNORECASE)).tap()
    until(lambda: here.pixels("original") != rocket, "the sample to show")
    cat = here.pixels("original")
    here.page.locator(".st-key-phone_upload input[type=file]").set_input_files(SAMPLES / "coffee.jpg")
    until(lambda: here.pixels("original") not in (rocket, cat), "the uploaded photo to show")
    again.tap()
    again.fill("toaster")
    here.page.get_by_role("option", name=re.compile(r"^toaster( ·|$)")).first.tap()
    here.settle()
    here.page.get_by_test_id("stExpandSidebarButton").tap()
    drawer = here.page.get_by_test_id("stSidebar")
    inside = drawer.get_by_role("combobox", name="Make it say")
    expect(inside).to_have_value(re.compile("^toaster"))
    expect(here.page.locator(".st-key-language")).to_be_hidden()

    inside.tap()
    inside.fill("pizza")
    here.page.get_by_role("option", name=re.compile("^pizza")).first.tap()
    here.settle()
    drawer.get_by_test_id("stSidebarCollapseButton").get_by_role("button").tap()
    expect(again).to_have_value(re.compile("^pizza"))
    before = here.fact("run")
    here.page.locator(".st-key-phone_start button").tap()
    facts = here.ask(here.begun(before))
    assert facts["target"]["label"] == "pizza" and facts["image"].startswith("upload:")
