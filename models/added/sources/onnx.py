"""``onnx:FILE``: a network in an ONNX file, made a network of PyTorch by onnx2torch, with gradients."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from errors import BadNetwork
from models.added import onnx_graph
from models.added.batching import ChannelsLast, OneByOne, batched
from models.added.headers import onnx as header
from models.added.headers.limits import shown
from models.added.record import AddedModel, CheckResult, Facts, Request
from models.added.source import Draft, Source
from models.download import Progress

KEPT = "model.onnx"
SIZE = 224
"""Side of the input where the file leaves it open."""
FAILURES = (
    NotImplementedError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError,
    ArithmeticError,
)  # fmt: skip
"""What onnx2torch raises for graphs that it cannot read."""


class Onnx(Source):
    """A network in an ONNX file."""

    kind: ClassVar[str] = "onnx"
    title: ClassVar[str] = "ONNX file"
    example: ClassVar[str] = "onnx:model.onnx"
    help: ClassVar[str] = "A file of ONNX, with gradients through onnx2torch."
    is_file: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnx2torch")

    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Read the file; its input's shape says how large images are."""
        path = Path(request.rest).expanduser()
        plain = onnx_graph.plainer(header.checked(path, request.trusted))
        _, channels, height, width = plain.shape
        side = request.input or SIZE
        shape = (channels or 3, height or side, width or side)
        model, network, notes = _batched(plain.model, shape, plain.channels_last)
        (folder / KEPT).write_bytes(model.SerializeToString())
        facts = Facts(height=height, width=width, channels=channels)
        arguments = {"one_by_one": isinstance(network, OneByOne), "channels_last": plain.channels_last}
        return Draft(network, facts, arguments, (*plain.notes, *_opset(plain.model), *notes))

    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the network again, from the graph that was kept."""
        network = _taking(header.checked(folder / KEPT, False), bool(record.arguments["channels_last"]))
        return OneByOne(network).eval() if record.arguments["one_by_one"] else network


def converted(model: Any) -> nn.Module:
    """Return an ``onnx.ModelProto`` that is plain as a network of PyTorch in float32 and evaluation mode.

    Raises `errors.BadNetwork` when onnx2torch cannot read it, or when its numbers are not finite.
    """
    onnx, library = importlib.import_module("onnx"), importlib.import_module("onnx2torch")
    try:
        onnx.checker.check_model(model)
        with torch.random.fork_rng(devices=[]):
            network: nn.Module = library.convert(model).float().eval()
    except (*FAILURES, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        words = "onnx2torch cannot read the file: {reason}."
        raise BadNetwork(words, reason=_reason(error)) from error
    for name, value in network.named_parameters():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            words = "The tensor “{name}” has numbers that are infinite or not numbers."
            raise BadNetwork(words, name=shown(name))
    return network


def _taking(model: Any, channels_last: bool) -> nn.Module:
    """Return a plain model as a network that takes channels first."""
    network = converted(model)
    return ChannelsLast(network).eval() if channels_last else network


def _batched(
    model: Any, shape: tuple[int, int, int], channels_last: bool
) -> tuple[Any, nn.Module, tuple[CheckResult, ...]]:
    """Return a model, changed where it was exported for one image and can be, the network that it is, and
    what is worth knowing."""
    network, notes = batched(_taking(model, channels_last), shape)
    if isinstance(network, OneByOne):
        other = onnx_graph.loosened(model)
        loose, none = batched(_taking(other, channels_last), shape)
        if not none:
            words = "It was exported for one image at a time; its shapes were changed to take several."
            return other, loose, (CheckResult("batch", "note", words),)
    return model, network, notes


def _reason(error: Exception) -> str:
    return shown(next(iter(str(error).splitlines()), "") or type(error).__name__)


def _opset(model: Any) -> tuple[CheckResult, ...]:
    words = "It was read as opset {opset}, with {n} operators."
    facts = {"opset": model.opset_import[0].version, "n": len(model.graph.node)}
    return (CheckResult("opset", "fine", words, facts),)
