"""``torchvision:NAME`` or ``torchvision:NAME@WEIGHTS``: a classifier of torchvision, with its own weights or
those of a file."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import settings
from errors import BadNetwork, UnknownName
from models.added import tensors
from models.added.record import AddedModel, Facts, Request
from models.added.source import Draft, Source
from models.download import Progress, download

DIGEST = re.compile(r"-([0-9a-f]{8,64})\.pth$")
LAST = "num_classes"
PLACES, PATCHES = "encoder.pos_embedding", "conv_proj.weight"
"""Tensors of vision transformers that say for how large images they are."""


class Torchvision(Source):
    """Every classifier of torchvision."""

    kind: ClassVar[str] = "torchvision"
    title: ClassVar[str] = "torchvision"
    example: ClassVar[str] = "torchvision:resnet34"
    help: ClassVar[str] = (
        "Any classifier of torchvision, with the weights that are published for it or with yours."
    )

    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Read the network; without a file its newest weights are downloaded and their sha256 checked."""
        name, chosen = _weights(request.rest)
        path = request.weights or _released(chosen, progress)
        given = tensors.understood(path, _empty(name, tensors.CLASSES))
        size = _side(given.values)
        classes = tensors.classes(given.values, _empty(name, tensors.CLASSES, size))
        facts = Facts(height=size or None) if request.weights else _facts(request.rest, chosen)
        network = tensors.put(given.values, _empty(name, classes, size))
        tensors.keep(network, folder)
        return Draft(network, facts, {"classes": classes, "size": size}, given.notes)

    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the network again, from what was kept."""
        name = record.source.partition(":")[2].partition("@")[0].strip()
        network = _empty(name, int(record.arguments["classes"]), int(record.arguments.get("size", 0)))
        return tensors.put(tensors.stored(folder), network)


def _models() -> Any:
    """Return torchvision's module of classifiers, which takes seconds to import."""
    return importlib.import_module("torchvision.models")


def _weights(rest: str) -> tuple[str, Any]:
    """Return a network's name and what torchvision says of the weights behind its “@”, of the newest where
    none are named; raises `errors.UnknownName`."""
    name, _, wanted = (part.strip() for part in rest.partition("@"))
    library = _models()
    known = library.list_models(module=library)
    if name not in known:
        raise UnknownName.of("network of torchvision", name, known)
    released = library.get_model_weights(name)
    if wanted and wanted not in released.__members__:
        raise UnknownName.of("file of weights", wanted, released.__members__)
    return name, released[wanted or "DEFAULT"]


def _released(chosen: Any, progress: Progress) -> Path:
    """Return the file of released tensors, downloaded into the cache of weights unless they are there."""
    if not chosen.meta["categories"]:
        words = "The weights {name} are for features alone, not for classes: choose others."
        raise BadNetwork(words, name=chosen.name)
    digest = DIGEST.search(chosen.url)
    if not digest:
        raise BadNetwork(
            "Nobody published a sha256 for {url}: download it and give it as --weights.", url=chosen.url
        )
    target = settings.home() / "weights" / chosen.url.rpartition("/")[2]
    return download(chosen.url, target, digest[1], progress=progress)


def _side(values: Mapping[str, Tensor]) -> int:
    """Return the side of the images in pixels that a vision transformer's tensors are for; 0 for others."""
    places = next((value for name, value in values.items() if name.endswith(PLACES)), None)
    patches = next((value for name, value in values.items() if name.endswith(PATCHES)), None)
    if places is None or patches is None or places.ndim != 3 or patches.ndim != 4:
        return 0
    return math.isqrt(max(places.shape[1] - 1, 0)) * patches.shape[-1]


def _empty(name: str, classes: int, size: int = 0) -> nn.Module:
    """Return the network before weights are put in, without the heads that only training used; ``size``: the
    side of the images that a vision transformer is for, 0 for its usual one."""
    arguments: dict[str, Any] = {LAST: classes} | ({"image_size": size} if size else {})
    if name in ("googlenet", "inception_v3"):
        arguments |= {"aux_logits": False, "init_weights": False, "transform_input": True}
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = _models().get_model(name, weights=None, **arguments)
    return network.eval()


def _facts(name: str, chosen: Any) -> Facts:
    seen = chosen.transforms()
    return Facts(
        title=f"{name} (torchvision)",
        height=seen.crop_size[0],
        width=seen.crop_size[0],
        channels=len(seen.mean),
        mean=tuple(seen.mean),
        std=tuple(seen.std),
        resize=seen.resize_size[0],
        interpolation=seen.interpolation.value,
        labels=tuple(chosen.meta["categories"]),
        licence="BSD-3-Clause; the training pictures are for non-commercial research",
        paper=chosen.meta.get("recipe", ""),
        training_set="ImageNet-1K (ILSVRC 2012)",
    )
