"""README and docs say of attacks, networks and samples what the code says, and name what is there."""

import re
import subprocess
import sys

import pytest

from app.catalogue.tables import TABLES
from app.documents import DOCS, fill
from settings import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code() -> None:
    # In a process of its own: other tests register networks in this one.
    command = [sys.executable, "-m", "app", "docs", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr


def test_a_stale_table_is_replaced_and_the_rest_is_kept() -> None:
    text = (DOCS / "attacks.md").read_text(encoding="utf-8")
    stale = text.replace("`fgsm`", "`fgms`").replace("# Attacks", "# Attacks!", 1)
    assert "`fgms`" in stale
    new = fill("attacks", stale)
    assert "`fgms`" not in new and new.startswith("# Attacks!") and fill("attacks", new) == new


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_a_place_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"<!-- {name} -->"):
        fill(name, "# Nothing\n")


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in DOCS.glob("*.md"))])
def test_the_files_that_a_page_names_are_there(page: str) -> None:
    text, folder = (ROOT / page).read_text(encoding="utf-8"), (ROOT / page).parent
    linked = re.findall(r"\]\((?!https?:|#)([^)]+)\)", text)
    assert not [name for name in linked if not (folder / name.partition("#")[0]).exists()]
    assert linked or page not in ("README.md", "docs/adding.md")


def test_the_readme_is_short() -> None:
    assert len(README.encode()) <= 8_000


def test_the_make_targets_that_the_readme_names_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(
        re.findall(r"make ([a-z]+)", " ".join(re.findall(r"`[^`]*`|^    .*$|```.*?```", README, re.M | re.S)))
    )
    assert {"run", "test", "check", "house"} <= named
    assert not [name for name in named if not re.search(rf"^{name}:", makefile, re.M)]


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(example, {"__name__": "__main__"})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == [str(step) for step in range(11)]
