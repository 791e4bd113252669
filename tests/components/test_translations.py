"""Every word that a page shows is in the catalogue of every language, and nothing else is."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

import attacks
import experiments
import models
from app import lessons
from bench import translations
from components.display import attack_families
from components.i18n import text
from components.i18n.text import phrases
from components.lesson import stage_titles
from engine.images.sources import samples
from errors import BadSetting, UnknownName
from settings import ROOT, TEXT
from tests.support import live_phrases

LANGUAGES = sorted(folder.name for folder in TEXT.iterdir() if folder.name != "en")
RESULTS = sorted((ROOT / "assets" / "results").glob("*.json"))
PLACEHOLDER = re.compile(r"{(\w*)}")
NAMES = list(lessons.registry())
FEW = 25
"""So many phrases may be in English only."""


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
    """All but a few: who adds an attack or an experiment need not know every language."""
    missing = translations.missing(language)
    assert sum(map(len, missing.values())) <= FEW, f"make translations lists them: {missing}"
    assert all(phrases(language).values())
    assert set(attack_families.FAMILIES.values()) <= phrases(language).keys()


def test_what_is_missing_is_listed_and_shown_in_english(monkeypatch, capsys):
    known = dict(phrases("zh"))
    for phrase in ("Run", attacks.get("pgd").card.summary):
        del known[phrase]
    monkeypatch.setattr(translations, "phrases", lambda language: known)
    translations.main()
    listed = capsys.readouterr().out
    assert "zh  pages: Run\n" in listed and f"zh  attack pgd: {attacks.get('pgd').card.summary}" in listed
    monkeypatch.setattr(text, "phrases", lambda language, **_: known)
    monkeypatch.setattr("components.i18n.preferences.language", lambda: "zh")
    assert text.say("Run") == "Run" and text.say("Compare") != "Compare"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_phrase_keeps_its_placeholders(language):
    for phrase, other in phrases(language).items():
        assert set(PLACEHOLDER.findall(phrase)) == set(PLACEHOLDER.findall(other)), phrase


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_phrase_is_left_over(language):
    code = (n for tree in translations.trees("app", "components", "experiments") for n in ast.walk(tree))
    used = {n.value for n in code if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    used |= {lesson.menu for lesson in lessons.registry().values()}
    used |= (
        live_phrases.of_rooms()
        | live_phrases.of_inside()
        | live_phrases.spoken()
        | live_phrases.compared()
        | refusals()
        | translations.recorded()
    )
    used |= {
        words
        for name in attacks.registry()
        for words in (*translations.of_attack(name), attacks.get(name).card.title)
    }
    used |= {words for name in experiments.registry() for words in translations.of_stages(name)}
    used |= {each for path in RESULTS for each in strings(json.loads(path.read_text()))}
    used |= {words for sample in samples().values() for words in (sample.label, sample.alt)}
    assert sorted(phrases(language).keys() - used) == []


def test_a_piece_is_called_by_titles():
    assert stage_titles.called("made random fc10_1 0-250") == "made random FC10 (decay 1) 0-250"
    assert stage_titles.called("photos | cat | 2") == "Everyday photos | Cat | 2"


def refusals() -> set[str]:
    """Return every string of the layers that refuse what a reader asks for."""
    every = [
        *translations.trees("engine", "attacks", "models"),
        ast.parse((ROOT / "errors.py").read_text("utf-8")),
    ]
    nodes = (node for tree in every for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {node.value for node in nodes if isinstance(node.value, str)}


def test_a_refusal_with_facts_is_said_in_chinese(monkeypatch):
    monkeypatch.setattr("components.i18n.preferences.language", lambda: "zh")
    with pytest.raises(BadSetting) as caught:
        attacks.get("bim").parse({"steps": "-3"})
    assert str(caught.value) == "Expected steps to be a whole number from 0 to 10,000, got “-3.0”."
    assert text.told(caught.value) == "steps 应为 0 到 10,000 之间的整数；得到的是“-3.0”。"
    assert "没有名为“nonsense”的网络" in text.told(UnknownName.of("model", "nonsense", models.registry()))
    assert text.told(UnknownName("It {broke}.")) == "It {broke}."


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_files_agree_on_a_phrase(language):
    found: dict[str, str] = {}
    for path in sorted((TEXT / language / "phrases").glob("*.po")):
        for phrase, other in text.catalogue(path).items():
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
    for name in ("live.compare", "lesson.stage_titles", "live.player"):  # they keep what they import
        importlib.import_module(f"components.{name}")
    found = Heard(phrases("zh"))
    monkeypatch.setattr(text, "phrases", lambda language: found)
    return found


def visit(name: str, **state: str) -> AppTest:
    app = AppTest.from_string(
        f"from app import lessons\nlessons.registry()[{name!r}].render()", default_timeout=120
    )
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


def asked(app: AppTest) -> str:
    """Return what a page's controls say: labels, helps, choices and hints, and what a component is told."""
    found = []
    kinds = ("selectbox", "multiselect", "slider", "select_slider", "toggle", "number_input", "file_uploader")
    for each in (e for kind in (*kinds, "button", "button_group", "expandable") for e in app.get(kind)):
        proto = each.proto
        found += [str(getattr(proto, name, "")) for name in ("label", "help", "placeholder")]
        choices = getattr(proto, "options", [])
        found += [str(getattr(choice, "content", choice)) for choice in choices]
    told = [json.loads(each.proto.json)[0] for each in app.get("bidi_component")]
    hints = [str(each.get(name, "")) for each in told for name in ("hint", "label")]
    return "\n".join([*found, *hints, *(str(each.value) for each in (*app.error, *app.warning))])


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


@pytest.mark.parametrize("name", [name for name in NAMES if lessons.registry()[name].menu != "Tour"])
def test_a_lesson_is_a_few_slides_without_styles_of_its_own(name):
    app = visit(name, register="maths")
    assert not app.exception
    assert 2 <= app.session_state["deck_parts"] <= 6
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
    from experiments.szegedy2013 import grid

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


MARKS = "。？！：；，、）”》“（《"


def unbold(text: str) -> list[str]:
    """Return the marks of emphasis that Markdown does not see: next to punctuation on their inner side, with
    neither space nor punctuation on the outer."""
    found = re.finditer(r"(\*\*?)(?=\S)([^*]+?)(?<=\S)\1(?!\*)", text)
    return [
        each[0]
        for each in found
        for inner, outer in (
            (each[2][-1], text[each.end() : each.end() + 1] or " "),
            (each[2][0], text[each.start() - 1] if each.start() else " "),
        )
        if inner in MARKS and not outer.isspace() and outer not in MARKS
    ]


def test_emphasis_next_to_chinese_punctuation_is_seen():
    for path in [*(TEXT / "zh").glob("*.md"), *(TEXT / "zh" / "phrases").glob("*.po")]:
        assert unbold(path.read_text(encoding="utf-8")) == [], path.name
    assert unbold("**一步。**在") == ["**一步。**"] and unbold("说**“猫”**。") == ["**“猫”**"]
    assert not unbold("**一步。** 在") and not unbold("说“**猫**”。") and not unbold("*黑色*走到")
