"""What the sources that go through timm share: a network from a description, as timm's hub has it.

The description is ``config.json``: the architecture, how it is built, and what its input looks like.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from errors import BadNetwork
from models import imagenet
from models.added import hub, tensors
from models.added.record import CheckResult, Facts
from models.added.source import Draft

CONFIG = "config.json"
PILLOW = ("bilinear", "bicubic")
IMAGENET = "imagenet-1k"
FEATURES = "Expected a network for classes, got one that gives features alone."
NOWHERE = {"url": "", "hf_hub_id": "", "hf_hub_filename": "", "source": ""}
"""In place of where timm would fetch weights from."""


def library() -> Any:
    """Return timm, which takes seconds to import."""
    return importlib.import_module("timm")


def write(description: Mapping[str, Any], folder: Path) -> None:
    """Write a network's description into its folder."""
    (folder / CONFIG).write_text(json.dumps(description, ensure_ascii=False, indent=1), encoding="utf-8")


def create(folder: Path, weights: Path | None = None) -> nn.Module:
    """Return the network that a folder describes, in evaluation mode, with ``weights``, a file of
    safetensors, if there are any: timm puts them in, which knows the names that older files use.

    Raises `errors.BadNetwork` when timm cannot build it or the file does not fit.
    """
    overlay = NOWHERE | ({"file": str(weights)} if weights else {})
    try:
        with torch.random.fork_rng(devices=[]):
            network: nn.Module = library().create_model(
                f"local-dir:{folder}", pretrained=bool(weights), pretrained_cfg_overlay=overlay
            )
    except hub.refusals() as error:
        raise BadNetwork("timm cannot build the network: {reason}", reason=hub.reason(error)) from error
    return network.eval()


def build(folder: Path) -> nn.Module:
    """Return a network again, from what was kept of it."""
    return tensors.put(tensors.stored(folder), create(folder))


def draft(network: nn.Module, facts: Facts, folder: Path, notes: tuple[CheckResult, ...] = ()) -> Draft:
    """Keep a network's tensors in its folder, and return it with all that is known of it."""
    if not getattr(network, "num_classes", 0):
        raise BadNetwork(FEATURES)
    tensors.keep(network, folder)
    return Draft(network, facts, {}, (*notes, *crop_notes(network)))


def facts(network: nn.Module, title: str, labels: tuple[str, ...] | None, licence: str) -> Facts:
    """Return what timm says of a network's input, as its own evaluation does it."""
    seen = _evaluation(network)
    height, width = seen["input_size"][1:]
    own: Mapping[str, Any] = getattr(network, "pretrained_cfg", {})
    centre = seen["crop_mode"] == "center" and height == width
    return Facts(
        title=title[:80],
        height=height,
        width=width,
        channels=seen["input_size"][0],
        mean=tuple(map(float, seen["mean"])),
        std=tuple(map(float, seen["std"])),
        resize=math.floor(height / seen["crop_pct"]) if centre else None,
        interpolation=seen["interpolation"] if seen["interpolation"] in PILLOW else "bicubic",
        labels=labels,
        licence=licence or str(own.get("license") or ""),
        paper=_paper(own.get("paper_ids")),
    )


def crop_notes(network: nn.Module) -> tuple[CheckResult, ...]:
    """Return what is done otherwise than in timm's own evaluation."""
    seen = _evaluation(network)
    notes = []
    if seen["crop_mode"] != "center":
        words = (
            "Its own evaluation squeezes pictures into a square; here the square in their middle is taken."
        )
        notes.append(CheckResult("crop", "note", words))
    if seen["interpolation"] not in PILLOW:
        words = "Its own evaluation scales pictures by “{filter}”; here it is “bicubic”."
        notes.append(CheckResult("interpolation", "note", words, {"filter": str(seen["interpolation"])}))
    return tuple(notes)


def _evaluation(network: nn.Module) -> Mapping[str, Any]:
    data = importlib.import_module("timm.data")
    config: Mapping[str, Any] = data.resolve_model_data_config(network)
    return config


def _paper(ids: object) -> str:
    """Return the address of the first paper of timm's list, such as "arXiv:2110.00476"."""
    first = ids[0] if isinstance(ids, (list, tuple)) and ids else ids
    named = str(first or "").partition("arXiv:")[2]
    return f"https://arxiv.org/abs/{named}" if named else ""


def labels_of(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the labels in a description, in words where it has them; None where it has none."""
    names = config.get("label_names") or config.get("labels")
    if isinstance(names, Mapping):
        names = [names[key] for key in sorted(names, key=int)] if all(map(str.isdecimal, names)) else None
    if not isinstance(names, (list, tuple)) or not names:
        return None
    described = config.get("label_descriptions")
    meanings: Mapping[str, str] = described if isinstance(described, Mapping) else {}
    return tuple(str(meanings.get(name, name)) for name in names)


def known_labels(network: nn.Module) -> tuple[str, ...] | None:
    """Return ImageNet's labels for one of timm's own networks, by its number of classes; None for others."""
    data = importlib.import_module("timm.data")
    subset = data.infer_imagenet_subset(network)
    if subset is None:
        return None
    if subset == IMAGENET:
        return imagenet.labels()
    return tuple(data.ImageNetInfo(subset).label_descriptions())
