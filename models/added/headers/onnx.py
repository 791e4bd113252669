"""What an ONNX file declares: its tensors against its own bytes, and the files outside of it that it names.

Source: https://onnx.ai/onnx/repo-docs/IR.html and ExternalData.html.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from errors import WeightsError
from models.added.headers.limits import DeclaredTensor, checked_shape, shown, sized, within

MOST_BYTES = 2**31 - 1
"""What a message of protobuf holds at most."""
MOST_NODES = 100_000
BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Bytes of one number of every type that is read, by ONNX's number of the type."""
FIELDS = {1: "float_data", 7: "int64_data", 11: "double_data", 12: "uint64_data", 13: "uint64_data"}
"""Where numbers stand that are not raw bytes; those of all other types are whole numbers of 32 bits."""
EXTERNAL = 1
DEEPEST = 8
DAMAGED = "{path} is not ONNX, or is damaged: {reason}."
OUTSIDE = "{path} wants tensors from a file outside of its folder (“{name}”): it is not read."


def checked(path: Path, trusted: bool) -> Any:
    """Return the ``onnx.ModelProto`` in a file, its tensors as long as they declare and, where they lay in
    files beside it, read in; that is allowed from the command line alone (``trusted``).

    Raises `errors.WeightsError` with a sentence.
    """
    sized(path, MOST_BYTES)
    return checked_bytes(path, path.read_bytes(), trusted)


def checked_bytes(path: Path, content: bytes, trusted: bool) -> Any:
    """Return what ``content``, that of the file at ``path``, holds; as `checked`, and raises as it does."""
    model = _parsed(path, content)
    graphs = list(_graphs(path, model.graph))
    tensors = [tensor for graph in graphs for tensor in _tensors(path, graph)]
    within(path, [_declared(path, tensor) for tensor in tensors])
    outside = [tensor for tensor in tensors if tensor.data_location == EXTERNAL or tensor.external_data]
    for tensor in outside:
        _check_external(path, tensor, trusted)
    for tensor in tensors:
        _check_length(path, tensor)
    if outside:
        _read_in(path, model, outside)
    return model


def _parsed(path: Path, content: bytes) -> Any:
    onnx, message = importlib.import_module("onnx"), importlib.import_module("google.protobuf.message")
    try:
        model = onnx.ModelProto.FromString(content)
    except (message.DecodeError, ValueError, RecursionError, SystemError) as error:
        raise WeightsError(DAMAGED, path=shown(path.name), reason="it cannot be parsed") from error
    if not all(isinstance(one.domain, str) for one in model.opset_import):
        raise WeightsError(DAMAGED, path=shown(path.name), reason="a name in it is no text")
    if not model.HasField("graph") or not model.graph.node:
        raise WeightsError(DAMAGED, path=shown(path.name), reason="it has no graph")
    return model


def _graphs(path: Path, graph: Any, depth: int = 0) -> Iterator[Any]:
    """Yield a graph and those within its nodes."""
    if depth > DEEPEST or len(graph.node) > MOST_NODES:
        reason = "its graph is too large or too deep"
        raise WeightsError(DAMAGED, path=shown(path.name), reason=reason)
    if not all(isinstance(text, str) for text in _texts(graph)):
        raise WeightsError(DAMAGED, path=shown(path.name), reason="a name in it is no text")
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _graphs(path, inner, depth + 1)


def _texts(graph: Any) -> Iterator[object]:
    """Yield the names in a graph; protobuf hands over bytes for what is no text."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    for tensor in graph.initializer:
        yield tensor.name
        yield from (text for entry in tensor.external_data for text in (entry.key, entry.value))
    for node in graph.node:
        yield from (node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def _tensors(path: Path, graph: Any) -> Iterator[Any]:
    """Yield the tensors that a graph and its nodes hold themselves."""
    sparse = [a for node in graph.node for a in node.attribute if a.HasField("sparse_tensor")]
    if graph.sparse_initializer or sparse:
        raise WeightsError(DAMAGED, path=shown(path.name), reason="it has sparse tensors, which are not read")
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t


def _declared(path: Path, tensor: Any) -> DeclaredTensor:
    size = BYTES.get(tensor.data_type)
    if size is None:
        words = "{path} declares a tensor “{name}” of a type that is not read ({kind})."
        raise WeightsError(words, path=shown(path.name), name=shown(tensor.name), kind=tensor.data_type)
    return DeclaredTensor(tensor.name, checked_shape(path, tensor.name, list(tensor.dims)), size)


def _check_length(path: Path, tensor: Any) -> None:
    """Raise `errors.WeightsError` unless a tensor has as many numbers as its shape says."""
    if tensor.data_location == EXTERNAL:
        return
    count, size = math.prod(tensor.dims), BYTES[tensor.data_type]
    typed = len(getattr(tensor, FIELDS.get(tensor.data_type, "int32_data")))
    if tensor.HasField("segment") or (len(tensor.raw_data), typed) not in ((count * size, 0), (0, count)):
        words = "{path} declares a place for the tensor “{name}” that is not as long as its shape says."
        raise WeightsError(words, path=shown(path.name), name=shown(tensor.name))


def _check_external(path: Path, tensor: Any, trusted: bool) -> None:
    """Raise `errors.WeightsError` unless a tensor outside lies in a plain file in the model's own folder."""
    about = {entry.key: entry.value for entry in tensor.external_data}
    name = about.get("location", "")
    if not trusted:
        words = (
            "{path} keeps tensors in another file (“{name}”), which is read from the command line alone: "
            "save it as one file."
        )
        raise WeightsError(words, path=shown(path.name), name=shown(name))
    folder = path.parent.resolve()
    try:
        place = (folder / name).resolve()
        inside = bool(name) and place.parent == folder and not Path(name).is_absolute()
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside or tensor.data_location != EXTERNAL:
        raise WeightsError(OUTSIDE, path=shown(path.name), name=shown(name))
    _check_span(path, tensor, about, sized(place))


def _check_span(path: Path, tensor: Any, about: dict[str, str], size: int) -> None:
    wanted = math.prod(tensor.dims) * BYTES[tensor.data_type]
    try:
        start, length = int(about.get("offset", 0)), int(about.get("length", wanted))
    except ValueError:
        start, length = -1, -1
    if start < 0 or length != wanted or start + length > size:
        words = "{path} declares a place for the tensor “{name}” that is not as long as its shape says."
        raise WeightsError(words, path=shown(path.name), name=shown(tensor.name))


def _read_in(path: Path, model: Any, tensors: list[Any]) -> None:
    """Read the tensors that lie in files beside the model into it, so that it is one file."""
    total = sum(math.prod(tensor.dims) * BYTES[tensor.data_type] for tensor in tensors)
    if total + model.ByteSize() > MOST_BYTES:
        words = (
            "{path} takes more than 2 GB with the files beside it, which is more than is kept as one file."
        )
        raise WeightsError(words, path=shown(path.name))
    for tensor in tensors:
        about = {entry.key: entry.value for entry in tensor.external_data}
        with (path.parent / about["location"]).open("rb") as file:
            file.seek(int(about.get("offset", 0)))
            tensor.raw_data = file.read(math.prod(tensor.dims) * BYTES[tensor.data_type])
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
