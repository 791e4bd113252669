"""The parts of the section “Look inside”: each reads what it is asked, and answers in lines.

A line is plain data for JSON; its ``type`` tells the browser what it is. The end and a refusal are added by
`app.inside.streaming`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.inside import (
    boundary_part,
    composition_part,
    layers_part,
    people_part,
    plane_part,
    saliency_part,
    words_part,
)
from app.inside.looking import Line, Look, Query
from engine.base import EngineBase
from engine.run import Run
from errors import BadSetting, UnknownName

Part = Callable[[Look], Iterator[Line]]
"""Checks the query, raising `errors.FoolscopeError`, and yields the lines as they are computed."""
MODULES = (
    saliency_part,
    layers_part,
    words_part,
    plane_part,
    boundary_part,
    composition_part,
    people_part,
)
PARTS: dict[str, Part] = {module.PART: module.lines for module in MODULES} | {
    plane_part.CHOICES: plane_part.choices,
    composition_part.FILTER: composition_part.filtered,
    people_part.TWIN: people_part.twin,
}
"""Every part by its name in the address."""


def look(engine: EngineBase, run: Run, part: str, query: Query, language: str, owner: str = "") -> Look:
    """Return what an address asks for; raises `errors.UnknownName` for another part or step, and
    `errors.BadSetting` for a step that is no number."""
    if part not in PARTS:
        raise UnknownName.of("part", part, PARTS)
    text = query.get("step", str(len(run) - 1))
    if not text.isdecimal() or len(text) > 12:
        raise BadSetting("Expected step to be a whole number from 0 on, got “{got}”.", got=text[:40])
    if int(text) >= len(run):
        raise UnknownName(
            "Expected a step from 0 to {last}, got {got}.", last=max(0, len(run) - 1), got=int(text)
        )
    return Look(engine, run, part, int(text), query, language, owner)
