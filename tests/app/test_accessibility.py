"""axe-core, which knows the rules of WCAG 2.1, A and AA, finds no fault on any page, in light and in dark."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Literal

from playwright.sync_api import expect

from app import lessons
from components.i18n.text import texts
from tests.support.browser import Playground

Scheme = Literal["light", "dark"]
WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
CONTRAST = ["color-contrast"]
"""The one rule for which the scheme matters."""
STILL = "*, ::before, ::after { transition: none !important; animation: none !important; }"
RUN = """async (rules) => {
  const { violations } = await axe.run(document, { runOnly: rules, resultTypes: ["violations"] });
  const told = ({ html, failureSummary }) => `${html.slice(0, 120)} ${failureSummary}`;
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${told(node)}`));
}"""
GO = "path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')); }"
PAPER = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"


class Inspector:
    """A window whose pages are looked at in both schemes; ``faults`` by what was looked at."""

    def __init__(self, here: Playground) -> None:
        self.here, self.faults = here, dict[str, list[str]]()
        self.patience = 3000.0
        here.page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
        here.page.add_style_tag(content=STILL)
        self.paper = here.page.evaluate(PAPER)

    def go(self, path: str, heading: str) -> None:
        """Turn to another page as the browser's Back and Forward do, which loads nothing anew."""
        self.here.page.evaluate(GO, path)
        title = self.here.page.get_by_role("heading", name=heading, exact=True, level=2)
        expect(title.first).to_be_visible()

    def look(self, name: str) -> None:
        """Look at what is on the screen: all of it in one scheme, what depends on the scheme in the other."""
        self.here.settle()
        self.faults[name] = self._check(WCAG)
        before = self.here.page.evaluate(PAPER)
        scheme: Scheme = "dark" if before == self.paper else "light"
        self.here.page.emulate_media(color_scheme=scheme)
        self.here.page.wait_for_function(f"{PAPER} !== '{before}'")
        self.here.settle()
        self.faults[f"{name}, {scheme}"] = self._check(CONTRAST)

    def faulty(self) -> dict[str, list[str]]:
        """Return the faults of what has any."""
        return {name: faults for name, faults in self.faults.items() if faults}

    def _check(self, rules: object) -> list[str]:
        """Return the faults that stay for ``patience`` milliseconds: a view that is still being drawn has no
        words yet."""
        faults: list[str] = self.here.page.evaluate(RUN, rules)
        if faults:
            self.here.page.wait_for_timeout(self.patience)
            faults = self.here.page.evaluate(RUN, rules)
        return faults


def test_no_page_has_a_fault(visitor: Callable[..., Playground]) -> None:
    here = visitor(color_scheme="light").open("?attack=bim&steps=3&stop=steps&target=pizza+or+pasta")
    inspector = Inspector(here)
    inspector.look("playground, with a refusal")
    here.run()
    here.reaches("finished")
    inspector.look("playground, after a run")
    here.page.get_by_role("link", name="Compare", exact=True).first.click()
    expect(here.page.locator("[data-test=compare][data-over]")).to_be_visible()  # the race that ships
    assert "runs=" not in here.page.url
    inspector.look("compare")
    inspector.go("/catalogue", "PGD")
    inspector.look("catalogue")
    inspector.go("/my_runs", "My runs")
    inspector.look("my runs")
    assert len(inspector.faults) == 2 * 5
    assert inspector.faulty() == {}


def test_no_lesson_has_a_fault(visitor: Callable[..., Playground]) -> None:
    here = visitor(color_scheme="light")
    first, *others = lessons.registry()
    here.page.goto(f"{here.site.url}/{first}")
    expect(here.page.get_by_role("heading", name=texts(first)["title"], exact=True).first).to_be_visible()
    inspector = Inspector(here)
    inspector.look(first)
    for name in others:
        inspector.go(f"/{name}", texts(name)["title"])
        inspector.look(name)
    assert len(inspector.faults) == 2 * len(lessons.registry())
    assert inspector.faulty() == {}

    here.page.add_style_tag(content=".st-key-lesson p { color: #aaa !important; }")
    inspector.patience = 0
    inspector.look("a fault")
    light_or_dark = [*inspector.faults["a fault"], *inspector.faults[list(inspector.faults)[-1]]]
    assert "color-contrast: " in light_or_dark[0], "it would have been found"
