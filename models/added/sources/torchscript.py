"""``torchscript:FILE``: a network that TorchScript saved as a program; it runs code that comes with it."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from errors import BadNetwork
from models.added.batching import OneByOne, Program, batched
from models.added.headers.limits import shown, sized
from models.added.record import AddedModel, CheckResult, Facts, Request
from models.added.source import Draft, Source
from models.download import Progress

KEPT = "model.pt"
SIZE = 224
"""Side of the input where nobody says it."""
RUNS_CODE = "Files of this kind run code when they are read: it is as safe as where it came from."


class TorchScript(Source):
    """A network saved by ``torch.jit.save``."""

    kind: ClassVar[str] = "torchscript"
    title: ClassVar[str] = "TorchScript file"
    example: ClassVar[str] = "torchscript:model.pt"
    help: ClassVar[str] = "A file of TorchScript; it runs code that comes with it."
    is_file: ClassVar[bool] = True
    takes_file: ClassVar[bool] = False
    runs_code: ClassVar[bool] = True

    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Read the file, and ask the network for images of the side that was asked for."""
        path = Path(request.rest).expanduser()
        sized(path)
        shutil.copyfile(path, folder / KEPT)
        side, channels = request.input or SIZE, len(request.mean or "rgb")
        network, notes = batched(_loaded(path), (channels, side, side))
        facts = Facts(channels=channels)
        warned = CheckResult("code", "note", RUNS_CODE)
        return Draft(network.eval(), facts, {"one_by_one": isinstance(network, OneByOne)}, (warned, *notes))

    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the network again, from the file that was kept."""
        network = _loaded(folder / KEPT)
        return OneByOne(network).eval() if record.arguments["one_by_one"] else network


def _loaded(path: Path) -> nn.Module:
    """Return the network in a file, in evaluation mode and float32, on the CPU."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch prefers torch.export; files are there
            network: nn.Module = torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        words = "Expected {path} to be a file of TorchScript: {reason}."
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BadNetwork(words, path=shown(path.name), reason=shown(reason)) from error
    return Program(network.float().eval()).requires_grad_(False)
