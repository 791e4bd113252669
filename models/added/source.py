"""What every kind of source does: read a network from outside, and build it again from what was kept."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from errors import BadSetting, MissingExtra, UnknownName
from models.added import sources
from models.added.headers import limits
from models.added.record import AddedModel, CheckResult, Facts, Plain, Request
from models.download import Progress


@dataclass(frozen=True)
class Draft:
    """A network as its source gives it, unchecked.

    ``network``: in evaluation mode, float32, on the CPU; maps normalised images ``(n, c, h, w)`` to whatever
    it gives. ``arguments``: what `Source.build` needs beside the files. ``notes``: what is worth knowing.
    """

    network: nn.Module
    facts: Facts
    arguments: Mapping[str, Plain] = field(default_factory=dict)
    notes: tuple[CheckResult, ...] = ()


class Source(ABC):
    """A kind of source; a file in `models.added.sources` defines one, and that is all there is to add.

    ``kind``: what stands before the colon. ``title``: in a list of kinds. ``example``: of a whole source.
    ``help``: in one sentence. ``packages``: optional ones that it imports when used. ``runs_code``: reading
    it runs code that comes with the network, so that only the command line may. ``is_file``: what stands
    behind the colon is a file, which is all there is. ``takes_file``: a file of weights can be given.
    ``takes_words``: its classes are a person's own words.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    example: ClassVar[str]
    help: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    runs_code: ClassVar[bool] = False
    is_file: ClassVar[bool] = False
    takes_file: ClassVar[bool] = True
    takes_words: ClassVar[bool] = False

    @abstractmethod
    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Read the network that is asked for; write into ``folder`` all files that `build` needs.

        Raises `errors.FoolscopeError` with a sentence on what was expected and what came.
        """

    @abstractmethod
    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the network again, in evaluation mode, from what `read` wrote; raises as that does."""


@cache
def registry() -> dict[str, Source]:
    """Return every kind of source by its name."""
    for info in pkgutil.iter_modules(sources.__path__):
        importlib.import_module(f"{sources.__name__}.{info.name}")
    return {kind.kind: kind() for kind in sorted(_concrete(Source), key=lambda kind: kind.kind)}


def _concrete(base: type[Any]) -> Iterator[type[Source]]:
    """Yield the kinds of source among the classes derived from ``base``."""
    for kind in base.__subclasses__():
        if not inspect.isabstract(kind):
            yield kind
        yield from _concrete(kind)


def shown(request: Request) -> str:
    """Return where a network came from, a file without its folder: that may be one that is gone already."""
    if registry()[request.kind].is_file:
        return f"{request.kind}:{limits.shown(Path(request.rest).name)}"
    return request.source


def source_of(request: Request) -> Source:
    """Return what reads the request's source.

    Raises `errors.UnknownName` for an unknown kind, `errors.MissingExtra` when a package is missing, and
    `errors.BadSetting` for one that runs code where that is not allowed.
    """
    if request.kind not in registry() or not request.rest:
        raise UnknownName.of("kind of source", request.kind, registry())
    source = registry()[request.kind]
    if source.runs_code and not request.trusted:
        raise BadSetting(
            "A network from “{kind}” runs code that comes with it, so it can be added from the command line "
            "alone: python -m app models add.",
            kind=source.kind,
        )
    for package in source.packages:
        if find_spec(package) is None:
            raise MissingExtra(
                "Networks from “{kind}” need the package {package}: pip install -r requirements-more.txt.",
                kind=source.kind,
                package=package.replace("_", "-"),
            )
    return source
