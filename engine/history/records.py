"""What the database tells of runs."""

from __future__ import annotations

from dataclasses import dataclass

from engine.recipe import Recipe
from engine.sentences import Said


@dataclass(frozen=True)
class RunRecord:
    """A run in its owner's list.

    ``name``: as its owner called it, "" for none. ``standing``: in words why it ended, or what it is doing.
    ``started``: in seconds since 1970. ``steps``: taken, the untouched picture not counted. ``first_label``
    and ``last_label``: the most probable class before and now, the latter with its ``probability`` in
    [0, 1]; ``success``: whether the network is fooled as asked; these three None before the first step.
    ``before`` and ``after``: small pictures as JPEG or PNG, None where pictures are not kept. ``over``:
    whether it ended; ``opens``: whether it can be shown again, which takes its pictures.
    """

    id: str
    name: str
    recipe: Recipe
    standing: Said
    started: float
    steps: int
    first_label: str
    last_label: str | None
    probability: float | None
    success: bool | None
    before: bytes | None
    after: bytes | None
    over: bool
    opens: bool


@dataclass(frozen=True)
class Upload:
    """An upload: ``png`` its pixels, ``notes`` on how it was read."""

    png: bytes
    notes: tuple[Said, ...]
