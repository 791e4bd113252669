"""Weights that the project trained itself, and the record that lies beside each of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from errors import MissingWeights
from models.core import Card, WeightsFile
from settings import ASSETS

FOLDER = ASSETS / "weights"
LICENCE = "trained by this project; free to use with it"


def read_record(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Return the training record of ``name``; raise `errors.MissingWeights` when there is none."""
    path = folder / f"{name}.json"
    if not path.is_file():
        raise MissingWeights(f"The training record {path.name} is missing: expected it in {folder}.")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def write_network(name: str, network: nn.Module, facts: Mapping[str, Any], folder: Path) -> Path:
    """Write ``network`` as float16 safetensors, and ``facts`` with the file's sha256 beside it.

    Returns the path of the weights. What batch norm only counts with is left as it is (int64).
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    tensors = {
        key: (value.half() if value.is_floating_point() else value).contiguous().clone()
        for key, value in network.state_dict().items()
    }
    save_file(tensors, path)
    path.chmod(0o644)
    raw = path.read_bytes()
    record = {
        "sha256": hashlib.sha256(raw).hexdigest(),
        "bytes": len(raw),
        "parameters": sum(p.numel() for p in network.parameters()),
        "licence": LICENCE,
        **facts,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return path


def trained_card(
    name: str, title: str, summary: str, paper: str, *, lab: bool = False, twin: str = "", order: int = 100
) -> Card:
    """Return the card of a network that this project trained: its facts are in its record.

    Without mean and deviation in the record, pictures are grey and taken as they are. ``lab``, ``twin`` and
    ``order``: see `models.core.Card`. Raises `errors.MissingWeights` when there is no record.
    """
    record = read_record(name)
    return Card(
        name=name,
        title=title,
        summary=summary,
        size=record["size"],
        labels=tuple(record["labels"]),
        weights=WeightsFile(f"{name}.safetensors", record["sha256"], bytes=record["bytes"]),
        mean=tuple(record.get("mean", (0.0,))),
        std=tuple(record.get("std", (1.0,))),
        training_set=record["data"],
        accuracy=record["accuracy"],
        parameters=record["parameters"],
        licence=record["licence"],
        paper=paper,
        offline=True,
        lab=lab,
        twin=twin,
        order=order,
    )
