"""Files that are programs: what their kinds of source have in common. Reading one runs code."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from torch import nn

from errors import BadNetwork
from models.added.batching import OneByOne, batched
from models.added.headers.limits import shown, sized
from models.added.record import AddedModel, CheckResult, Facts, Request
from models.added.source import Draft, Source
from models.download import Progress

SIZE = 224
"""Side of the input where nobody says it."""
RUNS_CODE = "Files of this kind run code when they are read: it is as safe as where it came from."


class Shape(NamedTuple):
    """What a program takes: images of that many channels and pixels."""

    channels: int
    height: int
    width: int


class ProgramFile(Source):
    """A file that is a whole network; ``stored_as``: what it is called in the network's folder."""

    stored_as: ClassVar[str]
    is_file: ClassVar[bool] = True
    takes_file: ClassVar[bool] = False
    runs_code: ClassVar[bool] = True

    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Read the file, and find out whether its network takes several images at once."""
        path = Path(request.rest).expanduser()
        sized(path)
        shutil.copyfile(path, folder / self.stored_as)
        program = self.program(path)
        shape = self.shape(program, request)
        network, notes = batched(self.network(program), shape)
        warned = CheckResult("code", "note", RUNS_CODE)
        one_by_one = isinstance(network, OneByOne)
        return Draft(network.eval(), self.facts(shape), {"one_by_one": one_by_one}, (warned, *notes))

    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the network again, from the file that was kept."""
        network = self.network(self.program(folder / self.stored_as))
        return OneByOne(network).eval() if record.arguments["one_by_one"] else network

    @abstractmethod
    def program(self, path: Path) -> Any:
        """Return what the library reads from a file; raises `errors.BadNetwork`."""

    @abstractmethod
    def network(self, program: Any) -> nn.Module:
        """Return a program as a network in evaluation mode."""

    @abstractmethod
    def shape(self, program: Any, request: Request) -> Shape:
        """Return what a program takes; what it leaves open is as asked for."""

    def facts(self, shape: Shape) -> Facts:
        """Return what the file says of what it takes."""
        return Facts(height=shape.height, width=shape.width, channels=shape.channels)


def wanted(request: Request) -> Shape:
    """Return what a program takes where it does not say so itself."""
    side = request.input or SIZE
    return Shape(len(request.mean or "rgb"), side, side)


def unreadable(path: Path, what: str, error: Exception) -> BadNetwork:
    """Return the refusal of a file that ``what``, such as TorchScript, cannot read."""
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    words = "Expected {path} to be a file of {what}: {reason}."
    return BadNetwork(words, path=shown(path.name), what=what, reason=shown(reason))
