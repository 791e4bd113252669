"""One real server and one real browser for the whole test session, and the playground as a person sees it."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    FilePayload,
    Locator,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from bench.site import Site, chromium, launch, serve
from engine.saved import PREFIX

PATIENCE = 60_000
DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
Scheme = Literal["dark", "light", "no-preference"]
Motion = Literal["reduce", "no-preference"]
FORGET = "() => { localStorage.clear(); sessionStorage.clear(); }"
"""Ends what Streamlit remembers for the next visit."""
EMPTY = "/_stcore/health"
"""Where a window waits for the next test: a page of the same server with a word of text. A page of no server
would end the browser's process for the window, and the next one would begin at a cost of a page."""
UNUSED = (
    "AvoidCorsURLLoaderRestartOnRedirect,AvoidUnnecessaryBeforeUnloadCheckSync,AimEnabled,"
    "DestroyProfileOnBrowserClose,HttpsFirstBalancedModeAutoEnable,HttpsUpgrades,LensOverlay,MediaRouter,"
    "NetworkTimeServiceQuerying,OptimizationHints,PaintHolding,PreconnectToSearch,"
    "ThirdPartyStoragePartitioning,WebUIOmniboxAimPopup,WebUIOmniboxPopup"
)
"""What Chromium goes without: Playwright's list, which an own one replaces, and the pages of its address bar,
which nobody sees here and which cost a second for every person."""
SPARING = (f"--disable-features={UNUSED}", "--process-per-site")
"""Besides, all windows of one person share a process, which has compiled the page's scripts."""
READ = """async image => {
  const reader = new FileReader();
  reader.readAsDataURL(await (await fetch(image.src)).blob());
  await new Promise((done, fail) => Object.assign(reader, { onload: done, onerror: fail }));
  return reader.result;
}"""
"""What a picture on the screen was made of, as a data URL."""


class Playground:
    """The page in one window. What it logs as an error is kept in ``complaints``."""

    def __init__(self, page: Page, site: Site) -> None:
        page.set_default_timeout(PATIENCE)
        self.page, self.site = page, site
        self.complaints: list[str] = []
        self.runs: set[str] = set()
        page.on("console", self._hear)
        page.on("pageerror", self._fail)
        self.player = page.locator("[data-test=player]")

    def _hear(self, message: ConsoleMessage) -> None:
        # On a page other than the first, Streamlit looks for its server under that page's path, in vain.
        looking = re.search(r"/(?!foolscope)\w+/_stcore/", message.location.get("url", ""))
        if message.type == "error" and not looking:
            self.complaints.append(message.text)

    def _fail(self, error: Exception) -> None:
        self.complaints.append(str(error))

    def open(self, query: str = "") -> Playground:
        """Go to the playground and wait until it shows a picture."""
        self.page.goto(f"{self.site.url}/{query}")
        expect(self.picture("adversarial").and_(self.page.locator(":not([data-empty])"))).to_be_visible()
        self.settle()
        expect(self.page.locator(".foolscope-skeleton")).to_have_count(0)
        return self

    def settle(self) -> None:
        """Wait until the server has answered every click, which takes a moment to reach it."""
        self.page.wait_for_timeout(150)
        expect(self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_attached()

    def still(self) -> None:
        """Wait until what was opened or folded moves no more, and with it what lies below: a button that
        moves while it is pressed is not pressed."""
        self.page.wait_for_function("document.getAnimations().every(one => one.playState !== 'running')")

    def part(self, name: str) -> Locator:
        """Return the element of the live view with this ``data-test`` name."""
        return self.player.locator(f"[data-test={name}]")

    def picture(self, which: str) -> Locator:
        """Return one of the squares: original, perturbation or adversarial."""
        return self.part(f"picture-{which}")

    def press(self, name: str) -> None:
        """Press one of the live view's buttons: first, play, step, stop, live, compare."""
        self.player.locator(f"button[data-test={name}]").click()

    def fact(self, name: str) -> str:
        """Return one of the player's ``data-`` attributes, "" when there is none."""
        return self.player.get_attribute(f"data-{name}") or ""

    @property
    def count(self) -> int:
        """Return how many steps the curve shows."""
        return int(self.fact("count") or 0)

    def choose(self, label: str, text: str) -> None:
        """Type into a searchable list and take what is called so; once more where the page was drawn anew."""
        called = re.compile(rf"^{re.escape(text)}( ·|$)")  # what follows are other words for it
        for patience in (10_000, 60_000):
            self.search(label, text)
            with contextlib.suppress(PlaywrightTimeout):
                self.page.get_by_role("option", name=called).first.click(timeout=patience)
                return self.settle()
        raise AssertionError(f"{label} does not offer {text}")

    def search(self, label: str, text: str) -> Locator:
        """Type into a searchable list; return what it offers."""
        box = self.page.get_by_role("combobox", name=re.compile(label))
        box.click()
        box.fill(text)
        return self.page.get_by_role("option")

    def drop(self, file: Path | FilePayload) -> None:
        """Upload a file."""
        self.page.locator(".st-key-upload input[type=file]").set_input_files(file)

    def run(self) -> str:
        """Press Run and return the new run's id once its curve has begun."""
        before = self.fact("run")
        self.page.locator(".st-key-start button").click()
        return self.begun(before)

    def begun(self, before: str = "") -> str:
        """Wait for a run that is neither ``before`` nor one that ships with the program; return its id."""

        def begins() -> bool:
            run = self.fact("run")
            return run not in ("", before) and not run.startswith(PREFIX) and self.count > 0

        until(begins, "the curve to begin")
        self.runs.add(self.fact("run"))
        return self.fact("run")

    def leave(self) -> None:
        """Empty the window, and end what was started in it for the sake of the next test."""
        self.page.remove_listener("console", self._hear)
        self.page.remove_listener("pageerror", self._fail)
        self.page.goto(f"{self.site.url}{EMPTY}")
        self.page.evaluate(FORGET)
        for run in self.runs:
            urllib.request.urlopen(f"{self.site.url}/foolscope/runs/{run}/cancel", b"", timeout=60).close()

    def reaches(self, status: str | re.Pattern[str]) -> None:
        """Wait until the run's status is this one."""
        expect(self.player).to_have_attribute("data-status", status)

    def shows_step(self, step: int) -> None:
        """Wait until numbers and pictures are those of ``step``, without loss."""
        expect(self.player).to_have_attribute("data-step", str(step))
        expect(self.picture("adversarial")).to_have_attribute("data-step", str(step))
        expect(self.picture("adversarial")).to_contain_text("lossless")

    def ask(self, path: str) -> Any:
        """Return what the server says under ``runs/``."""
        return json.loads(self.fetch(path))

    def fetch(self, path: str) -> bytes:
        """Return the bytes that the server has under ``runs/``."""
        body: bytes = urllib.request.urlopen(f"{self.site.url}/foolscope/runs/{path}", timeout=60).read()
        return body

    def pixels(self, which: str) -> bytes:
        """Return the bytes of the picture file that is on the screen."""
        image = self.picture(which).locator("img").first
        return base64.b64decode(image.evaluate(READ).split(",", 1)[1])

    def refusal(self) -> str:
        """Return the sentence with which the page says no."""
        box = self.page.get_by_test_id("stAlertContentError")
        expect(box.first).to_be_visible()
        return box.first.inner_text()


ENTRIES = 40
"""How many entries its history may have when a window is used again."""
Visitor = Callable[..., Playground]
Windows = Callable[..., contextlib.AbstractContextManager[Page]]


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fail with what was waited for."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"waited in vain for {what}")
        time.sleep(0.1)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Return the address of a running server."""
    with serve() as running:
        yield running
        status, words = running.process.poll(), running.log.read_text(errors="replace")[-2000:]
        assert status is None, f"The server ended by itself with status {status}:\n{words}"


@pytest.fixture(scope="session")
def window_maker() -> Iterator[Browser]:
    """Return a running Chromium."""
    if not chromium():
        pytest.skip("needs chromium: not found")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = launch(playwright, *SPARING)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def contexts(window_maker: Browser) -> Callable[..., BrowserContext]:
    """Return a function that returns a context of the browser, which is one person's: the same for the same
    options, so that the page's scripts are compiled once."""
    made: dict[str, BrowserContext] = {}

    def context(**options: Any) -> BrowserContext:
        key = repr(sorted(pair for pair in options.items() if pair[1]))
        if key not in made:
            made[key] = window_maker.new_context(**options)
        return made[key]

    return context


@pytest.fixture(scope="session")
def windows(contexts: Callable[..., BrowserContext]) -> Windows:
    """Return a function that lends an empty window with these options. Later tests use a window again: its
    process has the page's scripts compiled, and a new window of Chromium's costs as much as a page.
    Chromium counts no more than 50 entries of a history, so a window that has many is closed."""
    unused: dict[BrowserContext, list[Page]] = {}

    @contextlib.contextmanager
    def lend(**options: Any) -> Iterator[Page]:
        context = contexts(**options)
        free = unused.setdefault(context, [])
        page = free.pop() if free else context.new_page()
        yield page
        page.unroute_all()
        if page.evaluate("history.length") > ENTRIES:
            page.close()
        else:
            free.append(page)

    return lend


@contextlib.contextmanager
def visits(windows: Windows, site: Site) -> Iterator[Visitor]:
    """Lend a function that opens a window, as another person would. Nothing moves of its own in it, for
    frames cost the time of the tests; ``reduced_motion="no-preference"`` lets it move.

    Fails at the end when a window logged an error.
    """
    opened: list[Playground] = []
    with contextlib.ExitStack() as lent:

        def arrive(
            viewport: ViewportSize = DESK,
            color_scheme: Scheme = "light",
            reduced_motion: Motion = "reduce",
            **options: Any,
        ) -> Playground:
            page = lent.enter_context(windows(**options))
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme=color_scheme, reduced_motion=reduced_motion)
            opened.append(Playground(page, site))
            return opened[-1]

        yield arrive
        for window in opened:
            window.leave()
    assert not [line for window in opened for line in window.complaints]


@pytest.fixture
def visitor(windows: Windows, site: Site) -> Iterator[Visitor]:
    """Return a function that opens a window: see `visits`."""
    with visits(windows, site) as arrive:
        yield arrive


@pytest.fixture
def playground(visitor: Visitor) -> Playground:
    """Return a window of 1280 by 800 pixels."""
    return visitor()
