"""A run in a real browser: what watching costs, how soon and how often the curve moves, what it sends."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from playwright.sync_api import Browser, Page, sync_playwright

from bench.figures import Figure, figure
from bench.site import Site, halves, launch, on, serve
from bench.steps import bare, recipe
from engine.engine import Engine

SIGHT = "[data-test=picture-adversarial]:not([data-empty])"
# The browser's own clock: the click, then each change of the number of points or of the status.
WATCH = """player => {
  window.seen = [];
  const click = () => (window.clicked = performance.now());
  document.addEventListener("click", click, { capture: true, once: true });
  new MutationObserver(() => {
    const { run, count, status } = player.dataset;
    window.seen.push([performance.now(), run ?? "", Number(count ?? 0), status]);
  }).observe(player, { attributeFilter: ["data-run", "data-count", "data-status"] });
}"""


@dataclass
class Watch:
    """One run as the browser saw it: (milliseconds, run, points, status), and what the socket carried."""

    clicked: float
    seen: list[tuple[float, str, int, str]]
    curve_bytes: int = 0
    picture_bytes: int = 0
    pictures: int = 0
    classes: set[int] = field(default_factory=set)

    def points(self) -> list[tuple[float, int]]:
        """Return when the number of points changed, and to what."""
        own = [(at, count) for at, run, count, _ in self.seen if run == self.seen[-1][1] and count]
        return [now for before, now in zip([(0.0, 0), *own], own, strict=False) if now[1] != before[1]]

    def step_seconds(self) -> float:
        """Return the seconds a step took, from the first point seen to the last."""
        (first, few), (last, many) = self.points()[0], self.points()[-1]
        return (last - first) / (many - few) / 1000

    def first_point(self) -> float:
        """Return the milliseconds from the click to the first point."""
        return self.points()[0][0] - self.clicked

    def updates(self) -> float:
        """Return how often a second the curve moved."""
        points = self.points()
        return 1000 * (len(points) - 1) / (points[-1][0] - points[0][0])


class Window:
    """A browser window on a site, and what its sockets carry."""

    def __init__(self, browser: Browser, site: Site, cores: set[int] | None = None) -> None:
        self.cores = cores or set(os.sched_getaffinity(0))
        self.page: Page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        self.page.set_default_timeout(600_000)
        self.site, self.now = site, Watch(0, [])
        self.page.on("websocket", self._listen)

    def open(self, query: str = "") -> None:
        """Show the playground at an address and wait until it can be used."""
        self.page.goto(f"{self.site.url}/{query}")
        self.page.locator(SIGHT).wait_for()
        self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()

    def press_run(self) -> None:
        """Press Run, with the clock running."""
        self.now = Watch(0, [])
        self.page.locator("[data-test=player]").evaluate(WATCH)
        self.page.locator(".st-key-start button").click()

    def watch(self) -> Watch:
        """Press Run and watch until the run is over."""
        self.press_run()
        over = "window.seen.length > 1 && window.seen.at(-1)[3] === 'finished'"
        self.page.wait_for_function(over, polling=200)  # the default asks at every frame, which costs
        self.now.clicked, self.now.seen = self.page.evaluate("[window.clicked, window.seen]")
        self.page.wait_for_timeout(500)
        return self.now

    def _listen(self, socket: Any) -> None:
        if "/foolscope/runs/" in socket.url:
            socket.on("framereceived", self._frame)

    def _frame(self, data: str | bytes) -> None:
        if isinstance(data, bytes) and data[0] == 3:
            self.now.picture_bytes += len(data)
            self.now.pictures += 1
            return
        self.now.curve_bytes += len(data)
        if isinstance(data, str):
            message = json.loads(data)
            if message["type"] == "class":
                self.now.classes.add(message["position"])


@contextmanager
def window(apart: bool = False) -> Iterator[Window]:
    """Open a window on a server that has already loaded its first network.

    ``apart``: the browser gets a core of its own, as it has one on the desk of whoever watches.
    """
    cores = set(os.sched_getaffinity(0))
    ours, theirs = halves() if apart else (cores, cores)
    with ExitStack() as stack:
        with on(theirs):
            browser = launch(stack.enter_context(sync_playwright()))
        stack.callback(browser.close)
        with on(ours):
            site = stack.enter_context(serve())
        made = Window(browser, site, ours)
        made.open()
        yield made


def address(model: str, steps: int) -> str:
    """Return the address of the recipe that `bench.steps.recipe` makes."""
    return f"?model={model}&attack=pgd&random_start=false&target=any&stop=steps&steps={steps}"


def watching(here: Window, engine: Engine, model: str, steps: int, repeats: int) -> list[Figure]:
    """Measure steps that are watched against the bare loop, in turns, and the wait for the first point.

    The loop has the cores that the server has, and as many threads.
    """
    shared = len(here.cores) == len(os.sched_getaffinity(0))
    where = "browser on the same cores" if shared else "browser on a core of its own"
    here.open(address(model, steps))
    here.watch()
    watched, alone = [], []
    for _ in range(repeats):
        watched.append(here.watch())
        with on(here.cores), ThreadPoolExecutor(1) as fresh:  # its helper threads are made on these cores
            alone.append(fresh.submit(_bare, engine, model, steps, len(here.cores)).result())
    goal = 1.25 if shared else 1.05
    ratios = [each.step_seconds() / one for each, one in zip(watched, alone, strict=True)]
    return [
        figure(
            "watched_sharing" if shared else "watched",
            f"{steps} PGD steps: watched / bare loop, {where}",
            ratios,
            "",
            f"at most {goal}",
            lambda v: v <= goal,
            model=model,
            milliseconds_bare=[round(1000 * one, 2) for one in alone],
            pictures=[each.pictures for each in watched],
            picture_bytes=[e.picture_bytes for e in watched],
        ),
        figure(
            "first_point_sharing" if shared else "first_point",
            f"Run to first point, {where}",
            [w.first_point() for w in watched],
            "ms",
            "below 300 ms",
            lambda v: v < 300,
            model=model,
        ),
    ]


def _bare(engine: Engine, model: str, steps: int, threads: int) -> float:
    usual = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return bare(engine, recipe(model, steps)) / steps
    finally:
        torch.set_num_threads(usual)


def moving(here: Window, model: str, repeats: int) -> Figure:
    """Measure how often the curve moves where steps are faster than the screen."""
    here.open(address(model, 800))
    rates = [here.watch().updates() for _ in range(repeats)]
    return figure(
        "updates", "updates of the curve", rates, "/s", "at least 20 /s", lambda v: v >= 20, model=model
    )


def traffic(here: Window, model: str) -> list[Figure]:
    """Measure what the curve's socket carries for 200 and for 1000 steps."""
    sizes = {}
    for steps in (200, 1000):
        here.open(address(model, steps))
        seen = here.watch()
        columns = 5 + len(seen.classes)
        sizes[steps] = seen.curve_bytes * 13 / columns
    growth = sizes[1000] / sizes[200]
    return [
        figure(
            "traffic",
            "curve traffic, 200 steps, 8 classes",
            [sizes[200] / 1000],
            "kB",
            "below 40 kB",
            lambda v: v < 40,
            model=model,
        ),
        figure(
            "growth",
            "the same for 1000 steps / for 200",
            [growth],
            "",
            "at most 5 (linear)",
            lambda v: v <= 5.1,
            model=model,
        ),
    ]


def starting(repeats: int) -> Figure:
    """Measure from starting the server to a page that can be used."""
    waits = []
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for _ in range(repeats):
            begun = time.perf_counter()
            with serve() as site:
                here = Window(browser, site)
                here.open()
                waits.append(time.perf_counter() - begun)
                here.page.context.close()
        browser.close()
    return figure("start", "start of the server to a usable page", waits, "s", "below 6 s", lambda v: v < 6)
