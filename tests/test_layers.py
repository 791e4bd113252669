"""The shape of the code: who may import whom, and where streamlit, threads and the device may appear."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings import ROOT

MAY_IMPORT = {
    "app": {"app", "components", "experiments", "engine", "attacks", "models"},
    "components": {"components", "experiments", "engine", "attacks", "models"},
    "experiments": {"experiments", "engine", "attacks", "models"},
    "engine": {"engine", "attacks", "models"},
    "attacks": {"attacks"},
    "models": {"models"},
}
BROWSER, DEVICE = {"streamlit", "plotly"}, {"cuda", "device", "mps"}
THREADS = {"Thread", "Timer", "Process", "ThreadPoolExecutor", "ProcessPoolExecutor"}
FILES = sorted(path.relative_to(ROOT) for layer in MAY_IMPORT for path in (ROOT / layer).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide their layer"
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_file_keeps_to_its_layer(file: Path) -> None:
    layer, text = file.parts[0], (ROOT / file).read_text(encoding="utf-8")
    tree = ast.parse(text)
    names = set(imported(tree))
    assert not names & (MAY_IMPORT.keys() - MAY_IMPORT[layer]), f"{layer} imports to the left"
    assert layer in ("app", "components") or not names & BROWSER
    spoken = {getattr(node, "attr", None) or getattr(node, "id", None) for node in ast.walk(tree)}
    torch = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_torch(node.value)}
    assert layer == "engine" or not (spoken & THREADS or torch & DEVICE), "only the engine owns these"
    assert file.stem not in ("utils", "common", "helpers", "misc")


def test_no_papers_experiments_import_another_papers() -> None:
    for file in FILES:
        if file.parts[0] == "experiments" and len(file.parts) == 3 and file.parts[1][-4:].isdigit():
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            papers = {module.split(".")[1] for module in modules if module.startswith("experiments.")}
            assert not {paper for paper in papers if paper[-4:].isdigit()} - {file.parts[1]}, file


def is_torch(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "torch"


def test_functions_are_short() -> None:
    trees = [ast.parse((ROOT / file).read_text(encoding="utf-8")) for file in FILES]
    functions = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    lengths = sorted((n.end_lineno or n.lineno) - n.lineno + 1 for n in functions)
    assert lengths[len(lengths) * 9 // 10] <= 25


def test_no_merge_was_left_half_done() -> None:
    """A conflict's marks are invisible in a style sheet: the browser drops what follows."""
    named = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    kinds = (".py", ".js", ".css", ".md", ".json", ".toml", ".yml")
    texts = [ROOT / line for line in named.splitlines() if line.endswith(kinds)]
    marks = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
    marked = [path for path in texts if path.is_file() and marks.search(path.read_text("utf-8"))]
    assert len(texts) > 100 and not marked


def test_the_frame_of_a_page_does_not_wait_for_torch() -> None:
    """The server answers and draws its frame while torch, which takes seconds, is imported beside it."""
    modules = "app.routes, app.service, app.lessons, app.waiting, components.display.theme, "
    modules += "components.i18n.streamlit_labels, components.i18n.text, components.lesson.navigation"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
