"""What lessons say, in one Markdown file for each lesson and language: ``assets/text/en/NAME.md``.

A line ``# key`` begins the text called ``key``; what follows, up to the next such line, is the text.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from errors import UnknownName

FOLDER = Path(__file__).parents[1] / "assets" / "text"


@cache
def texts(name: str, language: str = "en", folder: Path = FOLDER) -> dict[str, str]:
    """Return the texts of the lesson ``name`` by key; raises `errors.UnknownName` for another lesson."""
    path = folder / language / f"{name}.md"
    if not path.is_file():
        raise UnknownName.of("lesson", name, [each.stem for each in sorted((folder / language).glob("*.md"))])
    parts = re.split(r"^# (\w+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {key: text.strip() for key, text in zip(parts[1::2], parts[2::2], strict=True)}
