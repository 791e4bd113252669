"""``python:FILE.py``: a network that a Python file builds; the file is run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import nn

from errors import BadNetwork, WeightsError
from models.added import tensors
from models.added.headers.limits import shown, sized
from models.added.programs import RUNS_CODE
from models.added.record import AddedModel, CheckResult, Facts, Request
from models.added.source import Draft, Source
from models.download import Progress

KEPT = "network.py"
LONGEST = 4 * 2**20
"""Bytes of a Python file at most."""


class Python(Source):
    """A network built by ``build()`` of a Python file, which may also say ``labels``, ``mean``, ``std`` and
    ``size``."""

    kind: ClassVar[str] = "python"
    title: ClassVar[str] = "Python file"
    example: ClassVar[str] = "python:network.py"
    help: ClassVar[str] = "A Python file with build() -> nn.Module, and labels; it is run."
    is_file: ClassVar[bool] = True
    runs_code: ClassVar[bool] = True

    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Run the file, take the network that it builds, with the tensors of a file where one is given."""
        path = Path(request.rest).expanduser()
        sized(path, LONGEST)
        content = path.read_bytes()
        (folder / KEPT).write_bytes(content)
        module = _module(content)
        notes: tuple[CheckResult, ...] = (CheckResult("code", "note", RUNS_CODE),)
        network = _built(module)
        if request.weights:
            given = tensors.understood(request.weights, network)
            network = tensors.put(given.values, network)
            notes += given.notes
        tensors.keep(network, folder)
        facts = _facts(vars(module))
        return Draft(network, facts, {"sha256": sha256(content).hexdigest()}, notes)

    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the network again, from the file that was kept, unless that was changed."""
        content = (folder / KEPT).read_bytes()
        if sha256(content).hexdigest() != record.arguments["sha256"]:
            words = "{path} was changed since {name} was added, and is not run."
            raise WeightsError(words, path=KEPT, name=record.name)
        return tensors.put(tensors.stored(folder), _built(_module(content)))


def _module(content: bytes) -> ModuleType:
    """Return the module that a file is, run; raises `errors.BadNetwork` when it breaks."""
    name = f"added_{sha256(content).hexdigest()[:16]}"
    module = ModuleType(name)
    sys.modules[name] = module  # as dataclasses and pickle look for it there
    try:
        exec(compile(content, KEPT, "exec"), vars(module))
    except Exception as error:
        raise _broke("The file", error) from error
    return module


def _built(module: ModuleType) -> nn.Module:
    """Return what a module's ``build()`` gives, in evaluation mode and float32 on the CPU."""
    build = getattr(module, "build", None)
    if not callable(build):
        raise BadNetwork("Expected the file to have a function build() that returns a network; it has none.")
    try:
        with torch.random.fork_rng(devices=[]):
            network = build()
    except Exception as error:
        raise _broke("build()", error) from error
    if not isinstance(network, nn.Module):
        words = "Expected build() to return a torch.nn.Module, got {kind}."
        raise BadNetwork(words, kind=shown(type(network).__name__))
    return network.cpu().float().eval()


def _broke(what: str, error: Exception) -> BadNetwork:
    reason = shown(" ".join(f"{type(error).__name__}: {error}".split()))
    return BadNetwork("{what} broke: {reason}.", what=what, reason=reason)


def _facts(names: Mapping[str, Any]) -> Facts:
    """Return what a file says of its network: ``labels``, ``mean``, ``std``, ``size``."""
    size = names.get("size")
    sides = (size, size) if isinstance(size, int) else size
    mean, std, labels = names.get("mean"), names.get("std"), names.get("labels")
    try:
        height, width = (int(side) for side in sides) if sides is not None else (None, None)
        return Facts(
            height=height,
            width=width,
            mean=tuple(map(float, mean)) if mean is not None else None,
            std=tuple(map(float, std)) if std is not None else None,
            labels=tuple(map(str, labels)) if labels is not None else None,
        )
    except (TypeError, ValueError) as error:
        words = (
            "Expected the file's mean and std to be a number a channel, size a number of pixels and labels a "
            "list of words."
        )
        raise BadNetwork(words) from error
