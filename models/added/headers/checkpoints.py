"""What a checkpoint of PyTorch declares: a zip archive of stored records, or the older row of pickles.

Source: ``torch/serialization.py``; PyTorch never compresses a record, so a compressed one is refused.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from errors import WeightsError
from models.added.headers.limits import (
    MOST_HEADER,
    MOST_TENSORS,
    DeclaredTensor,
    checked_shape,
    shown,
    sized,
    within,
)
from models.added.headers.opcodes import Call, Followed, Named, Persistent, follow

ZIP, PICKLE = b"PK\x03\x04", b"\x80"
END, END_64, LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
MOST_RECORDS = MOST_TENSORS + 1000
RECORD = 46
"""Bytes of a record in the directory of a zip archive at least."""
MOST_DIRECTORY = MOST_RECORDS * 512
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PICKLES = 5
"""The magic number, the protocol, the machine, the tensors' names, the storages' keys."""
STORAGES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8,
    "IntStorage": 4, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
"""Bytes of one number in each kind of storage that is read."""
REBUILDS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
PARAMETER = "torch._utils._rebuild_parameter"
CALLED = {
    *REBUILDS, PARAMETER, "collections.OrderedDict", "collections.Counter", "torch.Size", "torch.device",
    "__builtin__.set", "builtins.set", "_codecs.encode",
}  # fmt: skip
"""What a checkpoint may call: none of it allocates more than its arguments do."""
DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32")
HARMLESS = CALLED | {f"torch.{name}" for name in (*DTYPES, *STORAGES)}
"""What a checkpoint may name."""
BROKEN = "{path} is not a checkpoint that can be read: {reason}."
BEYOND = "{path} is damaged or made up: the tensor “{name}” claims more than the file holds."
OBJECTS = (
    "{path} holds Python objects beside tensors ({names}), which are never unpickled here: save "
    "model.state_dict() alone, or as safetensors."
)


class Storage(NamedTuple):
    """A storage of numbers: its ``key``, how many they are, the ``bytes`` of one."""

    key: str
    numbers: int
    bytes: int


def check_archive(path: Path) -> None:
    """Check what a zip archive of PyTorch declares; raises `errors.WeightsError` with a sentence."""
    size = sized(path)
    records = _records(path, size)
    names = [name for name in records if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(names) != 1:
        reason = "it is a zip archive, but not one that torch.save wrote"
        raise WeightsError(BROKEN, path=shown(path.name), reason=reason)
    top = names[0].removesuffix("data.pkl")
    followed = _followed(path, io.BytesIO(_content(path, records[names[0]])))[0]
    for storage in _storages(path, followed):
        record = records.get(f"{top}data/{storage.key}")
        if record is None or storage.numbers * storage.bytes > record.file_size:
            raise WeightsError(BEYOND, path=shown(path.name), name=shown(f"data/{storage.key}"))
    _tensors(path, followed)


def check_legacy(path: Path) -> None:
    """Check what a file of PyTorch's older format declares; raises `errors.WeightsError` with a sentence."""
    size = sized(path)
    with path.open("rb") as file:
        start = io.BytesIO(file.read(MOST_HEADER))
    followed = _followed(path, start, LEGACY_PICKLES)
    storages = [storage for one in followed for storage in _storages(path, one)]
    unique = {storage.key: storage.numbers * storage.bytes for storage in storages}
    if sum(unique.values()) > size or any(s.numbers * s.bytes > size for s in storages):
        raise WeightsError(BEYOND, path=shown(path.name), name="storage")
    for one in followed:
        _tensors(path, one)


def _records(path: Path, size: int) -> Mapping[str, zipfile.ZipInfo]:
    """Return the records of an archive by name; raises `errors.WeightsError` for any that PyTorch would not
    write: compressed, twice there, outside of its folder, beyond the file's end."""
    _check_directory(path, size)
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError) as error:
        raise WeightsError(BROKEN, path=shown(path.name), reason=shown(error)) from error
    records = {record.filename: record for record in listed}
    _refuse_programs(path, records)
    if len(records) != len(listed):
        reason = "two records of the archive have the same name"
        raise WeightsError(BROKEN, path=shown(path.name), reason=reason)
    for record in listed:
        _check_record(path, record, size)
    if sum(record.file_size for record in listed) > size:
        reason = "its records lie on each other"
        raise WeightsError(BROKEN, path=shown(path.name), reason=reason)
    return records


def _check_directory(path: Path, size: int) -> None:
    """Raise `errors.WeightsError` unless the archive ends with a directory of a bearable size."""
    with path.open("rb") as file:
        file.seek(max(0, size - 22 - 20))
        tail = file.read()
        end, locator = tail[-22:], tail[:-22]
        if len(end) < 22 or not end.startswith(END):
            reason = "the archive is cut off, or something follows it"
            raise WeightsError(BROKEN, path=shown(path.name), reason=reason)
        _, _, _, _, count, length, _, comment = struct.unpack("<4s4H2LH", end)
        if locator.startswith(LOCATOR_64) and len(locator) == 20:
            file.seek(min(int.from_bytes(locator[8:16], "little"), size))
            record = file.read(56)
            if record.startswith(END_64) and len(record) == 56:
                count, length = struct.unpack("<QQ", record[32:48])
    if count > MOST_RECORDS or length > min(MOST_DIRECTORY, size) or comment or count * RECORD > length:
        reason = f"its directory declares {count:,} records in {length:,} bytes"
        raise WeightsError(BROKEN, path=shown(path.name), reason=reason)


def _check_record(path: Path, record: zipfile.ZipInfo, size: int) -> None:
    name = record.filename
    plain = PurePosixPath(name)
    if record.compress_type != zipfile.ZIP_STORED or record.compress_size != record.file_size:
        words = (
            "{path} holds a compressed record (“{name}”, {packed:,} bytes for {whole:,}), which torch.save "
            "never writes: it is not unpacked."
        )
        facts = {"name": shown(name), "packed": record.compress_size, "whole": record.file_size}
        raise WeightsError(words, path=shown(path.name), **facts)
    if plain.is_absolute() or ".." in plain.parts or "\\" in name or not name.isprintable():
        words = "{path} holds a record with a name that leads elsewhere (“{name}”)."
        raise WeightsError(words, path=shown(path.name), name=shown(name))
    if record.header_offset < 0 or record.header_offset + record.file_size > size:
        raise WeightsError(BEYOND, path=shown(path.name), name=shown(name))


def _refuse_programs(path: Path, records: Iterable[str]) -> None:
    """Raise `errors.WeightsError` for archives that hold a program and not only tensors."""
    parts = {part for name in records for part in name.split("/")[1:]}
    kind = "torchscript" if {"code", "constants.pkl"} <= parts else ""
    kind = "export" if parts & {"archive_format", "serialized_exported_program.json"} else kind
    if kind:
        words = (
            "{path} holds a program and not only tensors: add it from the command line with "
            "--source {kind}:{path}, if you trust who made it."
        )
        raise WeightsError(words, path=shown(path.name), kind=kind)


def _content(path: Path, record: zipfile.ZipInfo) -> bytes:
    if record.file_size > MOST_HEADER:
        reason = f"the names of its tensors take {record.file_size:,} bytes"
        raise WeightsError(BROKEN, path=shown(path.name), reason=reason)
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(record)
    except (
        zipfile.BadZipFile,
        ValueError,
        struct.error,
        NotImplementedError,
        EOFError,
        RuntimeError,
    ) as error:
        raise WeightsError(BROKEN, path=shown(path.name), reason=shown(error)) from error


def _followed(path: Path, file: io.BytesIO, pickles: int = 1) -> list[Followed]:
    """Return what each of the pickles in a row asks for; raises `errors.WeightsError` when one asks for
    anything but tensors and plain values."""
    followed = []
    try:
        for _ in range(pickles):
            followed.append(follow(file))
            _refuse_objects(path, followed[-1])
    except ValueError as error:
        raise WeightsError(BROKEN, path=shown(path.name), reason=shown(error)) from error
    return followed


def _refuse_objects(path: Path, followed: Followed) -> None:
    called = [call.name for call in followed.calls if call.name not in CALLED]
    others = dict.fromkeys([*(name for name in followed.names if name not in HARMLESS), *called])
    if others:
        raise WeightsError(OBJECTS, path=shown(path.name), names=shown(", ".join(others)))


def _storages(path: Path, followed: Followed) -> list[Storage]:
    return [_storage(path, storage) for storage in followed.storages]


def _storage(path: Path, storage: Persistent) -> Storage:
    """Return what a pickle says of a storage: ("storage", its kind, its key, a device, how many numbers)."""
    about = storage.about
    if isinstance(about, tuple) and len(about) in (5, 6) and about[5:] in ((), (None,)):
        _, kind, key, _, numbers = about[:5]
        size = STORAGES.get(kind.name.removeprefix("torch.")) if isinstance(kind, Named) else None
        if size and isinstance(key, str) and type(numbers) is int and numbers >= 0:
            return Storage(key, numbers, size)
    reason = "it declares numbers of a kind that is not read"
    raise WeightsError(BROKEN, path=shown(path.name), reason=reason)


def _tensors(path: Path, followed: Followed) -> None:
    """Raise `errors.WeightsError` unless every tensor lies within its storage."""
    calls = [call for call in followed.calls if call.name in REBUILDS]
    within(path, [_tensor(path, call) for call in calls])


def _tensor(path: Path, call: Call) -> DeclaredTensor:
    arguments = call.arguments
    if not isinstance(arguments, tuple) or len(arguments) < 4 or not isinstance(arguments[0], Persistent):
        raise WeightsError(BEYOND, path=shown(path.name), name="?")
    storage, offset, shape, strides = arguments[:4]
    own = _storage(path, storage)
    if type(shape) is not tuple or type(strides) is not tuple or type(offset) is not int:
        raise WeightsError(BEYOND, path=shown(path.name), name=shown(own.key))
    lengths = checked_shape(path, own.key, shape)
    steps = checked_shape(path, own.key, strides)
    last = offset + sum((n - 1) * step for n, step in zip(lengths, steps, strict=False)) + 1
    whole = all(lengths)
    if len(steps) != len(lengths) or offset < 0 or (whole and last > own.numbers):
        raise WeightsError(BEYOND, path=shown(path.name), name=shown(own.key))
    tensor = DeclaredTensor(own.key, lengths, own.bytes)
    if tensor.count > own.numbers:
        raise WeightsError(BEYOND, path=shown(path.name), name=shown(own.key))
    return tensor
