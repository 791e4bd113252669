"""``export:FILE``: a network that ``torch.export`` saved as a program; reading it may run code."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from errors import BadNetwork
from models.added.batching import OneByOne, Program, batched
from models.added.headers.limits import shown, sized
from models.added.record import AddedModel, CheckResult, Facts, Request
from models.added.source import Draft, Source
from models.added.sources.torchscript import RUNS_CODE
from models.download import Progress

KEPT = "model.pt2"
SIZE = 224
FAILURES = (
    RuntimeError, ValueError, OSError, LookupError, TypeError, AttributeError, AssertionError,
    zipfile.BadZipFile
)  # fmt: skip
"""What torch raises for files that are no exported programs."""


class Export(Source):
    """A network saved by ``torch.export.save``."""

    kind: ClassVar[str] = "export"
    title: ClassVar[str] = "torch.export file"
    example: ClassVar[str] = "export:model.pt2"
    help: ClassVar[str] = "A file of torch.export; it may run code that comes with it."
    is_file: ClassVar[bool] = True
    takes_file: ClassVar[bool] = False
    runs_code: ClassVar[bool] = True

    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Read the file; the shape that it was exported for says how large images are."""
        path = Path(request.rest).expanduser()
        sized(path)
        shutil.copyfile(path, folder / KEPT)
        program = _program(path)
        channels, height, width = shape = _shape(program, request)
        network, notes = batched(_network(program), shape)
        facts = Facts(height=height, width=width, channels=channels)
        warned = CheckResult("code", "note", RUNS_CODE)
        return Draft(network, facts, {"one_by_one": isinstance(network, OneByOne)}, (warned, *notes))

    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the network again, from the file that was kept."""
        network = _network(_program(folder / KEPT))
        return OneByOne(network) if record.arguments["one_by_one"] else network


def _program(path: Path) -> Any:
    """Return the ``ExportedProgram`` in a file; raises `errors.BadNetwork`."""
    try:
        return torch.export.load(path)
    except FAILURES as error:
        words = "Expected {path} to be a file of torch.export: {reason}."
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BadNetwork(words, path=shown(path.name), reason=shown(reason)) from error


def _network(program: Any) -> nn.Module:
    return Program(program.module())


def _shape(program: Any, request: Request) -> tuple[int, int, int]:
    """Return channels, height and width of the one image that a program was exported for; what it leaves open
    is as asked for."""
    names = program.graph_signature.user_inputs
    values = [node.meta["val"] for node in program.graph.nodes if node.name in names]
    shapes = [tuple(value.shape) for value in values if isinstance(value, torch.Tensor)]
    if len(names) != 1 or len(shapes) != 1 or len(shapes[0]) != 4:
        words = "Expected a network with one input, a batch of images; it has {n} ({names})."
        raise BadNetwork(words, n=len(names), names=shown(", ".join(map(str, names))) or "–")
    side = request.input or SIZE
    wanted = (len(request.mean or "rgb"), side, side)
    channels, height, width = (
        length if isinstance(length, int) else other
        for length, other in zip(shapes[0][1:], wanted, strict=True)
    )
    return channels, height, width
