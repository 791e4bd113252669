"""axe-core, which knows the rules of WCAG 2.1, A and AA, finds no fault on any page, in light and in dark."""
# ruff: noqa: F811  (fixtures are imported by name)

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import pytest
from playwright.sync_api import expect

from app import lessons
from components.text import texts
from tests.browser import Playground, site, visitor, window_maker  # noqa: F401

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
SCHEMES = {
    "light": {"type": "tag", "values": TAGS},
    "dark": ["color-contrast"],  # nothing else depends on the scheme
}
STILL = "*, ::before, ::after { transition: none !important; animation: none !important; }"
RUN = """async (rules) => {
  const { violations } = await axe.run(document, { runOnly: rules, resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 120)} ${failureSummary}`));
}"""
GO = "path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')); }"


def go(here: Playground, path: str, heading: str) -> None:
    """Turn to another page as the browser's Back and Forward do, which loads nothing anew."""
    here.page.evaluate(GO, path)
    expect(here.page.get_by_role("heading", name=heading, exact=True, level=2).first).to_be_visible()
    here.settle()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_page_has_a_fault(visitor: Callable[..., Playground], scheme: str) -> None:
    here = visitor(color_scheme=scheme).open("?attack=bim&steps=3&stop=steps&target=pizza+or+pasta")
    here.page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    here.page.add_style_tag(content=STILL)
    faults: dict[str, list[str]] = {}

    def look(name: str) -> None:
        faults[name] = here.page.evaluate(RUN, SCHEMES[scheme])

    look("playground, with a refusal")
    here.run()
    here.reaches("finished")
    look("playground, after a run")
    here.page.get_by_role("link", name="Compare", exact=True).first.click()
    expect(here.page.locator("[data-test=compare][data-over]")).to_be_visible()
    here.settle()
    look("compare")
    go(here, "/catalogue", "PGD")
    look("catalogue")
    for name in lessons.registry():
        go(here, f"/{name}", texts(name)["title"])
        look(name)
    assert len(faults) == 4 + len(lessons.registry())
    assert {name: found for name, found in faults.items() if found} == {}


def test_a_fault_is_found(visitor: Callable[..., Playground]) -> None:
    here = visitor().open()
    here.page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    here.page.add_style_tag(content=".foolscope .line { color: #bbb !important; }")
    here.player.evaluate("player => player.style.setProperty('--quiet', '#ccc')")
    found = here.page.evaluate(RUN, SCHEMES["light"])
    assert found and all(fault.startswith("color-contrast") for fault in found)
