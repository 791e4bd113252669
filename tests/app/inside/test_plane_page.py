"""The tabs of the neighbourhood, the boundary and the perturbation, as a person uses them."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.support.browser import Playground, until

COLOURS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const seen = new Set();
  for (let at = 0; at < data.length; at += 4 * 97) {
    if (data[at + 3]) seen.add([0, 1, 2].map((i) => data[at + i] >> 5).join());
  }
  return seen.size;
}"""


def whole(text: str) -> int:
    return int(text.replace(",", ""))


def test_a_plane_is_drawn_dragged_and_refined_and_the_other_tabs_answer(
    visitor: Callable[..., Playground],
) -> None:
    here = visitor().open("?model=photos&image=dog&attack=bim&steps=4&stop=steps")
    here.run()
    here.reaches("finished")
    here.part("inside").locator("summary").click()
    here.part("inside-plane").click()
    counts = here.part("plane-counts").first
    expect(counts).to_have_text(re.compile("^64 × 64 squares"))
    asked, filled = map(whole, re.findall(r"([\d,]+) (?:corners|filled)", counts.inner_text()))
    assert asked + filled == 65 * 65 and 81 <= asked < 2000
    legend = here.part("plane-legend").first
    names = legend.locator("span").all_inner_texts()
    assert "dog" in names and len(names) > 1
    canvas = here.part("plane-canvas").first
    assert canvas.evaluate(COLOURS) > 3
    expect(canvas).to_have_attribute("aria-label", re.compile("dog"))

    before = legend.inner_text()
    canvas.focus()
    here.page.keyboard.press("ArrowLeft")  # moves the plane and not the run
    until(lambda: legend.inner_text() not in ("", before), "another window")
    assert here.fact("step") == "4"
    here.part("plane-second").select_option("photos_robust")
    expect(here.part("plane-counts")).to_have_count(2)
    expect(here.part("plane-counts").nth(1)).to_have_text(re.compile("^64 × 64 squares"))
    canvas.hover(position={"x": 40, "y": 40})
    expect(here.part("plane-pointer")).to_have_text(re.compile(r"^At \(.*%"))

    here.part("inside-boundary").click()
    expect(here.part("boundary-straight")).to_contain_text("R²")
    expect(here.part("boundary-ratio")).to_contain_text("random directions")

    here.part("inside-made-of").click()
    expect(here.part("made-of-bands").locator("tr")).to_have_count(6)
    expect(here.part("made-of-verdict")).to_contain_text("this part alone")
    first = here.part("made-of-filtered").get_attribute("src")
    here.page.get_by_label("Lowest frequency").fill("0.5")
    until(lambda: here.part("made-of-filtered").get_attribute("src") != first, "another band")

    here.part("inside-people").click()
    expect(here.part("people-ssim")).to_contain_text(re.compile(r"\.\d{3}"))
    here.part("people-twin").click()
    expect(here.part("people-twins").locator("figure")).to_have_count(2)
    assert here.complaints == []
