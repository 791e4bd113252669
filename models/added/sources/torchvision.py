"""``torchvision:NAME``: a classifier of torchvision's registry, with its own weights or those of a file."""

from __future__ import annotations

import importlib
import re
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

import settings
from errors import BadNetwork, UnknownName
from models.added import tensors
from models.added.record import AddedModel, Facts, Request
from models.added.source import Draft, Source
from models.download import Progress, download

DIGEST = re.compile(r"-([0-9a-f]{8,64})\.pth$")
LAST = "num_classes"


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
        chosen = _weights(request.rest)
        if request.weights:
            filled = tensors.fill(request.weights, partial(_empty, request.rest))
            facts = Facts()
        else:
            filled = tensors.fill(_released(chosen, progress), partial(_empty, request.rest))
            facts = _facts(request.rest, chosen)
        tensors.keep(filled.network, folder)
        return Draft(filled.network, facts, {"classes": filled.classes}, filled.notes)

    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the network again, from what was kept."""
        network = _empty(record.source.partition(":")[2], int(record.arguments["classes"]))
        return tensors.put(tensors.stored(folder), network)


def _models() -> Any:
    """Return torchvision's module of classifiers, which takes seconds to import."""
    return importlib.import_module("torchvision.models")


def _weights(name: str) -> Any:
    """Return what torchvision says of a network's newest weights; raises `errors.UnknownName`."""
    library = _models()
    known = library.list_models(module=library)
    if name not in known:
        raise UnknownName.of("network of torchvision", name, known)
    return library.get_model_weights(name).DEFAULT


def _released(chosen: Any, progress: Progress) -> Path:
    """Return the file of released tensors, downloaded into the cache of weights unless they are there."""
    digest = DIGEST.search(chosen.url)
    if not digest:
        raise BadNetwork(
            "Nobody published a sha256 for {url}: download it and give it as --weights.", url=chosen.url
        )
    target = settings.home() / "weights" / chosen.url.rpartition("/")[2]
    return download(chosen.url, target, digest[1], progress=progress)


def _empty(name: str, classes: int) -> nn.Module:
    """Return the network before weights are put in, without the heads that only training used."""
    arguments: dict[str, Any] = {LAST: classes}
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
