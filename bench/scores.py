"""Scores of handed-in pictures, computed again from the files that were judged."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import models
from bench.students import Server
from engine.engine import Engine

SAME = 1e-4
"""Two l2 distances that differ by less are the same."""


@dataclass(frozen=True)
class HandedIn:
    """What was handed in for the least l2. ``person``: by whom; ``model``: that is to be fooled; ``original``
    and ``saved``: the PNG files; ``counts`` and ``score``: the server's verdict."""

    person: str
    model: str
    original: bytes
    saved: bytes
    counts: bool
    score: float | None


async def handed_in(server: Server, person: str, run: str, verdict: dict[str, Any]) -> HandedIn:
    """Return a run's files and what the server said of them."""
    facts = await server.ask("GET", f"runs/{run}")
    original = await server.client.get(f"{server.base}/runs/{run}/steps/0/original.png")
    rows = await server.ask("GET", f"runs/{run}/rows?start=0")
    fooled = (rows["rows"][-1][0] or 0) > 0  # the margin comes first
    saved = await server.client.get(f"{server.base}/runs/{run}/export/network.png?finished={fooled:d}")
    model = facts["model"]["name"]
    return HandedIn(person, model, original.content, saved.content, verdict["counts"], verdict["value"])


def wrong(handed: Sequence[HandedIn]) -> int:
    """Return how many verdicts are not what the files say: whether the network is fooled, and the l2."""
    engine, before = Engine(), set[tuple[str, bytes]]()
    try:
        return sum(not right(engine, submission, before) for submission in handed)
    finally:
        engine.close()


def right(engine: Engine, handed: HandedIn, seen: set[tuple[str, bytes]]) -> bool:
    """Say whether a verdict is what its files say. ``seen``: what everybody handed in before, which does not
    count again."""
    mode = "RGB" if models.card(handed.model).channels == 3 else "L"
    before, after = pixels(handed.original, mode), pixels(handed.saved, mode)
    mine = (handed.person, after.tobytes())
    if mine in seen:
        return not handed.counts
    seen.add(mine)
    answers = engine.logits(handed.model, torch.from_numpy(np.stack([before, after]))).argmax(1)
    fooled = bool(answers[0] != answers[1])
    if not fooled or not handed.counts:
        return fooled == handed.counts
    l2 = float(np.linalg.norm((after - before).astype(np.float64)))
    return handed.score is not None and abs(l2 - handed.score) < SAME


def pixels(png: bytes, mode: str) -> npt.NDArray[np.float32]:
    """Return a PNG's pixels ``(c, h, w)`` in [0, 1], of a ``mode`` of Pillow."""
    array = np.asarray(Image.open(io.BytesIO(png)).convert(mode))
    planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return np.ascontiguousarray(planes, np.float32) / np.float32(255)
