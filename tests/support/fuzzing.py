"""Mutated files, read in bulk by the real readers: run as a process, whose memory is limited and measured.

``python -m tests.support.fuzzing SEED COUNT`` prints as JSON what became of the files of every kind.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import resource
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import onnx
import torch
from onnx import helper
from safetensors.torch import save
from torch import Tensor

from engine.admission import class_names
from errors import FoolscopeError
from models.added import onnx_graph, tensors
from models.added.headers import onnx as onnx_header
from models.added.sources.onnx import converted
from tests.support import exported

ROOM = 512 * 2**20
"""Bytes that may be allocated beyond what is in use at the beginning."""
EDGES = (b"-1", b"0", b"1", b"4294967296", b"9223372036854775807", b"18446744073709551616", b"1e9", b"[]")
VALUES = (-(2**63), -1, 0, 1, 7, 2**31, 2**40, 2**62, 2**63 - 1)
GOOD = {"conv.weight": torch.ones(4, 3, 3, 3), "conv.bias": torch.ones(4), "half": torch.ones(5).half()}
Mutate = Callable[[bytes, random.Random], bytes]


def main() -> int:
    """Read as many mutated files as asked for; print what became of them."""
    drawn, count = random.Random(int(sys.argv[1])), int(sys.argv[2])
    kinds = bases()
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in kinds}
    with tempfile.TemporaryDirectory() as folder:
        for name in kinds:
            assert outcome(name, kinds[name], Path(folder)) == "read"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        opened = len(os.listdir("/proc/self/fd"))
        _limit_memory()
        for index in range(count):
            name = list(kinds)[index % len(kinds)]
            content = mutated(name, kinds[name], drawn)
            outcomes[name][outcome(name, content, Path(folder))] += 1
    print(
        json.dumps(
            {
                "outcomes": outcomes,
                "grown_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10,
                "left_open": len(os.listdir("/proc/self/fd")) - opened,
            }
        )
    )
    return 0


def bases() -> dict[str, bytes]:
    """Return a good file of every kind by its name."""
    archive, legacy = io.BytesIO(), io.BytesIO()
    torch.save({"state_dict": GOOD, "epoch": 3}, archive)
    torch.save(GOOD, legacy, _use_new_zipfile_serialization=False)
    model = exported.graph(
        helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("ReduceMean", ["r", "axes"], ["m"], keepdims=0),
        helper.make_node("Gemm", ["m", "head"], ["y"]),
        w=torch.ones(4, 3, 3, 3),
        b=torch.ones(4),
        axes=torch.tensor([2, 3]),
        head=torch.ones(4, 2),
    )
    return {
        "a.safetensors": save(GOOD),
        "a.pth": archive.getvalue(),
        "old.pth": legacy.getvalue(),
        "a.onnx": model.SerializeToString(),
        "labels.txt": "\n".join(["plum", "pear", "李子", "kiwi"] * 20).encode(),
    }


def outcome(name: str, content: bytes, folder: Path) -> str:
    """Return "read" or "refused"; anything that is neither is raised."""
    path = folder / name
    path.write_bytes(content)
    try:
        _read(path)
    except FoolscopeError as error:
        assert str(error).strip() and str(error).isprintable() and len(str(error)) < 600, repr(error)
        return "refused"
    return "read"


def _read(path: Path) -> None:
    """Read a file as it is read when a network is added, and check what came out."""
    if path.suffix == ".txt":
        labels = class_names.from_file(path)
        assert all(label.isprintable() and 0 < len(label) <= class_names.LONGEST_LABEL for label in labels)
    elif path.suffix == ".onnx":
        plain = onnx_graph.plainer(onnx_header.checked(path, trusted=False))
        assert all(value.isfinite().all() for value in converted(plain.model).parameters())
    else:
        values = tensors.read(path)
        assert all(isinstance(v, Tensor) and bool(v.isfinite().all()) for v in values.values())
        assert sum(value.numel() for value in values.values()) < 10**6


def mutated(name: str, content: bytes, drawn: random.Random) -> bytes:
    """Return a file with one to three of the mutations of its kind."""
    for _ in range(drawn.choice((1, 1, 2, 3))):
        kinds: list[Mutate] = [flipped, cut, repeated, overwritten]
        kinds += {"a.safetensors": [numbers] * 4, "a.pth": [record] * 4, "a.onnx": [field] * 4}.get(name, [])
        content = drawn.choice(kinds)(content, drawn)
    return content


def flipped(content: bytes, drawn: random.Random) -> bytes:
    """Return the bytes with some bits turned over, more often near the beginning."""
    changed = bytearray(content)
    for _ in range(drawn.choice((1, 2, 8))):
        end = len(changed) if drawn.random() < 0.5 else min(len(changed), 300)
        if end:
            changed[drawn.randrange(end)] ^= 1 << drawn.randrange(8)
    return bytes(changed)


def cut(content: bytes, drawn: random.Random) -> bytes:
    """Return the beginning of the bytes."""
    return content[: drawn.randrange(len(content) + 1)]


def repeated(content: bytes, drawn: random.Random) -> bytes:
    """Return the bytes with a part of them twice."""
    start = drawn.randrange(len(content) + 1)
    end = min(len(content), start + drawn.randrange(200))
    return content[:end] + content[start:]


def overwritten(content: bytes, drawn: random.Random) -> bytes:
    """Return the bytes with some of them random, all zeros or all ones."""
    start, length = drawn.randrange(len(content) + 1), drawn.choice((1, 2, 4, 8, 30))
    new = drawn.choice((bytes(length), b"\xff" * length, drawn.randbytes(length)))
    return content[:start] + new + content[start + length :]


def numbers(content: bytes, drawn: random.Random) -> bytes:
    """Return safetensors with a number or a word of its header replaced, and its length right again."""
    length = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + length], content[8 + length :]
    places = list(re.finditer(rb"\d+|\"[\w.]+\"", header))
    if not places:
        return content
    place = drawn.choice(places)
    new = drawn.choice((*EDGES, b'"F64"', b'"a"', header[place.start() : place.end()] * 2))
    header = header[: place.start()] + new + header[place.end() :]
    return len(header).to_bytes(8, "little") + header + rest


def record(content: bytes, drawn: random.Random) -> bytes:
    """Return a checkpoint with a record changed, left out or packed, its checksums right again."""
    file = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as old:
            records = {name: old.read(name) for name in old.namelist()}
    except Exception:  # an earlier mutation broke it already
        return content
    chosen = drawn.choice(sorted(records))
    packing = drawn.choice((zipfile.ZIP_STORED,) * 9 + (zipfile.ZIP_DEFLATED,))
    with zipfile.ZipFile(file, "w", packing) as new:
        for name, data in records.items():
            if name != chosen or drawn.random() < 0.9:
                change = drawn.choice((flipped, overwritten, repeated, cut))
                hit = name == chosen or name.endswith("data.pkl")
                new.writestr(name, change(data, drawn) if hit else data)
    return file.getvalue()


def field(content: bytes, drawn: random.Random) -> bytes:
    """Return an ONNX file with one of its fields changed to another value that the field can hold."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception:  # an earlier mutation broke it already
        return content
    drawn.choice([*_graph_edits(model, drawn), *_tensor_edits(model, drawn), *_node_edits(model, drawn)])()
    changed: bytes = model.SerializeToString()
    return changed


def _graph_edits(model: onnx.ModelProto, drawn: random.Random) -> list[Callable[[], object]]:
    graph, value = model.graph, drawn.choice(VALUES)
    return [
        partial(graph.initializer.add, name="x", data_type=1, dims=[value]),
        partial(model.opset_import.add, version=value),
        partial(graph.output.add, name="c"),
        partial(graph.input.add, name="z"),
        partial(graph.node.add, op_type="If", output=["k"]),
        graph.node.reverse,
    ]


def _tensor_edits(model: onnx.ModelProto, drawn: random.Random) -> Iterator[Callable[[], object]]:
    for tensor in model.graph.initializer:
        yield partial(tensor.dims.append, drawn.choice(VALUES))
        yield partial(setattr, tensor, "data_type", drawn.randrange(30))
        yield partial(tensor.external_data.add, key="location", value=drawn.choice(("../x", "/etc/passwd")))
        yield partial(setattr, tensor, "name", drawn.choice(("x", "", "y", 'a"b')))


def _node_edits(model: onnx.ModelProto, drawn: random.Random) -> Iterator[Callable[[], object]]:
    value = drawn.choice(VALUES)
    for node in model.graph.node:
        other = drawn.choice(("Tile", "Reshape", "Gelu", "Loop", "Pad", "Split"))
        yield partial(setattr, node, "op_type", other)
        yield partial(node.input.append, drawn.choice(("x", "y", "axes", "")))
        yield partial(setattr, node, "domain", "other")
        yield partial(node.attribute.append, helper.make_attribute("pads", [value] * 4))
        yield partial(node.attribute.append, helper.make_attribute("group", value))


def _limit_memory() -> None:
    """Let the process allocate no more than `ROOM` beyond what it has."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[5])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + ROOM
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


if __name__ == "__main__":
    raise SystemExit(main())
