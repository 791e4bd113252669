"""The playground in a real browser, against a real server: what a person does, and what they then see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, WebSocketRoute, expect

from bench.site import Site
from engine.images.sources import samples
from settings import SAMPLES
from tests.support.browser import DESK, PHONE, Playground, Scheme, Visitor, Windows, until, visits

LONG = "?attack=bim&steps=5000&stop=steps"
SHORT = "?attack=bim&steps=6&stop=steps"
SCHEMES: tuple[Scheme, ...] = ("dark", "light")


SHOWN = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""What the page is told when its tab is put away or comes back; without a window there are no tabs."""


@pytest.fixture(scope="module")
def finished(windows: Windows, site: Site) -> Iterator[Playground]:
    """Return a window with a run of six steps that is over, for all who only look at it."""
    with visits(windows, site) as arrive:
        here = arrive().open(SHORT)
        here.run()
        here.reaches("finished")
        yield here


@pytest.fixture(scope="module")
def towards_pizza(windows: Windows, site: Site) -> Iterator[Playground]:
    """Return a window where nothing was run, for all who look for a class."""
    with visits(windows, site) as arrive:
        yield arrive().open("?model=efficientnet_lite0&image=cat&target=pizza")


def address(here: Playground) -> dict[str, str]:
    """Return what the window's address says, by name."""
    return {name: values[0] for name, values in parse_qs(urlsplit(here.page.url).query).items()}


def test_one_press_and_the_panda_is_a_vulture(visitor: Visitor) -> None:
    """What a newcomer meets: the address says nothing, and the one button does it."""
    here = visitor(reduced_motion="no-preference").open()
    expect(here.part("verdict")).to_contain_text("giant panda")
    run = here.run()
    here.reaches("finished")
    last = here.ask(run)["count"] - 1
    top = here.ask(f"{run}/steps/{last}")["top"][0]
    assert top["label"] == "vulture" and top["probability"] > 0.95
    expect(here.part("verdict")).to_contain_text("vulture")
    assert {"model": "efficientnet_lite0", "image": "panda", "target": "vulture"}.items() <= address(
        here
    ).items()
    the_arrow_keys_walk_the_shelf(here)


def the_arrow_keys_walk_the_shelf(here: Playground) -> None:
    """The honest mistakes stand apart there."""
    shelf = here.page.get_by_role("radiogroup", name="Sample pictures")
    apart = shelf.locator(".heading:has-text('Honest mistakes') + .row").get_by_role("radio")
    mistakes = [sample.label for sample in samples().values() if sample.group == "mistakes"]
    expect(apart).to_have_count(len(mistakes))
    expect(shelf.get_by_role("radio")).to_have_count(len(samples()))
    expect(shelf.get_by_role("radio", checked=True)).to_have_attribute("title", "Panda")

    shelf.get_by_role("radio", name="Panda", exact=True).focus()
    here.page.keyboard.press("ArrowLeft")  # round the end, to the last of the mistakes
    expect(apart.last).to_be_focused()
    here.page.keyboard.press("Enter")
    expect(apart.last).to_be_checked()
    expect(here.page).to_have_url(re.compile("image=street"))


def test_a_photo_is_uploaded_attacked_watched_and_stopped(visitor: Visitor) -> None:
    """Meanwhile the page is loaded anew, played by its keys and looked at by somebody else."""
    here = visitor().open(LONG)
    sample = here.pixels("original")
    here.drop(SAMPLES / "rocket.jpg")
    until(lambda: here.pixels("original") != sample, "the uploaded photo to show")
    here.choose("Make it say", "accordion")
    before = here.run()
    run = here.run()
    assert before != run and here.ask(before)["status"] == "cancelled", "another run ends the one before"

    here.reaches("running")
    seen = here.count
    until(lambda: here.count > seen and here.fact("status") == "running", "the curve to grow during the run")
    here.page.reload()
    assert here.begun() == run
    here.press("play")
    here.reaches("paused")
    until(lambda: here.ask(run)["count"] == here.count, "every step to be there")
    assert here.ask(run)["status"] == "paused"

    paused = here.count
    here.press("step")
    until(lambda: here.count == paused + 1, "one more step")
    here.reaches("paused")
    assert here.ask(run)["count"] == paused + 1

    keys_walk_and_play(here)
    somebody_else_sees(here, visitor(color_scheme="dark"))
    here.reaches("cancelled")
    last = here.count - 1
    expect(here.part("status")).to_have_text(f"Stopped by hand at step {last}.")
    facts = here.ask(run)
    assert (facts["count"], facts["end"], facts["target"]["label"]) == (last + 1, True, "accordion")
    assert facts["image"].startswith("upload:")
    assert {"target": "accordion", "run": run}.items() <= address(here).items()


def keys_walk_and_play(here: Playground) -> None:
    """Press the keys while a run is paused, which goes on and pauses again."""
    last = here.count - 1
    expect(here.player).to_have_attribute("data-step", str(last))
    for key, step in (("Home", 0), ("ArrowRight", 1), ("ArrowLeft", 0), ("End", last)):
        here.page.keyboard.press(key)
        expect(here.player).to_have_attribute("data-step", str(step))
    here.page.keyboard.press("Space")
    until(lambda: here.count > last + 1, "the run to go on")
    here.page.keyboard.press("Space")
    here.reaches("paused")


def somebody_else_sees(first: Playground, second: Playground) -> None:
    """Open the address of a paused run in another window, take a step and stop it there."""
    until(lambda: first.ask(first.fact("run"))["count"] == first.count, "the last step to arrive")
    second.page.goto(first.page.url)
    assert second.begun() == first.fact("run")
    until(lambda: second.count == first.count, "the second browser to catch up")
    assert second.part("now").inner_text() == first.part("now").inner_text()
    assert second.part("figures").inner_text() == first.part("figures").inner_text()

    before = first.count
    second.press("step")
    until(lambda: first.count == second.count == before + 1, "a step from one browser to show in both")
    second.press("stop")


class Held:
    """A socket of a window whose server's messages wait while ``waits`` says so."""

    def __init__(self, page: Page, address: str) -> None:
        self.waits, self._waiting = False, list[tuple[WebSocketRoute, str | bytes]]()
        page.route_web_socket(re.compile(address), self._route)

    def _route(self, asked: WebSocketRoute) -> None:
        asked.connect_to_server().on_message(lambda message: self._came(asked, message))

    def _came(self, asked: WebSocketRoute, message: str | bytes) -> None:
        self._waiting.append((asked, message))
        if not self.waits:
            self.let_go()

    def let_go(self) -> None:
        """Let through what waits, and what comes after it."""
        self.waits = False
        while self._waiting:
            asked, message = self._waiting.pop(0)
            asked.send(message)


def test_a_run_that_ends_while_another_page_is_on_its_way_does_not_call_it_back(
    window_maker: Browser, site: Site
) -> None:
    """Streamlit's page says with whatever it sends which page it is, as it was told last."""
    with window_maker.new_context(viewport=DESK) as context:
        window = context.new_page()
        run, page = Held(window, "/live"), Held(window, "/_stcore/stream")
        here = Playground(window, site).open(LONG)
        key = here.run()
        run.waits = True
        here.press("stop")
        until(lambda: here.ask(key)["status"] == "cancelled", "the run to end")
        here.settle()
        page.waits = True
        window.get_by_role("link", name="Compare", exact=True).click()
        run.let_go()
        here.reaches("cancelled")
        window.wait_for_timeout(300)  # what the view has to say of the end would have been sent
        page.let_go()
        heading = window.get_by_role("heading", name="What two changes are made of")
        expect(heading).to_be_visible()
        here.settle()
        expect(heading).to_be_visible()
        assert urlsplit(window.url).path == "/compare"


def test_the_curve_is_scrubbed_to_a_step_and_its_pictures(finished: Playground) -> None:
    here, run = finished, finished.fact("run")
    assert here.count == 7
    here.part("scrub").fill("6")
    here.shows_step(6)
    # While the marker moves there is a preview, which may come after the exact picture that was there before.
    last, earlier = (here.fetch(f"{run}/steps/{step}/adversarial.png") for step in (6, 2))
    assert (last != earlier) is True  # not as bytes, whose difference would take minutes to write out
    until(lambda: here.pixels("adversarial") == last, "the server's picture of step 6")

    here.part("scrub").fill("2")
    here.shows_step(2)
    until(lambda: here.pixels("adversarial") == earlier, "the server's picture of step 2")
    expect(here.part("verdict").locator(".counter")).to_have_text("step 2/6")
    here.part("chart").locator("canvas").click(position={"x": 60, "y": 40})
    until(lambda: here.fact("step") in ("0", "1"), "a click on the curve's left end")


def test_moving_pictures_give_way_to_the_exact_ones(playground: Playground) -> None:
    here = playground.open(LONG)
    run = here.run()
    moving = here.picture("adversarial").locator(".moving")
    expect(moving).to_be_visible()
    here.press("play")
    here.reaches("paused")
    until(lambda: here.ask(run)["count"] == here.count, "the last step to arrive")
    last = here.count - 1
    here.shows_step(last)
    expect(moving).to_be_hidden()
    assert here.pixels("adversarial") == here.fetch(f"{run}/steps/{last}/adversarial.png")


def test_a_page_that_nobody_sees_gets_every_step_and_no_pictures(playground: Playground) -> None:
    asked: list[dict[str, object]] = []
    playground.page.on(
        "websocket",
        lambda socket: socket.on(
            "framesent", lambda text: asked.append(json.loads(text)) if "/live" in socket.url else None
        ),
    )
    here = playground.open(LONG)
    run = here.run()
    expect(here.picture("adversarial").locator(".moving")).to_be_visible()
    here.page.evaluate(SHOWN, True)
    seldom = {"do": "pace", "seconds": 1}
    until(lambda: here.count > 0 and seldom in asked, "the page to ask for less")
    before = here.count
    until(lambda: here.count > before + 20, "the curve to go on")
    assert not [one for one in asked[asked.index(seldom) :] if one["do"] == "look"]
    asked.clear()
    here.page.evaluate(SHOWN, False)
    until(lambda: here.count > 0 and {"look", "pace"} <= {one["do"] for one in asked}, "pictures")
    here.press("play")
    here.reaches("paused")
    until(lambda: here.ask(run)["count"] == here.count, "every step to be there")


def test_a_run_that_ends_early_says_why(playground: Playground) -> None:
    here = playground.open("?attack=bim&target=any&steps=300&epsilon=64/255&step_size=2/255&stop=success")
    run = here.run()
    here.reaches("finished")
    facts, original = here.ask(run), here.ask(run)["original"]["label"]
    assert facts["reason"] == "success"
    assert facts["count"] < facts["total"] + 1
    said = f"Stopped at step {facts['count'] - 1}: the network no longer says {original}."
    expect(here.part("status")).to_have_text(said)
    expect(here.part("verdict")).to_have_attribute("data-fooled", "")


def test_a_key_held_down_shows_the_original(finished: Playground) -> None:
    here = finished
    here.part("scrub").fill("6")
    here.shows_step(6)
    here.page.keyboard.down("o")
    expect(here.picture("adversarial").locator(".title")).to_have_text("original")
    expect(here.picture("adversarial").locator(".before")).to_have_css("opacity", "1")
    here.page.keyboard.up("o")
    expect(here.picture("adversarial").locator(".before")).to_have_css("opacity", "0")


def test_the_perturbation_is_amplified_and_seen_in_two_ways(finished: Playground) -> None:
    here, run = finished, finished.fact("run")
    here.part("scrub").fill("6")
    here.shows_step(6)
    steps = [("1", 2, "signed"), ("6", 50, "signed"), ("6", 50, "size")]
    seen = set()
    for notch, gain, view in steps:
        here.part("gain").fill(notch)
        here.picture("perturbation").get_by_role("button", name=view, exact=True).click()
        expect(here.picture("perturbation")).to_contain_text(f"× {gain}")
        wanted = here.fetch(f"{run}/steps/6/perturbation.png?gain={gain}&view={view}")
        until(partial(shows, here, wanted), f"the perturbation, {view} × {gain}")
        seen.add(sha256(wanted).digest())
    assert len(seen) == 3


def shows(here: Playground, perturbation: bytes) -> bool:
    return here.pixels("perturbation") == perturbation


def test_what_cannot_be_attacked_is_refused_and_the_server_goes_on(playground: Playground) -> None:
    here = playground.open(SHORT)
    before = here.pixels("original")
    here.drop({"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": b"dear diary, " * 100})
    sentence = here.refusal()
    assert re.fullmatch(r"Expected a .* picture, got .*dear diary.*", sentence)
    run = here.run()
    here.reaches("finished")
    assert here.count == 7
    assert here.pixels("original") == before
    assert here.site.healthy()
    the_current_class_is_refused_as_target(here)
    assert here.fact("run") in ("", run)


def the_current_class_is_refused_as_target(here: Playground) -> None:
    label = here.part("was").locator(".name").inner_text().split("“")[1].split("”")[0]
    here.choose("Make it say", label)
    here.page.get_by_role("button", name="Run", exact=True).first.click()
    refusals = here.page.get_by_test_id("stAlertContentError")
    expect(
        refusals.filter(has_text=re.compile(rf"already says {label} \(\d+.*another class"))
    ).to_be_visible()


def test_a_wide_screen_has_one_of_each(towards_pizza: Playground) -> None:
    here = towards_pizza
    expect(here.page.locator(".st-key-phone_bar")).to_be_hidden()
    expect(
        here.page.get_by_role("button", name="Run", exact=True).and_(here.page.locator("[kind=primary]"))
    ).to_have_count(1)


def test_a_class_is_found_by_another_word_for_it(towards_pizza: Playground) -> None:
    here = towards_pizza
    expect(here.search("Make it say", "toilet paper").first).to_have_text(
        re.compile("^toilet tissue · toilet paper")
    )
    here.page.keyboard.press("Enter")
    expect(here.page).to_have_url(re.compile("target=toilet[+]tissue"))
    here.settle()
    options = here.search("Make it say", "plane")
    expect(options.filter(has_text=re.compile("^wing ·"))).to_be_visible()
    to_the_top(here)
    expect(options.filter(has_text=re.compile("^airliner ·"))).to_be_visible()
    here.page.keyboard.press("Escape")


def to_the_top(here: Playground) -> None:
    """Scroll an open list, which may stand where it was scrolled to before and has no more than is seen."""
    here.page.get_by_role("option").first.hover()
    here.page.mouse.wheel(0, -50_000)


def test_favourites_come_first_and_are_starred(towards_pizza: Playground) -> None:
    here = towards_pizza
    here.page.get_by_role("combobox", name=re.compile("Make it say")).click()
    to_the_top(here)
    first = [here.page.locator(f"[role=option][aria-posinset='{place}']") for place in (1, 2, 3)]
    expect(first[1]).to_have_text(re.compile("^vulture"))
    star = "node => getComputedStyle(node.firstElementChild, '::before').content"
    assert ["★" in option.evaluate(star) for option in first] == [False, True, True]
    here.page.keyboard.press("Escape")


def test_a_chinese_browser_finds_a_class_and_sees_names_in_chinese(visitor: Visitor) -> None:
    here = visitor(locale="zh-CN").open(
        "?model=efficientnet_lite0&image=cat&target=厨房纸&attack=bim&steps=3&stop=steps"
    )
    box = here.page.get_by_role("combobox", name=re.compile("让它说"))
    expect(box).to_have_value(re.compile("^厨房纸 · paper towel"))
    assert address(here)["target"] == "paper towel"
    for text in ("卫生纸", "toilet paper"):
        expect(here.search("让它说", text).first).to_have_text(re.compile("^卫生纸 · toilet tissue"))
    here.page.keyboard.press("Enter")
    expect(here.page).to_have_url(re.compile("target=toilet[+]tissue"))

    run = here.run()
    here.reaches("finished")
    facts = here.ask(run)
    assert (
        facts["target"]["label"] == "toilet tissue"
        and here.ask(f"{run}?lang=zh")["target"]["label"] == "卫生纸"
    )
    top = [each["label"] for each in here.ask(f"{run}/steps/3?lang=zh")["top"]]
    expect(here.part("top5").locator(".label")).to_have_text(top)
    expect(here.part("figures").locator("[data-figure=probability] dt")).to_have_text("卫生纸")
    expect(here.part("now").locator(".name")).to_have_text(f"“{top[0]}”")
    assert all(re.fullmatch("[\u3400-\u9fff]+", each) for each in top)

    here.page.get_by_text("EN", exact=True).click()
    expect(here.page).to_have_url(re.compile("lang=en"))  # or the browser would speak again
    here.page.reload()
    expect(here.page.get_by_role("combobox", name=re.compile("Make it say"))).to_be_visible()


def test_nonsense_in_the_address_is_told_in_a_sentence(playground: Playground) -> None:
    wrong = "target=unicorn+pegasus&attack=bim&step_size=-1&steps=1000000000&run=nobody-ever-saw-this"
    here = playground.open(f"?{wrong}")
    sentences = [
        "no class called “unicorn pegasus”",
        "Expected step_size to be a number from 0 to 1",
        "Expected steps to be a whole number from 0 to 10,000",
        "does not know that run",
    ]
    shown = here.page.get_by_test_id("stAlertContentError")
    for sentence in sentences:
        expect(shown.filter(has_text=sentence)).to_have_count(1)
        expect(shown.filter(has_text=sentence)).to_be_visible()
    here.run()
    here.reaches(re.compile("running|finished"))
    assert "unicorn" not in here.page.url


def test_a_link_to_no_class_of_its_network_runs_what_the_page_shows(playground: Playground) -> None:
    here = playground.open("?model=photos&image=rocket&target=pizza&attack=bim&steps=3&stop=steps")
    shown = here.page.get_by_role("combobox", name="Make it say").input_value().split(" · ")[0]
    expect(here.part("play")).to_be_in_viewport(ratio=1)
    run = here.run()
    assert here.ask(run)["target"]["label"] == shown == address(here)["target"]
    here.reaches("finished")
    assert "no class called “pizza”" in here.refusal()
    here.choose("Make it say", "accordion")
    expect(here.page.get_by_test_id("stAlertContentError")).to_have_count(0)
    assert here.ask(here.run())["target"]["label"] == "accordion"


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_size_and_theme(finished: Playground, size: ViewportSize) -> None:
    here = finished
    here.page.set_viewport_size(size)
    here.part("scrub").fill("6")
    here.shows_step(6)
    for scheme in SCHEMES:
        here.page.emulate_media(color_scheme=scheme)
        until(partial(shines, here, scheme), f"the theme to be {scheme}")
        fits(here, size)
    here.page.set_viewport_size(DESK)


def shines(here: Playground, scheme: Scheme) -> bool:
    """Say whether the page has the theme of this scheme."""
    return bright(here) is (scheme == "light")


def bright(here: Playground) -> bool:
    colour = "e => getComputedStyle(e).getPropertyValue('--st-background-color')"
    return int(here.player.evaluate(colour).strip()[1:3], 16) > 127


def fits(here: Playground, size: ViewportSize) -> None:
    assert here.page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
    widths = here.player.evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert widths[0] <= widths[1]
    for name in ("picture-original", "picture-adversarial", "chart", "play", "verdict"):
        box = here.part(name).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= size["width"]
    expect(here.part("play")).to_be_in_viewport()
