"""Where pictures are that are not in the database's rows: a folder, or a bucket (`engine.history.s3`).

A name is parts that a "/" separates, such as runs/ID/12. Several servers may share a store; a picture
is in it whole or not at all.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast
from uuid import uuid4

import settings
from errors import HistoryFailed

FULL = (
    "Expected room in the folder of pictures that FOOLSCOPE_PICTURES names, but it is full: runs go on, and "
    "are kept once there is room."
)
READ_ONLY = (
    "Expected a folder of pictures that can be written to (FOOLSCOPE_PICTURES), got a read-only one: runs go "
    "on, but are not kept."
)
AWAY = (
    "Expected the store of pictures that FOOLSCOPE_PICTURES names to answer, got: {reason}; runs go on, and "
    "are kept once it does."
)
MEANINGS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.EACCES: READ_ONLY,
    errno.EPERM: READ_ONLY,
}
PART = ".part-"
"""What the name of a file begins with that is not whole yet."""


@dataclass(frozen=True)
class Entry:
    """A picture in a store: its name, its size in bytes, and when it was written, in seconds since 1970."""

    name: str
    bytes: int
    written: float


class PictureStore(Protocol):
    """Keeps bytes under names. Every method raises `errors.HistoryFailed` when the store fails."""

    def put(self, pictures: Mapping[str, bytes]) -> None:
        """Write pictures by name, over those of the same names."""

    def get(self, names: Collection[str]) -> dict[str, bytes]:
        """Return those of the pictures that are there, by name."""

    def delete(self, names: Collection[str]) -> None:
        """Delete pictures; a name that is not there is no error."""

    def entries(self) -> Iterator[Entry]:
        """Yield everything that is there."""


def total(store: PictureStore) -> int:
    """Return how many bytes all pictures of a store take; raises `errors.HistoryFailed`."""
    return sum(entry.bytes for entry in store.entries())


def named(needed: bool = False) -> PictureStore | None:
    """Return the store that `settings.pictures` names; where it names none, a folder of `settings.home` if
    one is ``needed``, else None: pictures are in the database.

    Raises `errors.BadSetting`.
    """
    place = settings.pictures() or (str(settings.home() / "pictures") if needed else "")
    if not place:
        return None
    if place.startswith(settings.S3):
        bucket, _, prefix = place.removeprefix(settings.S3).partition("/")
        # It brings boto3, an extra.
        return cast("PictureStore", importlib.import_module("engine.history.s3").S3(bucket, prefix))
    return Folder(Path(place).expanduser())


class Folder:
    """Pictures as files under ``root``, which is made when the first is written."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, pictures: Mapping[str, bytes]) -> None:
        """Write files, each of which is there at once; see `PictureStore`."""
        with _meaning():
            for name, data in pictures.items():
                self._write(self._root / name, data)

    def get(self, names: Collection[str]) -> dict[str, bytes]:
        """Return the files that are there; see `PictureStore`."""
        with _meaning():
            paths = {name: self._root / name for name in names}
            return {name: data for name, path in paths.items() if (data := _read(path)) is not None}

    def delete(self, names: Collection[str]) -> None:
        """Delete files, and the folders that are empty then; see `PictureStore`."""
        with _meaning():
            for name in names:
                (self._root / name).unlink(missing_ok=True)
            for folder in {(self._root / name).parent for name in names}:
                _remove_empty(folder)

    def entries(self) -> Iterator[Entry]:
        """Yield the files, those that are not whole too; see `PictureStore`."""
        with _meaning():
            for folder, _, files in os.walk(self._root):
                for file in files:
                    path = Path(folder, file)
                    if (facts := _facts(path)) is not None:
                        yield Entry(path.relative_to(self._root).as_posix(), facts.st_size, facts.st_mtime)

    def _write(self, path: Path, data: bytes) -> None:
        part = path.with_name(PART + uuid4().hex)
        try:
            self._fill(part, data)
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def _fill(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes(data)
        except FileNotFoundError:  # another server found the folder empty, and removed it
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


@contextmanager
def _meaning() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise HistoryFailed(MEANINGS.get(error.errno or 0, AWAY), reason=reason) from error


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _facts(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # deleted meanwhile
        return None


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise
