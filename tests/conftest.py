"""Settings of the test session: a cache of its own, and the data beside the repository if there is any."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

_HOME = tempfile.mkdtemp(prefix="foolscope-tests-")
os.environ["FOOLSCOPE_HOME"] = _HOME
for _setting, _folder in (("FOOLSCOPE_WEIGHTS", "weights"), ("FOOLSCOPE_DATA", "")):
    _default = ROOT.parent / "shared" / "data" / _folder
    if _setting not in os.environ and _default.is_dir():
        os.environ[_setting] = str(_default)


def pytest_unconfigure() -> None:
    """Remove the session's cache."""
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Return a function from a name in the data folder (or ``weights/<file>``) to its path.

    The test is skipped when it is not there; continuous integration counts such a skip as a failure.
    """

    def find(name: str) -> Path:
        folder, _, file = name.partition("/")
        if folder == "weights":
            candidates = [
                Path(f) / file for f in os.environ.get("FOOLSCOPE_WEIGHTS", "").split(os.pathsep) if f
            ]
        else:
            candidates = [Path(f) / name for f in [os.environ.get("FOOLSCOPE_DATA", "")] if f]
        for path in candidates:
            if path.exists():
                return path
        pytest.skip(f"needs shared data: {name}")

    return find
