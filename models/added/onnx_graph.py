"""Graphs of ONNX made plainer, so that onnx2torch reads more of them: one input, one output, operators as of
opset 17, and names that are ours.

onnx2torch writes the names of nodes into Python code that torch runs (``torch.fx``): a name from a stranger's
file must not get there.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from errors import BadNetwork
from models.added.headers.limits import shown
from models.added.record import CheckResult

OPSET = 17
"""The last whose operators onnx2torch reads without exception."""
NEWEST = 26
OWN = ("", "ai.onnx")
"""How ONNX's own domain is called."""
REDUCE = {
    "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceSumSquare",
}  # fmt: skip
"""Operators whose axes became an input after `OPSET`, and are an attribute in it."""
UNCHANGED = REDUCE | {
    "Acos", "Asin", "Atan", "AveragePool", "Cast", "Constant", "ConstantOfShape", "Conv", "ConvTranspose",
    "Cos", "Dropout", "Elu", "Equal", "Flatten", "GlobalAveragePool", "HardSigmoid", "HardSwish", "Identity",
    "InstanceNormalization", "MaxPool", "Pad", "Reshape", "Round", "ScatterND", "Selu", "Shape", "Sin",
    "Size", "Softplus", "Softsign", "Split", "Squeeze", "Tan", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Operators that later opsets gave more types, or options that `_needs` looks for, and nothing else."""
INT64 = 7
"""ONNX's number of the type."""
LONGEST = 16
"""Numbers in a list of axes or in a shape at most."""
NAMED = 5


@dataclass(frozen=True)
class Plain:
    """A graph with one input and one output.

    ``model``: an ``onnx.ModelProto``. ``shape``: the input's, (images, channels, height, width), None where
    the file leaves it open. ``channels_last``: the graph takes them as (images, height, width, channels).
    ``notes``: what is worth knowing.
    """

    model: Any
    shape: tuple[int | None, ...]
    channels_last: bool
    notes: tuple[CheckResult, ...]


def plainer(model: Any) -> Plain:
    """Return ``model``, an ``onnx.ModelProto`` that is changed for it, as `Plain`.

    Raises `errors.BadNetwork` when it does not take a batch of images, or has operators that cannot be read.
    """
    onnx = importlib.import_module("onnx")
    graph = model.graph
    shape, channels_last = _input(graph)
    notes = _choose_output(graph)
    _skip_identities(graph)
    _lower(model, onnx)
    for index, node in enumerate(graph.node):
        node.name = f"node_{index}"
    del graph.value_info[:]
    _refuse_unread(model)
    return Plain(model, shape, channels_last, notes)


def loosened(model: Any) -> Any:
    """Return a copy of a plain model in which what is reshaped for one image keeps its number of images.

    A file that was exported for one image writes that number into its shapes. Whether the copy is right is
    seen by asking it for two images.
    """
    onnx = importlib.import_module("onnx")
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    constants = _constants(copy.graph, onnx)
    for node in copy.graph.node:
        shape = constants.get(node.input[1], []) if node.op_type == "Reshape" and len(node.input) > 1 else []
        if len(shape) > 1 and shape[0] == 1:
            name = f"{node.name}_shape"
            copy.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, *shape[1:]]), name))
            node.input[1] = name
    return copy


def _input(graph: Any) -> tuple[tuple[int | None, ...], bool]:
    """Return the shape of a graph's one input as `Plain.shape`, and whether it takes channels last; raises
    `errors.BadNetwork` when that is no batch of images."""
    given = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in given]
    del graph.input[:]
    graph.input.extend(inputs)
    if len(inputs) != 1:
        names = ", ".join(shown(value.name) for value in inputs[:NAMED])
        words = "Expected a network with one input, a batch of images; it has {n} ({names})."
        raise BadNetwork(words, n=len(inputs), names=names or "–")
    shape = _shape(inputs[0])
    if inputs[0].type.tensor_type.elem_type not in (1, 10, 11):
        raise BadNetwork("Expected a network that takes numbers as float32; its input is of another type.")
    if len(shape) == 4 and shape[1] not in (None, 1, 3) and shape[3] in (1, 3):
        return (shape[0], shape[3], shape[1], shape[2]), True
    if len(shape) != 4 or shape[1] not in (None, 1, 3):
        words = (
            "Expected an input of images, channels, height and width, with 1 or 3 channels; the file says "
            "{shape}."
        )
        raise BadNetwork(words, shape=" x ".join("?" if n is None else str(n) for n in shape) or "nothing")
    return shape, False


def _shape(value: Any) -> tuple[int | None, ...]:
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims)


def _choose_output(graph: Any) -> tuple[CheckResult, ...]:
    """Leave a graph the first of its outputs that may be a row of numbers an image; say when it had more."""
    outputs = list(graph.output)
    rows = [value for value in outputs if len(_shape(value)) == 2] or outputs[:1]
    if not rows:
        raise BadNetwork("Expected a network with an output; it has none.")
    del graph.output[:]
    graph.output.append(rows[0])
    if len(outputs) == 1:
        return ()
    words = "It has {n} outputs; “{name}” was taken, the first with a row of numbers for each image."
    facts: dict[str, str | int] = {"n": len(outputs), "name": shown(rows[0].name)}
    return (CheckResult("output", "note", words, facts),)


def _skip_identities(graph: Any) -> None:
    """Let who reads a copy of a tensor read the tensor: exporters write tensors used twice so."""
    given = {tensor.name for tensor in graph.initializer}
    same: dict[str, str] = {}
    for node in list(graph.node):
        if node.op_type == "Identity" and node.input and same.get(node.input[0], node.input[0]) in given:
            same[node.output[0]] = same.get(node.input[0], node.input[0])
            graph.node.remove(node)
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = same.get(name, name)


def _lower(model: Any, onnx: Any) -> None:
    """Write the operators as those of `OPSET` where that changes nothing."""
    opset = max((one.version for one in model.opset_import if one.domain in OWN), default=0)
    if not 7 <= opset <= NEWEST:
        raise BadNetwork("Expected a file of opset 7 to {newest}, got {opset}.", newest=NEWEST, opset=opset)
    others = {node.domain for node in model.graph.node} - set(OWN)
    if others or model.functions:
        words = "It has operators of its own ({names}), which cannot be read."
        raise BadNetwork(words, names=shown(", ".join(sorted(others))) or "functions")
    del model.opset_import[:]
    model.opset_import.extend([onnx.helper.make_opsetid("", min(opset, OPSET))])
    model.ir_version = min(max(model.ir_version, 4), 8)
    changed = {} if opset <= OPSET else _changed(model.graph, opset, onnx)
    if changed:
        raise _unread(changed, opset)
    constants = _constants(model.graph, onnx)
    for node in model.graph.node:
        _as_before(node, constants, onnx)


def _constants(graph: Any, onnx: Any) -> Mapping[str, list[int]]:
    """Return the short lists of whole numbers that are in the file, such as axes and shapes, by name."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.output and node.attribute and node.attribute[0].HasField("t"):
            tensors[node.output[0]] = node.attribute[0].t
    whole = {name: t for name, t in tensors.items() if t.data_type == INT64 and math.prod(t.dims) <= LONGEST}
    return {name: onnx.numpy_helper.to_array(t).ravel().tolist() for name, t in whole.items()}


def _changed(graph: Any, opset: int, onnx: Any) -> Mapping[str, int]:
    """Return the operators that are not as they were in `OPSET`, with the opset that changed them."""
    changed = {}
    for node in graph.node:
        try:
            since = onnx.defs.get_schema(node.op_type, opset, "").since_version
        except onnx.defs.SchemaError:
            since = 0
        if since == 0 or since > OPSET and (node.op_type not in UNCHANGED or _needs(node)):
            changed[node.op_type] = since
    return changed


def _needs(node: Any) -> bool:
    """Tell whether a node uses an option that `OPSET` did not have."""
    options = {attribute.name: attribute for attribute in node.attribute}
    match node.op_type:
        case "Pad":
            wrapped = "mode" in options and options["mode"].s == b"wrap"
            return wrapped or len(node.input) > 3 and bool(node.input[3])
        case "AveragePool":
            return "dilations" in options and any(step != 1 for step in options["dilations"].ints)
        case "ScatterND":
            return "reduction" in options and options["reduction"].s in (b"max", b"min")
    return False


def _as_before(node: Any, constants: Mapping[str, list[int]], onnx: Any) -> None:
    """Change a node to what it is in `OPSET`, without options that say what is so anyway."""
    dropped = {"saturate", "num_outputs"} | ({"dilations"} if node.op_type == "AveragePool" else set())
    if node.op_type == "Reshape" and len(node.input) > 1 and 0 not in constants.get(node.input[1], [0]):
        dropped.add("allowzero")
    if node.op_type in REDUCE:
        _reduce_as_before(node, constants, onnx)
        dropped.add("noop_with_empty_axes")
    for attribute in [a for a in node.attribute if a.name in dropped]:
        node.attribute.remove(attribute)


def _reduce_as_before(node: Any, constants: Mapping[str, list[int]], onnx: Any) -> None:
    """Write the axes of a node that reduces, which are an input, as its attribute."""
    axes = constants.get(node.input[1]) if len(node.input) > 1 and node.input[1] else []
    noop = any(a.name == "noop_with_empty_axes" and a.i for a in node.attribute)
    if axes is None or (noop and not axes):
        raise _unread({node.op_type: OPSET + 1}, OPSET + 1)
    if axes:
        node.attribute.append(onnx.helper.make_attribute("axes", axes))
    del node.input[1:]


def _refuse_unread(model: Any) -> None:
    """Raise `errors.BadNetwork` when onnx2torch has no reader for an operator."""
    readers = importlib.import_module("onnx2torch.node_converters")
    opset, unread = model.opset_import[0].version, {}
    for node in model.graph.node:
        try:
            readers.get_converter(node.op_type, opset, node.domain)
        except NotImplementedError:
            unread[node.op_type] = opset
    if unread:
        raise _unread(unread, opset)


def _unread(operators: Mapping[str, int], opset: int) -> BadNetwork:
    names = sorted(operators)
    listed = ", ".join(shown(name) for name in names[:NAMED]) + (", …" if len(names) > NAMED else "")
    words = "It has operators of opset {opset} that onnx2torch cannot read: {names}."
    return BadNetwork(words, opset=opset, names=listed)
