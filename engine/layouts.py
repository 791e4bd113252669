"""In which layout networks run fastest here: measured once for each network and device, and remembered.

What was measured is kept in ``layouts.json`` under `settings.home`. It holds for one file of weights, one
kind of device and one release of torch; a file that is damaged or cannot be written costs a measurement, no
more.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import settings
from engine.device import described
from models.core import Card
from models.layouts import Layout

log = logging.getLogger("foolscope")
FILE = "layouts.json"
Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Rejected:
    """A layout whose gradients are not those of the CPU: ``difference`` is the length of the difference,
    relative to the gradient's (infinite where it is not a number)."""

    layout: Layout
    difference: float


@dataclass(frozen=True)
class Measured:
    """How long a gradient for one image took in a layout: the median of several, in ``seconds``."""

    layout: Layout
    seconds: float


@dataclass(frozen=True)
class Choice:
    """The ``layout`` in which a model runs on a device. ``weights``: the SHA-256 of the model's file;
    ``device``: as `engine.device.described` names it; ``torch``: its release; ``measured``: empty where one
    layout alone has the right gradients."""

    model: str
    weights: str
    device: str
    torch: str
    layout: Layout
    measured: tuple[Measured, ...] = ()
    rejected: tuple[Rejected, ...] = ()

    @property
    def key(self) -> Key:
        """Return for what it holds."""
        return self.model, self.weights, self.device, self.torch


def key_of(card: Card, device: torch.device) -> Key:
    """Return for what a choice must hold to be that of a card's model on a device."""
    return card.name, card.weights.sha256, described(device), torch.__version__


class Choices:
    """What was chosen, in the file ``path`` (by default `FILE` in `settings.home`) and in memory. Safe to
    share between threads; several processes may write the same file, the one that writes last
    holds."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[Key, Choice] = {}
        self._lock = threading.Lock()

    def get(self, card: Card, device: torch.device) -> Choice | None:
        """Return what was chosen for a card's model on a device, None where nothing was."""
        key = key_of(card, device)
        with self._lock:
            if key not in self._known:
                self._known = self._read() | self._known
            return self._known.get(key)

    def remember(self, choice: Choice) -> None:
        """Keep a choice; where the file cannot be written, in memory alone, with a line in the log."""
        with self._lock:
            self._known = self._read() | self._known | {choice.key: choice}
            try:
                _write(self._file, list(self._known.values()))
            except OSError as error:
                log.warning("%s cannot be written, so layouts are measured again: %s", self._file, error)

    @property
    def _file(self) -> Path:
        return self._path or settings.home() / FILE

    def _read(self) -> dict[Key, Choice]:
        """Return what the file holds: nothing where it is not there, or damaged, which is logged."""
        try:
            lines = json.loads(self._file.read_text("utf-8"))
            choices = [_choice(line) for line in lines]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("%s cannot be read, so layouts are measured again: %s", self._file, error)
            return {}
        return {choice.key: choice for choice in choices}


def _choice(line: dict[str, Any]) -> Choice:
    """Return a choice as the file holds it; raises ValueError, TypeError or KeyError for anything else."""
    measured = tuple(Measured(_layout(one["layout"]), float(one["seconds"])) for one in line["measured"])
    rejected = tuple(Rejected(_layout(one["layout"]), float(one["difference"])) for one in line["rejected"])
    names = (line["model"], line["weights"], line["device"], line["torch"])
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"Expected names that are texts, got {names}.")
    return Choice(*names, _layout(line["layout"]), measured, rejected)


def _layout(line: dict[str, Any]) -> Layout:
    values = line["folded"], line["channels_last"]
    if not all(isinstance(value, bool) for value in values):
        raise TypeError(f"Expected a layout, got {line}.")
    return Layout(*values)


def _write(path: Path, choices: list[Choice]) -> None:
    """Write a file so that it is either whole or as it was; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        json.dump([asdict(choice) for choice in choices], file, indent=1)
    try:
        os.replace(file.name, path)
    except OSError:
        Path(file.name).unlink(missing_ok=True)
        raise
