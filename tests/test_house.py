"""The counts of ``make house`` stay where they are, or better."""

from __future__ import annotations

import ast
from pathlib import Path

from bench import house

CODE = """
import json
def f(figures: "Any", n: int) -> dict[str, Any]:
    from math import pi
    found = figures["rows"]["noise"]
    return found[0]
"""


def test_the_house_is_in_order() -> None:
    counts = house.count()
    assert counts.short_functions >= 90 and counts.longest_function <= 45
    assert counts.string_subscripts < 100
    assert counts.late_imports < 30
    assert counts.untyped_signatures < 10
    assert counts.single_use_modules <= 5
    assert counts.norms_by_string < 3
    assert counts.old_words <= 30


def test_what_is_counted_is_seen() -> None:
    tree = ast.parse(CODE)
    (function,) = house.functions(tree)
    assert house.lines(function) == 4 and house.untyped(function)
    assert house.string_subscripts(tree) == 2 and house.late_imports(tree) == 1 and house.old_words(tree) == 1


def test_a_norm_named_by_its_string_is_seen() -> None:
    assert house.names_a_norm(ast.parse('norm = "l2"')) and not house.names_a_norm(
        ast.parse("norm = L2.name")
    )


def test_a_module_that_one_other_uses_from_elsewhere_is_seen(tmp_path: Path) -> None:
    for name, text in {"app/page.py": "from components import bar", "components/bar.py": ""}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    trees = {path: ast.parse(path.read_text()) for path in tmp_path.rglob("*.py")}
    assert house.single_use(trees, tmp_path) == ["components.bar"]
