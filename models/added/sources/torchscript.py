"""``torchscript:FILE``: a network that TorchScript saved as a program; it runs code that comes with it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from models.added.batching import Program
from models.added.programs import ProgramFile, Shape, unreadable, wanted
from models.added.record import Facts, Request


class TorchScript(ProgramFile):
    """A network saved by ``torch.jit.save``."""

    kind: ClassVar[str] = "torchscript"
    title: ClassVar[str] = "TorchScript file"
    example: ClassVar[str] = "torchscript:model.pt"
    help: ClassVar[str] = "A file of TorchScript; it runs code that comes with it."
    stored_as: ClassVar[str] = "model.pt"

    def program(self, path: Path) -> nn.Module:
        """Return the network in a file, on the CPU; raises `errors.BadNetwork`."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # torch prefers torch.export; files are there
                network: nn.Module = torch.jit.load(path, map_location="cpu")
        except (RuntimeError, ValueError, OSError) as error:
            raise unreadable(path, "TorchScript", error) from error
        return network

    def network(self, program: Any) -> nn.Module:
        """Return it in evaluation mode and float32."""
        return Program(program.float().eval()).requires_grad_(False)

    def shape(self, program: Any, request: Request) -> Shape:
        """Return what was asked for: the file does not say it."""
        return wanted(request)

    def facts(self, shape: Shape) -> Facts:
        """Return the channels alone: how large images are is what the person says, or has to be tried."""
        return Facts(channels=shape.channels)
