"""What is kept of a network that somebody added, as ``model.json`` in its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import cattrs
from cattrs.preconf.json import make_converter

from errors import WeightsError

FILE = "model.json"
OutputKind = Literal[
    "logits", "probabilities", "log_probabilities", "one_logit", "one_probability", "sigmoids"
]
"""What a network's outputs are: of ``one_…`` there is a single one, for the second of two classes."""
Verdict = Literal["fine", "note", "refused"]
Plain = str | int | float | bool


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    ``check``: its name, such as "gradient". ``verdict``: "fine", "note" for what is worth knowing, "refused"
    when the network cannot be used. ``sentence`` has ``{places}`` for ``facts``, so that a page can say it in
    the reader's language.
    """

    check: str
    verdict: Verdict
    sentence: str
    facts: Mapping[str, Plain] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.sentence.format(**self.facts) if self.facts else self.sentence


@dataclass(frozen=True)
class InputFormat:
    """What a network takes: ``(n, channels, height, width)``, of which ``mean`` was subtracted and which was
    divided by ``std``, both per channel for images in [0, 1].

    ``resize``: the short side to which images are scaled before the middle is cut out; None when nothing is
    cut off. ``interpolation``: "bilinear" or "bicubic". ``reversed_channels``: it takes blue, green, red, and
    ``mean`` and ``std`` are in that order. ``one_at_a_time``: it answers rightly for a single image alone.
    ``as_is``: it must neither be folded nor put into another memory layout.
    """

    height: int
    width: int
    channels: int = 3
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    resize: int | None = None
    interpolation: str = "bilinear"
    reversed_channels: bool = False
    one_at_a_time: bool = False
    as_is: bool = False

    @property
    def size(self) -> int:
        """Return the side of the square that is cut out of images, in pixels."""
        return max(self.height, self.width)


@dataclass(frozen=True)
class OutputFormat:
    """What a network gives: ``kind``, and whether its first class is a background that images never have, as
    in TensorFlow's networks with 1,001 outputs.

    ``part``: the name or the index of the output that is taken of several, "" for a single one. ``flat``: an
    image's numbers are not one row, but such as ``(classes, 1, 1)``.
    """

    kind: OutputKind = "logits"
    background: bool = False
    part: str = ""
    flat: bool = False


@dataclass(frozen=True)
class KeptFile:
    """A file in the network's folder: its name, its sha256 in hex, its bytes."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class AddedModel:
    """All that is kept of an added network beside its files.

    ``source``: where it came from, as `Request.source`. ``arguments``: what its source needs to build it
    again. ``labels``: one a class. ``checks``: what was checked when it was added, the gravest first.
    ``parameters``: how many numbers were learnt. ``versions``: releases of the packages that read it.
    """

    name: str
    title: str
    source: str
    input: InputFormat
    output: OutputFormat
    labels: tuple[str, ...]
    files: tuple[KeptFile, ...]
    parameters: int
    arguments: Mapping[str, Plain] = field(default_factory=dict, hash=False)
    checks: tuple[CheckResult, ...] = ()
    added: str = ""
    licence: str = ""
    paper: str = ""
    training_set: str = ""
    versions: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Request:
    """What somebody asks for.

    ``source``: ``KIND:REST``. What they know better than the source: a file of ``weights``, a file of
    ``labels`` (one a line), the ``input``'s side in pixels, ``mean`` and ``std``, and that it takes blue,
    green, red (``reversed_channels``), in whose order these are then. ``trusted``: whether a source that runs
    code may be read (the command line alone). ``words``: the classes of a network that compares images with
    texts.
    """

    name: str
    source: str
    weights: Path | None = None
    labels: Path | None = None
    input: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    trusted: bool = False
    reversed_channels: bool = False
    words: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Return what stands before the source's first colon."""
        return self.source.partition(":")[0].strip()

    @property
    def rest(self) -> str:
        """Return what stands behind it."""
        return self.source.partition(":")[2].strip()


@dataclass(frozen=True)
class Facts:
    """What a source says of a network; None and "" where it does not. ``mean`` and ``std``: in the order of
    the channels that it takes, which ``reversed_channels`` says are blue, green, red."""

    title: str = ""
    height: int | None = None
    width: int | None = None
    channels: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: int | None = None
    interpolation: str = ""
    labels: tuple[str, ...] | None = None
    licence: str = ""
    paper: str = ""
    training_set: str = ""
    reversed_channels: bool = False

    def with_request(self, request: Request) -> Facts:
        """Return the facts, those that the person knows better in place of the source's."""
        changed = self
        if request.input:
            changed = replace(changed, height=request.input, width=request.input, resize=None)
        if request.mean:
            changed = replace(changed, mean=request.mean)
        if request.reversed_channels:
            changed = replace(changed, reversed_channels=True)
        return replace(changed, std=request.std) if request.std else changed


def plain(record: AddedModel | Request) -> dict[str, object]:
    """Return a record as JSON takes it."""
    data: dict[str, object] = _converter().unstructure(record)
    return data


def read(path: Path) -> AddedModel:
    """Return the record in a file; raises `errors.WeightsError` when it is not one."""
    try:
        record = _converter().structure(json.loads(path.read_text("utf-8")), AddedModel)
    except (OSError, ValueError, cattrs.BaseValidationError, KeyError, TypeError) as error:
        raise WeightsError(
            "Expected {path} to describe an added network, got something else ({error}).",
            path=path,
            error=type(error).__name__,
        ) from error
    if not all(map(math.isfinite, (*record.input.mean, *record.input.std))):
        raise WeightsError("Expected finite numbers in {path}.", path=path)
    return record


def write(record: AddedModel, folder: Path) -> None:
    """Write the record into a network's folder."""
    text = json.dumps(plain(record), ensure_ascii=False, indent=1)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def structured(data: Mapping[str, object]) -> AddedModel:
    """Return the added network that `plain` made JSON of."""
    return _converter().structure(data, AddedModel)


def request_of(data: Mapping[str, object]) -> Request:
    """Return the request that `plain` made JSON of."""
    return _converter().structure(data, Request)


def _converter() -> cattrs.Converter:
    converter = make_converter()
    converter.register_structure_hook(Path, lambda value, _: Path(value))
    converter.register_unstructure_hook(Path, str)
    converter.register_structure_hook(Plain, lambda value, _: value)
    return converter
