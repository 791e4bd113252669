"""What students do, in the browsers that they bring: Firefox, and WebKit, the engine of every iPhone."""

from __future__ import annotations

import hashlib
import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from bench.site import Site
from settings import SAMPLES
from tests.support.browser import DESK, PHONE, until
from tests.support.other_browsers import BROWSERS, Window

SHORT = "?model=efficientnet_lite0&attack=bim&steps=6&stop=steps"
PLAYER, VERDICT, TOP = "[data-test=player]", "[data-test=verdict]", "[data-test=top5]"
SEEN = "[data-test=picture-adversarial]"
INK = """(() => {
  const canvas = find("[data-test=chart] canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((red, i) => i % 4 === 0 && red > data[i + 2] + 100 && data[i + 3] === 255).length;
})()"""
"""How many pixels of the curve's drawing have the accent's colour, that of the target."""
PIXELS = """(async () => {
  const image = find("[data-test=picture-adversarial] img");
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", data)));
})()"""
"""The digest of the picture's pixels, RGBA."""


@pytest.fixture(scope="module", params=BROWSERS)
def browser(request: pytest.FixtureRequest) -> Iterator[Window]:
    window = BROWSERS[request.param](False)
    yield window
    window.close()


@pytest.fixture
def window(browser: Window) -> Iterator[Window]:
    """Return a window of one of the browsers; fails at the end when a page logged an error in it."""
    yield browser
    assert browser.complaints() == []


def ask(site: Site, path: str) -> Any:
    """Return what the server says under ``runs/``."""
    return json.loads(urllib.request.urlopen(f"{site.url}/foolscope/runs/{path}", timeout=60).read())


def settle(window: Window) -> None:
    """Wait until the server has answered every click."""
    window.evaluate("new Promise((done) => setTimeout(done, 150))")
    window.wait_for("!!find('[data-testid=stApp][data-test-script-state=notRunning]')")


def visit(window: Window, site: Site, size: Any) -> None:
    """Open the playground and wait until it shows a picture."""
    window.resize(size["width"], size["height"])
    window.open(f"{site.url}/{SHORT}")
    window.wait_for(f"!!find('{SEEN}:not([data-empty])')")
    settle(window)


def run(window: Window, site: Site, button: str) -> dict[str, Any]:
    """Press a button that runs; return what the server says of the run when the window shows its end."""
    before = window.attribute(PLAYER, "data-run")
    window.click(button)
    player = f"find('{PLAYER}')?.dataset"
    window.wait_for(f"{player}?.run !== '{before}' && {player}?.status === 'finished'")
    facts = ask(site, window.attribute(PLAYER, "data-run"))
    window.wait_for(f"{player}.count === '{facts['count']}'")
    return dict(facts)


def shows(window: Window, site: Site, step: int) -> None:
    """Fail unless the window comes to show a step: its picture to the last bit, its classes and numbers."""
    path = f"{window.attribute(PLAYER, 'data-run')}/steps/{step}"
    window.wait_for(f"[find('{PLAYER}'), find('{SEEN}')].every((node) => node.dataset.step === '{step}')")
    window.wait_for(f"find('{SEEN}').textContent.includes('lossless')")
    png = urllib.request.urlopen(f"{site.url}/foolscope/runs/{path}/adversarial.png", timeout=60).read()
    pixels = Image.open(io.BytesIO(png)).convert("RGBA").tobytes()
    same = bytes(window.evaluate(PIXELS)) == hashlib.sha256(pixels).digest()
    assert same, "what is on the screen is not the server's picture"
    said = ask(site, path)
    labels = window.evaluate(f"[...find('{TOP}').querySelectorAll('.label')].map((row) => row.innerText)")
    assert labels == [row["label"] for row in said["top"]]
    assert window.text("[data-test=now] .name") == f"“{labels[0]}”"
    for name in ("margin", "l2"):
        shown = window.text(f"[data-figure={name}] .value").replace("−", "-")
        assert float(shown) == pytest.approx(said["figures"][name], rel=0.06), name  # two digits are shown


def test_a_run_is_watched_scrubbed_and_taken_home(window: Window, site: Site) -> None:
    visit(window, site, DESK)
    assert window.evaluate(INK) == 0
    facts = run(window, site, ".st-key-start button")
    assert facts["count"] == 7
    until(lambda: window.evaluate(INK) > 100, "the curve")
    shows(window, site, 6)
    window.press("[data-test=scrub]", "Home", "ArrowRight", "ArrowRight")
    shows(window, site, 2)

    window.click("[class*=st-key-take_home] [data-testid=stButtonGroup] button")
    said = window.text("[data-testid=stDownloadButton]")
    assert facts["target"]["label"] in said and "%" in said


def test_a_phone_takes_a_photo_after_a_run(window: Window, site: Site) -> None:
    visit(window, site, PHONE)
    run(window, site, "button[data-test=play]")
    window.upload("input[type=file]", SAMPLES / "rocket.jpg")
    window.wait_for(f"find('{VERDICT}').innerText.startsWith('The network says')")
    settle(window)
    shown = window.text("[data-test=was]")
    assert window.evaluate("getComputedStyle(find('[data-test=was]')).fontWeight") == "650", (
        "quiet, as if past"
    )
    facts = run(window, site, "button[data-test=play]")
    assert facts["image"].startswith("upload:") and facts["original"]["label"] in shown
    assert window.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0


def post(site: Site, path: str, data: dict[str, Any], token: str = "") -> Any:
    """Return what the server answers under ``rooms``; ``token``: a member's, or the teacher's key."""
    address, mine = f"{site.url}/foolscope/rooms{path}", {"Authorization": f"Bearer {token}"}
    asked = urllib.request.Request(address, json.dumps(data).encode(), mine)
    try:
        return json.load(urllib.request.urlopen(asked, timeout=60))
    except urllib.error.HTTPError as error:
        pytest.fail(f"{path}: {error.read().decode()}")


def opened(site: Site, **more: Any) -> tuple[str, str]:
    """Open a room of one network, one attack and one sample; return its code and its key."""
    allowed = {"models": ["efficientnet_lite0"], "attacks": ["bim"], "images": ["panda"], **more}
    room = post(site, "", {"title": "Class 9b", "allowed": allowed})
    return room["code"], room["key"]


def enter(window: Window, site: Site, code: str) -> None:
    """Join a room on a phone, by its code and a name."""
    window.resize(PHONE["width"], PHONE["height"])
    window.open(f"{site.url}/foolscope/rooms")
    window.fill("[data-test=code]", code.lower())
    window.press("[data-test=code]", "Enter")
    window.fill("[data-test=name]", "Zoë")
    window.click("[data-test=join] button")
    assert window.text("[data-test=member]") == "Zoë"


def test_a_student_joins_a_room_and_runs_a_photo(window: Window, site: Site) -> None:
    code, _ = opened(site, steps=6)
    enter(window, site, code)

    seen = window.wait_for("find('[data-test=seen]').innerText")
    window.upload("[data-test=photo]", SAMPLES / "rocket.jpg")
    window.wait_for(f"![{json.dumps(seen)}, ''].includes(find('[data-test=seen]').innerText)")
    seen = window.text("[data-test=seen]")
    facts = run(window, site, "[data-test=run]")
    assert facts["image"].startswith("upload:") and facts["original"]["label"] in seen
    window.wait_for(f"find('{SEEN}').dataset.step === '{facts['count'] - 1}'")
    assert window.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0


def handed_in(site: Site, code: str, challenge: str) -> None:
    """Let somebody else join a room, run and hand in what came of it."""
    token = post(site, f"/{code}/join", {"name": "Ben"})["token"]
    query = {"model": "efficientnet_lite0", "image": "panda", "attack": "bim", "target": "any", "steps": "20"}
    its = post(site, f"/{code}/runs", {"query": query}, token)["run"]
    until(lambda: ask(site, its)["status"] == "finished", "the other's run")
    assert post(site, f"/{code}/challenges/{challenge}/submissions", {"run": its}, token)["counts"]


def test_a_student_hands_a_run_in_and_judges_anothers(window: Window, site: Site) -> None:
    code, key = opened(site, steps=20)
    settings = {"model": "efficientnet_lite0", "image": "panda"}
    asked = {"add": {"kind": "least_l2", "title": "Less is more", "settings": settings}}
    (challenge,) = post(site, f"/{code}/challenges", asked, key)["challenges"]
    post(site, f"/{code}/teacher", {"judging": True}, key)
    handed_in(site, code, challenge["id"])

    enter(window, site, code)
    assert run(window, site, "[data-test=run]")["reason"] == "row"
    window.click("[data-test=tab-challenges]")
    window.click("[data-test=hand-in]")
    verdict = "[data-test=challenge] [data-test=verdict]"
    window.wait_for(f"find('{verdict}').dataset.outcome")
    assert window.attribute(verdict, "data-outcome") == "counts", window.text(verdict)

    window.click("[data-test=tab-votes]")
    window.click("[data-test=look]")
    window.wait_for("find('[data-test=frame] img')?.naturalWidth > 0")
    window.click("[data-test=names] [data-choice='giant panda']")
    window.wait_for("find('[data-test=told]').dataset.outcome")
    assert window.attribute("[data-test=told]", "data-outcome") == "right"
    assert "1" in window.text("[data-test=judged]")


def test_what_a_page_complains_of_is_heard(browser: Window, site: Site) -> None:
    browser.open(f"{site.url}/foolscope/health")
    browser.evaluate("setTimeout(() => { throw new Error('out of breath') })")
    browser.evaluate("console.error('out of time')")
    browser.evaluate("void Promise.reject(new Error('out of reach'))")
    heard: list[str] = []

    def all_three() -> bool:
        heard.extend(browser.complaints())
        return all(any(word in line for line in heard) for word in ("breath", "time", "reach"))

    until(all_three, "three complaints")
