"""The report: one file that needs nothing else, says what was computed, and escapes what it is given."""

from __future__ import annotations

import ast
import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import attacks
import models
from components.i18n.text import phrases
from components.take_home.voice import voice
from engine import checks
from engine.render import to_image
from engine.run import Run
from engine.sharing import report_page
from engine.sharing.voice import percent
from settings import ROOT

AT = "https://school.example/course/"


class Page(HTMLParser):
    """What a page holds: its elements, and its text without style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._styled = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._styled = tag == "style"

    def handle_endtag(self, tag):
        self._styled = False

    def handle_data(self, data):
        if not self._styled and data.strip():
            self.words.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def report(panda):
    return report_page.page(panda, AT)


def test_it_loads_nothing(report):
    page = Page(report)
    assert not [tag for tag, _ in page.elements if tag in ("script", "link", "iframe", "object", "base")]
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert "url(" not in report and "@import" not in report and "default-src 'none'" in report
    loaded = {name for _, attributes in page.elements for name in attributes if name in ("src", "srcset")}
    assert loaded == {"src"}


def test_its_pictures_are_the_runs(panda, report):
    files = [image["src"].partition(",")[2] for image in Page(report).all("img")]
    original, change, attacked = (Image.open(io.BytesIO(base64.b64decode(file))) for file in files)
    assert original.convert("RGB").tobytes() == to_image(panda.picture(0)).tobytes()
    assert attacked.convert("RGB").tobytes() == to_image(panda.picture(len(panda) - 1)).tobytes()
    assert change.size == original.size and np.asarray(change).std() > 10


def test_it_says_what_was_computed(panda, report):
    words, last = Page(report).words, len(panda) - 1
    for step in (0, last):
        for answer in panda.top(step):
            assert answer.label in words and percent(answer.probability) in words
    assert f"{255 * panda.figures(last)['linf']:.3g}/255" in words
    assert f"The network is fooled. {panda.sentence()}" in words
    assert f"{panda.gradient_evaluations:,}" in words


def test_a_figure_that_is_not_known_is_left_out(panda, short, report):
    """The run that ships was written before values were counted."""
    assert panda.figures(len(panda) - 1)["l0"] is None and "Values that changed" not in report
    changed = short.figures(10)["l0"] / short.start.size
    words = Page(report_page.page(short)).words
    assert words[words.index("Values that changed") + 1] == percent(changed)


def test_it_names_its_sources_and_the_way_back(panda, report):
    links = {link["href"] for link in Page(report).all("a")}
    attack, card = attacks.get(panda.recipe.attack).card, models.card(panda.recipe.model)
    assert {attack.url, card.paper} <= links and attack.paper in report and card.weights.sha256[:16] in report
    (back,) = [link for link in links if link.startswith(AT)]
    assert f"run={panda.id}" in back and "target=vulture" in back
    assert not [a for a in Page(report_page.page(panda)).all("a") if "run=" in a["href"]]


def test_the_curve_is_drawn_from_every_line(panda, report):
    lines = re.findall(r'<polyline class="(\w+) n\d" points="([^"]+)"', report)
    assert [role for role, _ in lines][-2:] == ["original", "goal"]
    heights = [float(point.split(",")[1]) for point in lines[-1][1].split()]
    assert len(heights) == len(panda) and heights[0] > heights[-1] + 100


def test_findings_are_told(panda):
    wide = replace(panda.recipe, params={**panda.recipe.params, "epsilon": 0.9})
    run = Run(wide, panda.labels, panda.start, panda.original, panda.total)
    deltas = {0: panda.delta(0).astype(np.float16), 100: panda.delta(100).astype(np.float16)}
    run.restore(panda.log_p(0, 101), panda.scalars(0, 101), deltas, panda.classes)
    run.set_status("finished", "steps")
    (finding,) = checks.findings(run)
    page = report_page.page(run)
    assert finding.means in page and finding.url in page


def test_markup_in_labels_is_escaped(short):
    labels = ("<script>alert(1)</script>", *short.labels[1:])
    run = Run(short.recipe, labels, short.start, 0, short.total)
    count = len(short)
    run.restore(short.log_p(0, count), short.scalars(0, count), {0: short.delta(0), 10: short.delta(10)}, [0])
    run.set_status("finished", "steps")
    page = report_page.page(run)
    assert "<script" not in page and "&lt;script&gt;" in page


def test_every_phrase_of_the_files_is_known_in_chinese():
    known, spoken = phrases("zh"), set()
    for path in (ROOT / "engine" / "sharing").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", getattr(node.func, "attr", "")) == "say"
            ):
                spoken |= {str(node.args[0].value)} if isinstance(node.args[0], ast.Constant) else set()
    assert len(spoken) > 30 and sorted(spoken - known.keys()) == []


def test_it_speaks_chinese(panda):
    page = Page(report_page.page(panda, AT, voice("zh")))
    (root,) = page.all("html")
    assert root["lang"] == "zh-Hans" and "大熊猫 → 秃鹫" in page.words
    assert "网络被骗过了。 全部 100 步已完成。" in page.words
    (back,) = [link["href"] for link in page.all("a") if link["href"].startswith(AT)]
    assert back.endswith("&lang=zh")


@pytest.mark.parametrize(
    ("p", "text"),
    [(0, "0 %"), (1e-6, "< 0.1 %"), (0.004, "0.4 %"), (0.55, "55 %"), (0.9962, "99.6 %"), (1.0, "100 %")],
)
def test_a_probability_is_read_easily(p, text):
    assert percent(p) == text
