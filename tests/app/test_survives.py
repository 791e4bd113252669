"""What a picture survives, in a real browser: a version is made, and both are shown."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.browser import Playground

LINK = "?model=lenet&image=seven&attack=fgsm&epsilon=0.2&target=any&stop=steps"


def test_a_version_that_survives_is_made_and_stands_beside_the_first(playground: Playground) -> None:
    here = playground.open(LINK)
    here.run()
    here.reaches("finished")
    panel = here.page.locator(".st-key-take_home_playground")
    panel.locator("button", has_text="What it survives").click()
    rows = panel.locator(".asked.survives tbody tr")
    expect(rows).to_have_count(13)
    expect(panel.locator(".asked.networks tbody tr").first).to_contain_text("attacked")
    expect(rows.first.locator("td")).to_have_count(3)
    panel.get_by_role("button", name="Make it", exact=True).click()
    expect(rows.first.locator("td")).to_have_count(4)
    expect(rows.last.locator("td").last).to_contain_text(re.compile(r"linf 64/255\s*l2 \d"))
    link = panel.get_by_role("link", name="Open this run in the playground").get_attribute("href") or ""
    assert "survives=jpeg75" in link and "run=" in link
    here.page.goto(here.page.url.split("?")[0] + link.removeprefix("./"))
    here.reaches("finished")
    assert here.fact("run") in link
