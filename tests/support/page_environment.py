"""An environment with what requirements-page.txt names, and nothing else: neither torch nor ray."""

from __future__ import annotations

import re
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

import settings

NAMED = settings.ROOT / "requirements-page.txt"


def make(folder: Path) -> Path:
    """Make the environment of links to what is installed here, and return its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    for package in needed():
        for entry in _entries(package):
            link = site / entry.name
            if not link.exists():
                link.symlink_to(entry)
    return python


def needed() -> list[Distribution]:
    """Return the installed packages that the file names, and what these need."""
    lines = [line for line in NAMED.read_text().splitlines() if line and not line.startswith(("#", "-"))]
    waiting, known = [Requirement(line) for line in lines], dict[str, Distribution]()
    while waiting:
        requirement = waiting.pop()
        name = _plain(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if name in known or not applies:
            continue
        known[name] = distribution(requirement.name)
        waiting += [Requirement(text) for text in known[name].requires or ()]
    return list(known.values())


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _entries(package: Distribution) -> list[Path]:
    """Return what a package has put at the top of site-packages."""
    tops = {file.parts[0] for file in package.files or () if file.parts[0] != ".."}
    root = Path(str(package.locate_file("")))
    return [root / top for top in tops if top != "__pycache__" and (root / top).exists()]
