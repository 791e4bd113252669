"""Settings of the test session: a cache of its own, and the data beside the repository if there is any."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).parents[1]
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
sys.path.insert(0, str(ROOT))
pytest_plugins = [
    "tests.support.browser",
    "tests.support.file_server",
    "tests.support.hub_server",
    "tests.support.attack_contract",
    "tests.support.postgresql",
]

LONG = (
    "deploy/test_proxy.py",
    "models/test_training.py",
    "models/test_caffe_exact.py",
    "engine/admission/test_files.py",
    "engine/admission/test_admit.py",
    "engine/admission/test_hubs.py",
    "engine/history/test_history.py",
    "engine/history/test_faults.py",
    "engine/history/test_pictures.py",
    "engine/history/test_postgresql.py",
    "engine/rooms/test_archive.py",
    "engine/sharing/test_script.py",
    "experiments/test_ilyas2019_features.py",
    "models/added/test_torchvision.py",
    "test_adding.py",
)
"""Files of few tests that take longest of those without a browser: see `pytest_collection_modifyitems`."""

_HOME = tempfile.mkdtemp(prefix="foolscope-tests-")
os.environ["FOOLSCOPE_HOME"] = _HOME
for _setting, _folder in (("FOOLSCOPE_WEIGHTS", "weights"), ("FOOLSCOPE_DATA", "")):
    _default = ROOT.parent / "shared" / "data" / _folder
    if _setting not in os.environ and _default.is_dir():
        os.environ[_setting] = str(_default)


def pytest_unconfigure() -> None:
    """Remove the session's cache."""
    shutil.rmtree(_HOME, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with a server first, which have browsers or Ray, then those that are `LONG`, then those
    with the most tests: whole files are given to processes in this order, and what is long must not be left
    for the end, when the other processes are idle."""
    served = {
        item.path
        for item in items
        if {"site", "window_maker", "ray"} & set(getattr(item, "fixturenames", ()))
    }
    first = served | {ROOT / "tests" / name for name in LONG}
    counts = Counter(item.path for item in items)
    items.sort(
        key=lambda item: (item.path not in served, item.path not in first, -counts[item.path], item.path)
    )


def pytest_collection_finish() -> None:
    """Leave out what takes long and what only its own tests look at.

    Streamlit looks once for components in all installed packages, not again for every page that a test opens,
    which took longer than the page. Networks run in the layout of the rule, which is the same every time:
    ``test_placement.py`` has them measured.
    """
    if "streamlit.testing.v1" in sys.modules:
        from tests.support.components import look_once

        look_once()
    if "engine.placement" in sys.modules:
        from engine import placement

        placement.SECONDS = 0.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count a test that lacks something as failed in continuous integration."""
    return _strict((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Count a file that lacks something as failed in continuous integration."""
    return _strict((yield))


def _strict(report: Report) -> Report:
    reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
    if os.environ.get("CI") and report.skipped and reason.startswith(("needs ", "could not import ")):
        report.outcome = "failed"
        report.longrepr = f"skipped, which continuous integration does not allow: {reason}"
    return report


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
