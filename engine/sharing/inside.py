"""What was computed about the inside of a network during a run, as files: a record and its arrays."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from engine.inside.computed import COMPUTED
from engine.inside.pace import Progress
from engine.run import Run
from errors import FoolscopeError

NOTHING = (
    "Nothing was computed about the inside of this run yet: open “Look inside the network” below it, and "
    "then take the file."
)
SHORT = 64
"""Values of an array that stand in the record itself at most."""
Note = Callable[[str, np.ndarray], Any]
"""Takes an array by its name, and gives what stands in the record for it."""


def record(run: Run) -> str:
    """Return what was computed as JSON: a list, one entry for each question, with its part, step, settings
    and answers; long arrays are named as they are in `arrays`. Raises `errors.FoolscopeError` when there is
    nothing."""
    return json.dumps(_entries(run, _named), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def arrays(run: Run) -> bytes:
    """Return the long arrays of `record` as a NumPy archive, which opens without pickle, and the record
    itself under ``record``. Raises as `record` does."""
    stored: dict[str, np.ndarray] = {}

    def note(name: str, values: np.ndarray) -> Any:
        stored[name] = values
        return _named(name, values)

    text = json.dumps(_entries(run, note), ensure_ascii=False, allow_nan=False)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, record=np.array(text), **stored)
    return file.getvalue()


def _named(name: str, values: np.ndarray) -> Any:
    return {"array": name, "shape": list(values.shape)}


def _entries(run: Run, note: Note) -> list[dict[str, Any]]:
    known = COMPUTED.of(run.id)
    if not known:
        raise FoolscopeError(NOTHING)
    return [
        {
            "part": key.part,
            "step": key.step,
            "settings": list(key.settings),
            "answers": [
                _plain(answer, f"{number}.{key.part}.{index}", note)
                for index, answer in enumerate(answers)
                if not isinstance(answer, Progress)
            ],
        }
        for number, (key, answers) in enumerate(known.items())
    ]


def _plain(value: object, name: str, note: Note) -> Any:
    """Return an answer as plain data; ``name``: of the first array in it."""
    if isinstance(value, np.ndarray):
        return note(name, value) if value.size > SHORT else _plain(value.tolist(), name, note)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: _plain(getattr(value, f.name), f"{name}.{f.name}", note) for f in fields(value)}
        return {"type": type(value).__name__} | parts
    if isinstance(value, tuple | list):
        return [_plain(one, f"{name}.{index}", note) for index, one in enumerate(value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) or value is None else str(value)
