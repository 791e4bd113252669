"""Where the answers of pieces are kept: one file each, written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

import settings


def cache() -> Path:
    """Return the folder for what may be computed again."""
    return settings.home() / "experiments"


class Store:
    """A folder of answers (JSON) and of tensors, by name. What is kept is never half written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def under(self, name: str) -> Store:
        """Return the store in a folder of this one."""
        return Store(self.folder / name)

    def has(self, name: str) -> bool:
        """Return whether an answer of that name is kept."""
        return self._path(name, "json").is_file()

    def read(self, name: str) -> Any:
        """Return what was `put` under ``name``; raises FileNotFoundError."""
        return json.loads(self._path(name, "json").read_text(encoding="utf-8"))

    def get(self, name: str) -> Any:
        """Return the answer of the piece ``name``; raises FileNotFoundError."""
        return self.read(name)["answer"]

    def put(self, name: str, value: Any) -> None:
        """Keep ``value`` (JSON) under ``name``."""
        self._write(self._path(name, "json"), json.dumps(value).encode())

    def has_tensors(self, name: str) -> bool:
        """Return whether tensors of that name are kept."""
        return self._path(name, "safetensors").is_file()

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors kept under ``name``; raises FileNotFoundError."""
        return load_file(self._path(name, "safetensors"))

    def put_tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Keep ``tensors`` under ``name``."""
        plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        self._write(self._path(name, "safetensors"), save(plain))

    def _path(self, name: str, kind: str) -> Path:
        return self.folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)}.{kind}"

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        os.replace(file.name, path)


class Memory(Store):
    """A store that writes nothing to the disk: for what follows from a visitor's own photo."""

    def __init__(self) -> None:
        super().__init__(Path())
        self._kept: dict[str, Any] = {}
        self._tensors: dict[str, dict[str, Tensor]] = {}

    def under(self, name: str) -> Store:
        """Return this store: it is for one experiment."""
        return self

    def has(self, name: str) -> bool:
        """Return whether an answer of that name is kept."""
        return name in self._kept

    def read(self, name: str) -> Any:
        """Return what was `put` under ``name``; raises KeyError."""
        return self._kept[name]

    def put(self, name: str, value: Any) -> None:
        """Keep ``value`` (JSON) under ``name``."""
        self._kept[name] = value

    def has_tensors(self, name: str) -> bool:
        """Return whether tensors of that name are kept."""
        return name in self._tensors

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Return the tensors kept under ``name``; raises KeyError."""
        return self._tensors[name]

    def put_tensors(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Keep ``tensors`` under ``name``."""
        self._tensors[name] = tensors
