"""Files and links that show a run to others."""

from __future__ import annotations

from engine.interface import EngineInterface
from engine.run import Run


def render(engine: EngineInterface, base: str, run: Run, key: str) -> None:
    """Draw the part; see `components.take_home.panel.Part`."""
