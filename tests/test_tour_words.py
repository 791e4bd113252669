"""Every word that a page shows is in the catalogue of every language, and nothing else is."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import models
from app import lessons
from components import text
from components.text import FOLDER, phrases
from engine.images import samples
from tests import voice

ROOT = Path(__file__).parents[1]
LANGUAGES = sorted(folder.name for folder in FOLDER.iterdir() if folder.name != "en")
RESULTS = sorted((ROOT / "assets" / "results").glob("*.json"))
PLACEHOLDER = re.compile(r"{(\w*)}")
NAMES = list(lessons.registry())


def trees(*layers: str) -> Iterator[ast.Module]:
    for layer in layers:
        for path in sorted((ROOT / layer).rglob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def said_literally() -> set[str]:
    """Return each phrase that stands in the code as ``say("...")``."""
    calls = (n for tree in trees("app", "components") for n in ast.walk(tree) if isinstance(n, ast.Call))
    named = (n for n in calls if getattr(n.func, "id", getattr(n.func, "attr", "")) == "say" and n.args)
    return {str(n.args[0].value) for n in named if isinstance(n.args[0], ast.Constant)}


def claimed() -> set[str]:
    return {claim for path in RESULTS for claim in json.loads(path.read_text()).get("claims", {})}


def strings(value: object) -> Iterator[str]:
    """Return every string of a result, the names of its parts too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        yield from (each for part in value.values() for each in strings(part))
    elif isinstance(value, list):
        yield from (each for part in value for each in strings(part))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_is_in_every_language(language):
    known = phrases(language)
    assert sorted(said_literally() - known.keys()) == []
    assert sorted(claimed() - known.keys()) == []
    assert all(known.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_phrase_keeps_its_placeholders(language):
    for phrase, other in phrases(language).items():
        assert set(PLACEHOLDER.findall(phrase)) == set(PLACEHOLDER.findall(other)), phrase


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_phrase_is_left_over(language):
    code = (n for tree in trees("app", "components", "experiments") for n in ast.walk(tree))
    used = {n.value for n in code if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    used |= voice.spoken()
    used |= {each for path in RESULTS for each in strings(json.loads(path.read_text()))}
    used |= {words for sample in samples().values() for words in (sample.label, sample.alt)}
    used |= {label for card in models.cards() for label in card.labels}  # what a photo shows
    assert sorted(phrases(language).keys() - used) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_files_agree_on_a_phrase(language):
    found: dict[str, str] = {}
    for path in sorted((FOLDER / language / "phrases").glob("*.json")):
        for phrase, other in json.loads(path.read_text(encoding="utf-8")).items():
            assert found.setdefault(phrase, other) == other, path.name


class Heard(dict[str, str]):
    """Phrases of Chinese; keeps in ``missing`` English words that were asked for and are not there."""

    def __init__(self, known):
        super().__init__(known)
        self.missing: set[str] = set()

    def get(self, key, default=None):
        if key not in self and re.search("[a-z]{2}", key) and not re.search("[\u4e00-\u9fff]", key):
            self.missing.add(key)
        return super().get(key, default)


@pytest.fixture
def heard(monkeypatch):
    importlib.import_module("components.player")  # which would keep the replacement for good
    found = Heard(phrases("zh"))
    monkeypatch.setattr(text, "phrases", lambda language: found)
    return found


def visit(name: str, **state: str) -> AppTest:
    app = AppTest.from_string(f"from app.lessons.{name} import render\nrender()", default_timeout=120)
    for key, value in state.items():
        app.session_state[key] = value
    return app.run()


def shown(app: AppTest) -> str:
    """Return what a page says: text, labels, and what stands for a picture."""
    spoken = (*app.markdown, *app.caption, *app.header, *app.subheader)
    parts = [str(each.value) for each in spoken]
    parts += [each.proto.body for each in app.get("html")]
    parts += [each for chart in app.get("plotly_chart") for each in strings(json.loads(chart.proto.spec))]
    widgets = ("button", "selectbox", "button_group", "select_slider", "toggle")
    parts += [str(getattr(each, "label", "")) for kind in widgets for each in app.get(kind)]
    return "\n".join(parts)


def foreign(page: str) -> list[str]:
    """Return the English sentences of a Chinese page: four words in a row, outside formulas, citations, a
    photo's credit, addresses, and the names of networks and classes."""
    page = re.sub(
        r"<small>[^<]*</small></figcaption>|出处：\[.*?\]\(.*?\)|https?://\S+|base64,[^\"]+", " ", page
    )
    page = re.sub(r"\$[^$]+\$", " ", page)
    page = re.sub(r'\b(?!alt|aria-label|title)[\w-]+="[^"]*"', " ", page)
    page = re.sub(r"</?[a-z][^>\"]*|\b(?:alt|aria-label)=", ";", page)
    names = {name for card in models.cards() for name in (card.title, *card.labels) if len(name) > 3}
    for name in sorted(names, key=len, reverse=True):
        page = page.replace(name, ";") if name in page else page
    return re.findall(r"(?:\b[A-Za-z]{2,}[ ,]+){3}[A-Za-z]{2,}", page)


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_speaks_chinese_and_formulas(name, heard):
    app = visit(name, lang="zh")
    plain = shown(app)
    app.session_state["register"] = "maths"
    formal = shown(app.run())
    assert not app.exception and not app.error
    assert text.texts(name, "zh")["story"] in plain and text.texts(name, "zh")["maths"] in formal
    assert text.texts(name, "zh")["story"] not in formal
    assert foreign(plain) == [] and foreign(formal) == []
    assert sorted(heard.missing) == []


def test_english_is_found_on_a_chinese_page():
    assert foreign("改动 of the training set only 大小") and not foreign(
        "用 FC100-100-10 网络，$a b c d$ 与 L2"
    )
    assert foreign('<img src="data:image/png;base64,AB CD" alt="The change as it is">')


@pytest.mark.parametrize("name", [name for name in NAMES if lessons.registry()[name].LAB != "Tour"])
def test_a_lesson_is_a_few_slides_without_styles_of_its_own(name):
    app = visit(name, register="maths")
    assert not app.exception
    assert 2 <= app.session_state["deck.parts"] <= 6
    assert not any("<style" in each.proto.body for each in app.get("html"))
    assert "maths" in text.texts(name) and text.texts(name)["maths"] in shown(app)


def test_a_chinese_line_break_is_not_a_space(tmp_path):
    (tmp_path / "zh").mkdir()
    (tmp_path / "zh" / "a.md").write_text(
        "# title\n一行，\n两行\n用 $x$\n写\n\n- 甲。\n- 乙\n", encoding="utf-8"
    )
    assert (
        text.texts("a", "zh", tmp_path)["title"]
        == "一行，两行\n用 $x$\n写".replace("\n用", "用") + "\n\n- 甲。\n- 乙"
    )


def test_a_picture_of_a_unit_opens_in_the_playground():
    result = json.loads((ROOT / "assets" / "results" / "units.json").read_text())
    rows = [row for key in ("units", "directions") for row in result["figures"]["families"][key]["shown"]]
    page = shown(visit("units"))
    links = re.findall(r'<a href="([^"]+)"', page)
    assert len(links) == sum(len(row["top"]) for row in rows)
    for link, index in zip(links, (i for row in rows for i in row["top"]), strict=True):
        assert f"image=digit%3Atest%3A{index}&amp;" in link and "model=lenet" in link


def test_a_drawing_is_attacked_once(monkeypatch):
    from experiments import grid

    calls: list[str] = []
    row = grid.row

    def counted(model, x):
        calls.append(model)
        return row(model, x)

    monkeypatch.setattr(grid, "row", counted)
    app = visit("any_digit").run().run()
    assert calls == ["fc100"] and not app.exception
    app.selectbox(key="any_digit.model").select("lenet").run()
    assert calls == ["fc100", "lenet"]
