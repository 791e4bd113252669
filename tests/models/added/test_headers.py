"""Hostile and damaged files of weights: each is refused in one sentence, from its header alone."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save

from errors import FoolscopeError, WeightsError
from models.added import tensors
from models.added.headers import limits
from models.added.headers import onnx as onnx_header
from tests.support import exported

MEBIBYTE = 2**20
GOOD = {"a": torch.ones(2, 3), "b": torch.ones(4)}


def described(header: object, data: bytes = b"") -> bytes:
    """Return a safetensors file with that header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(start: int, end: int, shape: list[int], kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


def checkpoint(content: object = GOOD, **options: bool) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def repacked(change: Callable[[str, bytes], tuple[str, bytes]], packing: int = zipfile.ZIP_STORED) -> bytes:
    """Return a checkpoint whose records were changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(checkpoint())) as old, zipfile.ZipFile(file, "w", packing) as new:
        for name in old.namelist():
            new.writestr(*change(name, old.read(name)))
    return file.getvalue()


def with_pickle(change: Callable[[bytes], bytes]) -> bytes:
    return repacked(lambda name, data: (name, change(data) if name.endswith("data.pkl") else data))


class Command:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch was_run",)


class Allocates:
    """What allocates a terabyte when it is unpickled, out of nothing that is forbidden."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return bytearray, (2**40,)


def million() -> bytes:
    """Return a header that names more tensors than are read, of no bytes."""
    return described({f"t{i}": entry(0, 0, [0]) for i in range(limits.MOST_TENSORS + 1)})


def grown() -> bytes:
    """Return a checkpoint of which one tensor claims to be larger than its storage."""
    return with_pickle(lambda data: data.replace(b"K\x02K\x03\x86", b"J\xff\xff\xff\x7fK\x03\x86", 1))


def bomb() -> bytes:
    """Return a checkpoint in which 64 MB of zeros are packed into some KB."""
    return repacked(
        lambda name, data: (name, bytes(64 * MEBIBYTE) if name.endswith("data/0") else data),
        zipfile.ZIP_DEFLATED,
    )


GIANT = b"\xff" * 7 + b"\x7f"
HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty": ("a.safetensors", lambda: b"", "at least a byte"),
    "text": ("a.pth", lambda: b"hello, world", "Expected a.pth to be safetensors or a file of torch.save"),
    "cut header": ("a.safetensors", lambda: save(GOOD)[:40], "a header of"),
    "cut tensors": ("a.safetensors", lambda: save(GOOD)[:-1], "beyond its end"),
    "giant header": ("a.safetensors", lambda: GIANT + b"{}", "a header of 9.22e\\+18 bytes"),
    "no JSON": ("a.safetensors", lambda: described(b"{'a"), "cannot be read"),
    "deep JSON": ("a.safetensors", lambda: described(b"[" * 200_000), "cannot be read"),
    "not names": ("a.safetensors", lambda: described([1, 2]), "names no tensors"),
    "twice": ("a.safetensors", lambda: described(b'{"a": 1, "a": 2}'), "occurs twice"),
    "overlap": (
        "a.safetensors",
        lambda: described({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, bytes(12)),
        "on the same bytes",
    ),
    "hole": (
        "a.safetensors",
        lambda: described({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, bytes(12)),
        "belong to no tensor",
    ),
    "negative": ("a.safetensors", lambda: described({"a": entry(0, 4, [-1])}, bytes(4)), "impossible shape"),
    "overflow": (
        "a.safetensors",
        lambda: described({"a": entry(0, 0, [2**62, 2**62, 4])}),
        "declares .* numbers",
    ),
    "dimensions": (
        "a.safetensors",
        lambda: described({"a": entry(0, 4, [1] * 99)}, bytes(4)),
        "impossible shape",
    ),
    "floats": (
        "a.safetensors",
        lambda: described({"a": {**entry(0, 4, [1]), "shape": [1.0]}}),
        "impossible shape",
    ),
    "short place": ("a.safetensors", lambda: described({"a": entry(0, 4, [2])}, bytes(4)), "not as long"),
    "backwards": ("a.safetensors", lambda: described({"a": entry(4, 0, [1])}, bytes(4)), "not as long"),
    "unknown type": (
        "a.safetensors",
        lambda: described({"a": entry(0, 4, [1], "F99")}),
        "a type that is not read",
    ),
    "many": ("a.safetensors", million, "declares 20,001 tensors; at most 20,000"),
    "disguised pickle": (
        "a.safetensors",
        lambda: pickle.dumps(GOOD),
        "is called safetensors and is a pickle",
    ),
    "disguised archive": ("a.safetensors", checkpoint, "is called safetensors and is a pickle"),
    "command": ("a.pth", lambda: checkpoint({"a": Command()}), r"Python objects .*\(posix.system\)"),
    "plain pickle": ("a.pth", lambda: pickle.dumps(Command()), "is not a checkpoint"),
    "old command": (
        "a.bin",
        lambda: checkpoint({"a": Command()}, _use_new_zipfile_serialization=False),
        "posix.system",
    ),
    "whole network": ("a.pt", lambda: checkpoint(torch.nn.Linear(2, 2)), "save model.state_dict\\(\\) alone"),
    "allocates": ("a.pth", lambda: checkpoint({"a": Allocates()}), "Python objects"),
    "grown": ("a.pth", grown, "claims more than the file holds"),
    "bomb": ("a.pth", bomb, "a compressed record"),
    "cut archive": ("a.pth", lambda: checkpoint()[:-30], "cut off"),
    "followed": ("a.pth", lambda: checkpoint() + b"more", "something follows"),
    "elsewhere": ("a.pth", lambda: repacked(lambda n, d: (f"../{n}", d)), "leads elsewhere"),
    "other archive": (
        "a.pth",
        lambda: repacked(lambda n, d: (f"deep/{n}", d)),
        "not one that torch.save wrote",
    ),
    "no storage": (
        "a.pth",
        lambda: repacked(lambda n, d: (n.replace("data/0", "data/9"), d)),
        "claims more than the file holds",
    ),
    "not numbers": (
        "a.pth",
        lambda: checkpoint({"a": torch.tensor([1.0, torch.nan])}),
        "infinite or not numbers",
    ),
    "no tensors": ("a.pth", lambda: checkpoint({"epoch": 3}), "Expected a.pth to hold tensors by name"),
    "a list": ("a.pth", lambda: checkpoint([torch.ones(2)]), "Expected a.pth to hold tensors by name"),
    "a tensor": ("a.pth", lambda: checkpoint(torch.ones(2)), "Expected a.pth to hold tensors by name"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file, make, sentence = HOSTILE[name]
    (tmp_path / file).write_bytes(make())
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=sentence) as caught:
            tensors.read(tmp_path / file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert peak < 80 * MEBIBYTE and not (tmp_path / "was_run").exists()


def test_what_is_refused_here_torch_alone_would_have_allocated(tmp_path: Path) -> None:
    """The reason why sizes are read off before torch reads."""
    content = checkpoint(_use_new_zipfile_serialization=False)
    assert content.count(b"K\x02K\x03\x86") == 1
    (tmp_path / "a.pth").write_bytes(content.replace(b"K\x02K\x03\x86", b"M\x00\x40K\x03\x86"))
    with pytest.raises(RuntimeError, match=f"wrong byte size.*{0x4000 * 3 * 4}"):  # it has grown by then
        torch.load(tmp_path / "a.pth", weights_only=True)
    with pytest.raises(WeightsError, match="claims more"):
        tensors.read(tmp_path / "a.pth")


def test_good_files_of_every_kind_are_read(tmp_path: Path) -> None:
    halves = {"a": torch.ones(2, 3).half(), "b": torch.ones(4).bfloat16(), "n": torch.tensor(7)}
    strided = {
        "a": torch.arange(6.0).reshape(3, 2).T,
        "b": torch.arange(9.0)[2:6],
        "p": torch.nn.Parameter(torch.ones(1)),
    }
    files = {
        "a.safetensors": save(GOOD),
        "b.safetensors": save(halves),
        "none.bin": save({"a": torch.ones(0, 3)}),
        "a.pth": checkpoint(strided),
        "b.pth": checkpoint(halves),
        "c.pt": checkpoint(strided, _use_new_zipfile_serialization=False),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        values = tensors.read(tmp_path / name)
        assert all(v.dtype == torch.float32 for k, v in values.items() if k != "n")
    assert torch.equal(tensors.read(tmp_path / "a.pth")["a"], strided["a"])
    assert torch.equal(tensors.read(tmp_path / "c.pt")["b"], strided["b"])


def test_names_from_a_file_are_shown_as_one_short_line() -> None:
    assert limits.shown("a\x1b[31m\r\nb\u202ec") == "a�[31m��b�c"
    assert len(limits.shown("x" * 10**6)) == limits.LONGEST_NAME


def test_a_name_with_control_signs_is_not_shown_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(described({"\x1b[2J\n": entry(0, 4, [-1])}, bytes(4)))
    with pytest.raises(WeightsError) as caught:
        tensors.read(tmp_path / "a.safetensors")
    assert str(caught.value).isprintable()


def tensor(**changes: object) -> onnx.TensorProto:
    """Return a constant of ONNX with some of its fields changed."""
    made = helper.make_tensor("w", TensorProto.FLOAT, [2, 2], np.ones(4, np.float32))
    for name, value in changes.items():
        made.ClearField(name)
        if isinstance(value, list):
            getattr(made, name).extend(value)
        else:
            setattr(made, name, value)
    return made


def outside(location: str, **more: str) -> onnx.TensorProto:
    """Return a constant whose numbers are in another file."""
    made = tensor(float_data=[], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        made.external_data.add(key=key, value=value)
    return made


def model(constant: onnx.TensorProto) -> bytes:
    made = exported.graph(helper.make_node("Flatten", ["x"], ["y"]), opset=17)
    made.graph.initializer.append(constant)
    content: bytes = made.SerializeToString()
    return content


ONNX = {
    "text": (lambda: b"hello, world", "is not ONNX"),
    "empty graph": (lambda: onnx.ModelProto(ir_version=8).SerializeToString(), "no graph"),
    "short": (lambda: model(tensor(float_data=[1.0])), "not as long"),
    "long": (lambda: model(tensor(dims=[2, 1])), "not as long"),
    "negative": (lambda: model(tensor(dims=[-2, -2])), "impossible shape"),
    "overflow": (lambda: model(tensor(dims=[2**62, 2**62])), "declares .* numbers"),
    "text tensor": (lambda: model(tensor(data_type=TensorProto.STRING)), "a type that is not read"),
    "up": (lambda: model(outside("../secret")), "outside of its folder"),
    "absolute": (lambda: model(outside("/etc/passwd")), "outside of its folder"),
    "link": (lambda: model(outside("link")), "outside of its folder"),
    "nowhere": (lambda: model(outside("")), "outside of its folder"),
    "missing": (lambda: model(outside("none")), "found none"),
    "too far": (lambda: model(outside("data", offset="1")), "not as long"),
    "no number": (lambda: model(outside("data", offset="x")), "not as long"),
}


@pytest.mark.parametrize("name", ONNX)
def test_a_hostile_onnx_file_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "data").write_bytes(bytes(16))
    make, sentence = ONNX[name]
    (folder / "a.onnx").write_bytes(make())
    with pytest.raises(FoolscopeError, match=sentence) as caught:
        onnx_header.checked(folder / "a.onnx", trusted=True)
    assert "\n" not in str(caught.value)


def test_tensors_beside_an_onnx_file_are_for_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(struct.pack("<5f", 9, 1, 2, 3, 4))
    (tmp_path / "a.onnx").write_bytes(model(outside("data", offset="4", length="16")))
    with pytest.raises(WeightsError, match="command line alone"):
        onnx_header.checked(tmp_path / "a.onnx", trusted=False)
    checked = onnx_header.checked(tmp_path / "a.onnx", trusted=True)
    constant = checked.graph.initializer[0]
    assert onnx.numpy_helper.to_array(constant).tolist() == [[1, 2], [3, 4]] and not constant.external_data


def test_a_file_above_the_limit_is_not_opened(tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.pth", "a.onnx"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(limits.MOST_BYTES + 1)  # no byte of it is on the disk
        with pytest.raises(WeightsError, match="Expected a[.].* to have at most"):
            (
                onnx_header.checked(tmp_path / name, True)
                if name == "a.onnx"
                else tensors.read(tmp_path / name)
            )
