"""The shape of the code: who may import whom, and where streamlit, threads and the device may appear."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
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


def parsed(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def imported(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide their layer"
            yield (node.module or "").split(".")[0]


def faults(file: Path, layer: str) -> Iterator[str]:
    """Yield what is wrong with a file of a layer."""
    nodes = list(ast.walk(parsed(file)))
    names = set(imported(nodes))
    if names & (MAY_IMPORT.keys() - MAY_IMPORT[layer]):
        yield f"{file}: {layer} imports to the left"
    if layer not in ("app", "components") and names & BROWSER:
        yield f"{file}: only pages know the browser"
    spoken = {getattr(node, "attr", None) or getattr(node, "id", None) for node in nodes}
    torch = {node.attr for node in nodes if isinstance(node, ast.Attribute) and is_torch(node.value)}
    if layer != "engine" and (spoken & THREADS or torch & DEVICE):
        yield f"{file}: only the engine owns threads and the device"
    if file.stem in ("utils", "common", "helpers", "misc"):
        yield f"{file}: its name says nothing"


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_files_keep_to_their_layer(layer: str) -> None:
    files = [file for file in FILES if file.parts[0] == layer]
    assert len(files) > 10 and not [fault for file in files for fault in faults(file, layer)]


def test_a_file_that_leaves_its_layer_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "utils.py"
    file.write_text("import app, streamlit, torch\ntorch.cuda.init()\n", encoding="utf-8")
    assert len(list(faults(file, "attacks"))) == 4


def test_no_papers_experiments_import_another_papers() -> None:
    for file in FILES:
        if file.parts[0] == "experiments" and len(file.parts) == 3 and file.parts[1][-4:].isdigit():
            modules = {
                node.module or "" for node in ast.walk(parsed(file)) if isinstance(node, ast.ImportFrom)
            }
            papers = {module.split(".")[1] for module in modules if module.startswith("experiments.")}
            assert not {paper for paper in papers if paper[-4:].isdigit()} - {file.parts[1]}, file


def is_torch(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "torch"


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
