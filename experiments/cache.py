"""Where the answers of an experiment's stages are stored: one file each, written whole or not at all.

A file that is empty or damaged (a crash, a bad disk) reads as absent, so its stage is carried out again. The
folder is held below `settings.cache_bytes`: what was not used for longest is removed first.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

import settings
from errors import FoolscopeError

log = logging.getLogger("foolscope")
UNFINISHED = ".unfinished-"
"""How the name of a file begins that is being written."""
SECONDS_UNFINISHED = 3600
"""After so long a file that is still unfinished was left behind by a process that died."""


def cache() -> Path:
    """Return the folder for what may be computed again."""
    return settings.home() / "experiments"


class Store:
    """A folder of answers (JSON) and of tensors, by name.

    ``limit``: bytes in all under the outermost store's ``folder``, by default `settings.cache_bytes`. Writing
    removes nothing beside what is written, so that one experiment alone may exceed the limit.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        self._root, self._limit = folder, limit

    def under(self, name: str) -> Store:
        """Return the store in a folder of this one."""
        inner = Store(self.folder / name, self._limit)
        inner._root = self._root
        return inner

    def has(self, name: str) -> bool:
        """Return whether an answer of that name is stored, and whole."""
        try:
            self.read(name)
        except FileNotFoundError:
            return False
        return True

    def read(self, name: str) -> Any:
        """Return what was `put` under ``name``; raises FileNotFoundError."""
        path = self._path(name, "json")
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _damaged(path) from error
        _use(path)
        return value

    def get(self, name: str) -> Any:
        """Return the answer of the stage ``name``; raises FileNotFoundError."""
        return self.read(name)["answer"]

    def put(self, name: str, value: object) -> None:
        """Store ``value`` (JSON) under ``name``; raises `errors.FoolscopeError` where that fails."""
        self._write(self._path(name, "json"), json.dumps(value).encode())

    def has_tensors(self, name: str) -> bool:
        """Return whether tensors of that name are stored, and whole."""
        path = self._path(name, "safetensors")
        try:
            with safe_open(path, "pt") as file:  # compares what its head says with the file's size
                file.keys()
        except (OSError, SafetensorError):
            return False
        return True

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors stored under ``name``; raises FileNotFoundError."""
        path = self._path(name, "safetensors")
        try:
            loaded = load_file(path)
        except SafetensorError as error:
            raise _damaged(path) from error
        _use(path)
        return loaded

    def put_tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Store ``tensors`` under ``name``; raises `errors.FoolscopeError` where that fails."""
        plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        self._write(self._path(name, "safetensors"), save(plain))

    def _path(self, name: str, kind: str) -> Path:
        return self.folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)}.{kind}"

    def _write(self, path: Path, data: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, data)
        except OSError as error:
            words = "An answer cannot be stored in {folder}: {reason}."
            raise FoolscopeError(words, folder=path.parent, reason=error.strerror or error) from error
        limit = settings.cache_bytes() if self._limit is None else self._limit
        _shrink(self._root, limit, path.parent)


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file so that after a crash, too, it is either whole or not there; raises OSError."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=UNFINISHED, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            file.close()
            os.replace(file.name, path)
        except BaseException:
            file.close()
            Path(file.name).unlink(missing_ok=True)
            raise
    if os.name == "posix":
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder are on the disk, where its file system can."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


class _File(NamedTuple):
    """When a file was used last (seconds since 1970), its size in bytes, and where it is."""

    used: float
    size: int
    path: Path


def _shrink(root: Path, limit: int, spared: Path) -> None:
    """Remove files under ``root``, the least recently used first, until ``limit`` bytes are left; the folder
    ``spared`` stays whole."""
    files = sorted(_files(root))
    total = sum(file.size for file in files)
    for file in files:
        left_behind = file.path.name.startswith(UNFINISHED) and time.time() - file.used > SECONDS_UNFINISHED
        if left_behind or (total > limit and file.path.parent != spared):
            with contextlib.suppress(OSError):  # another process may have removed it
                file.path.unlink()
                total -= file.size
                log.info("%s was removed from the cache", file.path)


def _files(folder: Path) -> Iterator[_File]:
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            facts = path.stat()
            if path.is_file():
                yield _File(facts.st_mtime, facts.st_size, path)


def _use(path: Path) -> None:
    """Note that a file was used just now; that it cannot be noted (a read-only disk) does no harm."""
    with contextlib.suppress(OSError):
        os.utime(path)


def _damaged(path: Path) -> FileNotFoundError:
    log.warning("%s is damaged and counts as absent", path)
    return FileNotFoundError(f"{path} is damaged.")


class Memory(Store):
    """A store that writes nothing to the disk: for what follows from a visitor's own photo."""

    def __init__(self) -> None:
        super().__init__(Path())
        self._answers: dict[str, Any] = {}
        self._tensors: dict[str, dict[str, Tensor]] = {}

    def under(self, name: str) -> Store:
        """Return this store: it is for one experiment."""
        return self

    def has(self, name: str) -> bool:
        """Return whether an answer of that name is stored."""
        return name in self._answers

    def read(self, name: str) -> Any:
        """Return what was `put` under ``name``; raises KeyError."""
        return self._answers[name]

    def put(self, name: str, value: object) -> None:
        """Store ``value`` (JSON) under ``name``."""
        self._answers[name] = value

    def has_tensors(self, name: str) -> bool:
        """Return whether tensors of that name are stored."""
        return name in self._tensors

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors stored under ``name``; raises KeyError."""
        return self._tensors[name]

    def put_tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Store ``tensors`` under ``name``."""
        self._tensors[name] = tensors
