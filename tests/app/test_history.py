"""The browser's Back and Forward, in a real browser: they bring back places, and settings are none."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.support.browser import Playground, until


def where(page: Page) -> str:
    """Return the address as the page itself has it now."""
    return str(page.evaluate("location.href"))


def says(page: Page, **parts: str) -> None:
    """Wait until the address says this (``path``: its path), and the page has come to rest."""
    path = parts.pop("path", "/")

    def there() -> bool:
        now = urlsplit(where(page))
        query = {name: values[0] for name, values in parse_qs(now.query).items()}
        return now.path == path and parts.items() <= query.items()

    until(there, f"an address with {parts}")
    page.wait_for_timeout(300)
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_attached()
    assert there(), f"the address went on to {where(page)}"


def shows(here: Playground, picture: str, attack: str, network: str = "EfficientNet-Lite0") -> None:
    """Wait until the controls show this."""
    chosen = here.page.locator(".st-key-gallery button[aria-checked=true]")
    expect(chosen).to_have_attribute("data-name", picture)
    expect(here.page.locator(".st-key-attack input")).to_have_value(attack)
    expect(here.page.locator(".st-key-model input")).to_have_value(network)


def test_back_and_forward_bring_back_picture_attack_run_and_page(playground: Playground) -> None:
    here, page = playground.open("?attack=bim&steps=4&stop=steps"), playground.page
    length = "history.length"
    before = page.evaluate(length)
    bim, pgd = "Within a budget · BIM (I-FGSM)", "Within a budget · PGD"

    page.locator(".st-key-gallery button[data-name=coffee]").click()
    says(page, image="coffee")
    run = here.run()
    here.reaches("finished")
    says(page, image="coffee", run=run)
    page.get_by_role("slider").first.press("ArrowRight")
    here.settle()
    assert page.evaluate(length) == before + 1, "a run or a setting made an entry"
    here.choose("Attack", "Within a budget · PGD")
    says(page, image="coffee", attack="pgd")
    page.get_by_role("link", name="Compare").first.click()
    says(page, path="/compare", attack="pgd")
    assert page.evaluate(length) == before + 3

    page.go_back()
    says(page, image="coffee", attack="pgd")
    shows(here, "coffee", pgd)
    page.go_back()
    says(page, image="coffee", attack="bim", run=run)
    shows(here, "coffee", bim)
    expect(here.player).to_have_attribute("data-run", run)
    page.go_back()
    says(page, image="panda", attack="bim")
    shows(here, "panda", bim)
    expect(here.part("verdict")).to_contain_text("giant panda")
    page.go_forward()
    says(page, image="coffee", attack="bim", run=run)
    shows(here, "coffee", bim)


def test_back_in_a_lesson_leads_to_the_part_and_the_photo_before(playground: Playground) -> None:
    page = playground.page
    page.goto(f"{playground.site.url}/gradient")
    says(page, path="/gradient", model="efficientnet_lite0")
    tabs = page.locator("[role=tab]")
    tabs.nth(1).click()
    says(page, path="/gradient", part="2")
    page.locator(".st-key-lesson button").filter(has_text="EfficientNet").first.click()
    box = page.get_by_role("combobox", name="Picture")
    box.fill("Coffee")
    page.get_by_role("option", name="Coffee").first.click()
    says(page, path="/gradient", part="2", image="coffee")
    page.go_back()
    until(lambda: "image=" not in where(page), "the chapter's own photo")
    says(page, path="/gradient", part="2")
    subject = page.locator(".st-key-lesson button").filter(has_text="EfficientNet").first
    expect(subject).not_to_contain_text("Coffee")
    page.go_back()
    expect(tabs.first).to_have_attribute("aria-selected", "true")
    assert "part=" not in where(page)
