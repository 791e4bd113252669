"""Every folder and environment variable of the program, looked up whenever it is asked for.

| variable | what it is |
|---|---|
| ``FOOLSCOPE_HOME`` | folder of all that the program keeps; by default ``foolscope`` in the user's cache |
| ``FOOLSCOPE_WEIGHTS`` | folders of weights put there by hand, separated as in ``PATH`` |
| ``FOOLSCOPE_DATA`` | folder of data sets |
| ``FOOLSCOPE_DEVICE`` | device that networks run on, as torch names it |
| ``FOOLSCOPE_CHROMIUM`` | browser that tests and benchmarks drive |
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parent
ASSETS = ROOT / "assets"
RESULTS = ASSETS / "results"
RUNS = ASSETS / "runs"
SAMPLES = ASSETS / "samples"
TEXT = ASSETS / "text"
LIVE = ROOT / "components" / "live" / "static"
"""The browser's files of the live view."""


def home() -> Path:
    """Return the folder of all that the program keeps: downloaded weights and data, answers."""
    named = os.environ.get("FOOLSCOPE_HOME", "")
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache else Path.home() / ".cache") / "foolscope"


def data() -> Path | None:
    """Return the folder of data sets, None where none is named."""
    named = os.environ.get("FOOLSCOPE_DATA", "")
    return Path(named) if named else None


def weights() -> tuple[Path, ...]:
    """Return the folders of weights that were put there by hand."""
    named = os.environ.get("FOOLSCOPE_WEIGHTS", "").split(os.pathsep)
    return tuple(Path(folder).expanduser() for folder in named if folder)


def device() -> str:
    """Return the device that is asked for, as torch names it, "" where none is."""
    return os.environ.get("FOOLSCOPE_DEVICE", "")


def chromium() -> str:
    """Return the path of the browser that is asked for, "" where none is."""
    return os.environ.get("FOOLSCOPE_CHROMIUM", "")
