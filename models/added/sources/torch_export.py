"""``export:FILE``: a network that ``torch.export`` saved as a program; reading it may run code."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from errors import BadNetwork
from models.added.batching import Program
from models.added.headers.limits import shown
from models.added.programs import ProgramFile, Shape, unreadable, wanted
from models.added.record import Request

FAILURES = (
    RuntimeError, ValueError, OSError, LookupError, TypeError, AttributeError, AssertionError,
    zipfile.BadZipFile
)  # fmt: skip
"""What torch raises for files that are no exported programs."""


class Export(ProgramFile):
    """A network saved by ``torch.export.save``."""

    kind: ClassVar[str] = "export"
    title: ClassVar[str] = "torch.export file"
    example: ClassVar[str] = "export:model.pt2"
    help: ClassVar[str] = "A file of torch.export; it may run code that comes with it."
    stored_as: ClassVar[str] = "model.pt2"

    def program(self, path: Path) -> Any:
        """Return the ``ExportedProgram`` in a file; raises `errors.BadNetwork`."""
        try:
            return torch.export.load(path)
        except FAILURES as error:
            raise unreadable(path, "torch.export", error) from error

    def network(self, program: Any) -> nn.Module:
        """Return the program's module."""
        return Program(program.module())

    def shape(self, program: Any, request: Request) -> Shape:
        """Return the shape of the one image that a program was exported for; what it leaves open is as asked
        for. Raises `errors.BadNetwork` when it takes something else than images."""
        names = program.graph_signature.user_inputs
        values = [node.meta["val"] for node in program.graph.nodes if node.name in names]
        shapes = [tuple(value.shape) for value in values if isinstance(value, torch.Tensor)]
        if len(names) != 1 or len(shapes) != 1 or len(shapes[0]) != 4:
            words = "Expected a network with one input, a batch of images; it has {n} ({names})."
            raise BadNetwork(words, n=len(names), names=shown(", ".join(map(str, names))) or "–")
        pairs = zip(shapes[0][1:], wanted(request), strict=True)
        return Shape(*(length if isinstance(length, int) else other for length, other in pairs))
