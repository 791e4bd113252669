"""Every lesson draws itself from its texts and its results, and its numbers are those of the results."""

from __future__ import annotations

import re

import pytest
from streamlit.testing.v1 import AppTest

import experiments
from app import lessons
from components.display import comparison_table
from components.i18n.text import texts
from errors import UnknownName
from settings import ROOT, TEXT

NAMES = list(lessons.registry())


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_draws_itself_and_has_as_many_parts_as_titles_in_every_language(name):
    app = AppTest.from_string(
        f"from app import lessons\nlessons.registry()[{name!r}].render()", default_timeout=120
    ).run()
    assert not app.exception and not app.error
    said = texts(name)
    assert app.header[0].value == said["title"]
    whole = "\n".join(each.value for each in app.markdown)
    assert f"**{said['lead']}**" in whole
    assert app.session_state["deck_parts"] == len(titles(name)) == len(titles(name, "zh"))


def titles(name: str, language: str = "en") -> list[str]:
    """Return what the parts of a lesson are called."""
    return re.findall(r"^- (.+)$", texts(name, language)["parts"], re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_is_written_in_every_language(name):
    assert lessons.registry()[name].menu
    said = texts(name)
    assert {"title", "lead", "story", "maths"} <= said.keys()
    for language in TEXT.iterdir():
        assert (language / f"{name}.md").is_file(), language.name
        assert texts(name, language.name).keys() == said.keys(), language.name
        assert all(texts(name, language.name).values())


def test_every_experiment_is_in_a_lesson():
    """What can be computed can be seen: each experiment's class appears in a lesson."""
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "app" / "lessons").rglob("*.py"))
    kinds = experiments.registry().values()
    missing = [kind.__name__ for kind in kinds if not re.search(rf"\b{kind.__name__}\b", sources)]
    assert not missing


def test_an_unknown_lesson_has_no_texts():
    with pytest.raises(UnknownName, match="lesson"):
        texts("nothing")


def page():
    from components.display import comparison_table
    from engine.intervals import Estimate

    comparison_table.claims({"It holds.": True, "It <fails>.": False})
    found = Estimate(0.05, 0.04, 0.06, 100)
    one = comparison_table.cell(found, published=0.058, recalled=True, scale=100, unit=" %")
    other = comparison_table.cell(found, published=0.2, href="playground?model=a&b=c")
    comparison_table.beside(["Net", "Error"], [["A", one], ["B", other]])


def test_claims_and_tables_say_what_they_were_given():
    app = AppTest.from_function(page).run()
    assert not app.exception
    html = "\n".join(each.proto.body for each in app.get("html"))
    assert 'class="holds"' in html and "It &lt;fails&gt;." in html and 'class="fails"' in html
    assert "5 % <small>(4 % to 6 %)</small><br><small>= recalled 5.8 %" in html
    assert 'class="differs"><a href="playground?model=a&amp;b=c"' in html and "≠ 0.2" in html


def test_a_cell_agrees_by_interval_or_by_a_fifth():
    assert comparison_table.Cell(1.0, 0.5, 1.5, published=0.6).agrees
    assert (
        comparison_table.Cell(1.0, published=1.2).agrees
        and comparison_table.Cell(1.0, published=0.7).agrees is False
    )
    assert comparison_table.Cell(1.0).agrees is None
