"""``transformers:OWNER/REPO``: an image classifier of a hub that transformers can build from its own code."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

import settings
from errors import BadNetwork
from models.added import hub, image_processor, tensors
from models.added.record import AddedModel, CheckResult, Facts, Plain, Request
from models.added.source import Draft, Source
from models.download import Progress

CONFIG = "config.json"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
TASK = "ForImageClassification"
DROPPED = ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation")
"""What could name code of a hub in a description."""
LACKING = (
    "The repository's weights lack {count} tensors of the classifier, such as {name}: it was not trained to "
    "classify, or its config.json is of another network."
)
MISSHAPEN = "{count} of the repository's tensors have other shapes than its config.json says, such as {name}."
FIXED = {"trust_remote_code": False, "attn_implementation": "eager"}


class Logits(nn.Module):
    """A classifier of transformers as a map from images to logits; ``flip``: it takes blue first."""

    def __init__(self, network: nn.Module, flip: bool = False) -> None:
        super().__init__()
        self.network, self.flip = network, flip

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)`` for normalised images ``(n, c, h, w)``, red first."""
        logits: Tensor = self.network(pixel_values=x.flip(1) if self.flip else x).logits
        return logits


class Transformers(Source):
    """An image classifier in the format of transformers; no code of the repository is run."""

    kind: ClassVar[str] = "transformers"
    title: ClassVar[str] = "Hugging Face hub, for transformers"
    example: ClassVar[str] = "transformers:google/vit-base-patch16-224"
    help: ClassVar[str] = "A repository of the Hugging Face hub with an image classifier of transformers."
    takes_file: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("transformers", "huggingface_hub")

    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Read the network; its files are fetched and have the digests that the hub states."""
        source = hub.repository_of(request)
        config = _checked(hub.document(source, CONFIG), source)
        seen = _processor(source)
        files = hub.weights(source)
        paths = hub.fetch_all(source, files, progress)
        (folder / CONFIG).write_text(json.dumps(config, ensure_ascii=False, indent=1), encoding="utf-8")
        with tempfile.TemporaryDirectory(prefix=".", dir=settings.home() / "hub") as place:
            _gather(Path(place), config, source, dict(zip((file.name for file in files), paths, strict=True)))
            network, notes = _load(Path(place))
        flip = bool(seen and seen.flip)
        whole = Logits(network, flip).eval()
        tensors.keep(whole, folder)
        arguments: dict[str, Plain] = {"flip": flip}
        notes = (*source.notes(), *notes, *(seen.notes if seen else ()), *_head_notes(config))
        return Draft(whole, _facts(config, source, seen), arguments, notes)

    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the network again, from what was kept."""
        library = image_processor.library()
        with torch.random.fork_rng(devices=[]):
            config = library.AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            empty = library.AutoModelForImageClassification.from_config(config, dtype=torch.float32, **FIXED)
        whole = Logits(empty, bool(record.arguments.get("flip")))
        return tensors.put(tensors.stored(folder), whole)


def _checked(config: dict[str, Any], source: hub.Repository) -> dict[str, Any]:
    """Return a description without what could name code; raises `errors.BadNetwork` unless it is of an image
    classifier that transformers has itself."""
    if "auto_map" in config:
        words = "{repository} brings its own code (auto_map), which is not run: it cannot be added."
        raise BadNetwork(words, repository=source.name)
    if "architecture" in config and "model_type" not in config:
        words = "{repository} is a network of timm: add it as hf-hub:{repository}."
        raise BadNetwork(words, repository=source.name)
    named = config.get("architectures")
    named = [str(name) for name in named] if isinstance(named, list) else []
    if not any(TASK in name for name in named):
        words = "Expected an image classifier (…ForImageClassification), got {got}."
        raise BadNetwork(words, got=", ".join(named)[:100] or "nothing of the kind in config.json")
    if "quantization_config" in config:
        words = "{repository} has rounded weights (quantization_config), through which no gradient comes."
        raise BadNetwork(words, repository=source.name)
    return _without_code(config)


def _without_code(config: dict[str, Any]) -> dict[str, Any]:
    """Return a description without `DROPPED`, in all its parts."""
    return {
        name: _without_code(value) if isinstance(value, dict) else value
        for name, value in config.items()
        if name not in DROPPED
    }


def _processor(source: hub.Repository) -> image_processor.Seen | None:
    """Return what the repository's own image processor does; None where it has none."""
    for name in PROCESSORS:
        if name in source.names:
            described = hub.document(source, name)
            described = described.get("image_processor", described)
            if "auto_map" in described:
                words = "{repository} brings its own code (auto_map), which is not run: it cannot be added."
                raise BadNetwork(words, repository=source.name)
            return image_processor.seen(described, hub.document(source, CONFIG))
    return None


def _gather(place: Path, config: dict[str, Any], source: hub.Repository, paths: Mapping[str, Path]) -> None:
    """Put a repository's files into a folder under their own names, as transformers expects them."""
    (place / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    if "model.safetensors" not in paths and hub.INDEX in source.names:
        (place / hub.INDEX).write_text(json.dumps(hub.document(source, hub.INDEX)), encoding="utf-8")
    for name, path in paths.items():
        try:
            os.link(path, place / name)
        except OSError:  # a file system without links
            shutil.copyfile(path, place / name)


def _load(place: Path) -> tuple[nn.Module, tuple[CheckResult, ...]]:
    """Return the network in a folder, and what is left over of its files.

    Raises `errors.BadNetwork` when transformers cannot build it, or when tensors are missing.
    """
    try:
        network, report = image_processor.library().AutoModelForImageClassification.from_pretrained(
            place, use_safetensors=True, local_files_only=True, dtype=torch.float32,
            output_loading_info=True, ignore_mismatched_sizes=True, **FIXED,
        )  # fmt: skip
    except hub.refusals() as error:
        reason = hub.reason(error).replace(str(place), "the repository")
        raise BadNetwork("transformers cannot build the network: {reason}", reason=reason) from error
    _refuse(LACKING, sorted(report["missing_keys"]))
    _refuse(MISSHAPEN, sorted(str(item[0]) for item in report["mismatched_keys"]))
    words = "{count} tensors of the file are not used, such as {name}."
    left = sorted(report["unexpected_keys"])
    notes = (CheckResult("tensors", "note", words, {"count": len(left), "name": left[0]}),) if left else ()
    return network.eval(), notes


def _refuse(words: str, names: list[str]) -> None:
    """Raise `errors.BadNetwork` if there are any names of tensors."""
    if names:
        raise BadNetwork(words, count=len(names), name=names[0])


def _head_notes(config: Mapping[str, Any]) -> tuple[CheckResult, ...]:
    if config.get("problem_type") != "multi_label_classification":
        return ()
    words = "It was trained to give several labels to one image; here the greatest counts."
    return (CheckResult("labels", "note", words),)


def _facts(config: Mapping[str, Any], source: hub.Repository, seen: image_processor.Seen | None) -> Facts:
    names = config.get("id2label")
    numbered = isinstance(names, Mapping) and bool(names) and all(str(key).isdecimal() for key in names)
    labels = tuple(str(names[key]) for key in sorted(names, key=int)) if numbered and names else None
    size = config.get("image_size")
    known = seen.facts if seen else Facts(height=size if isinstance(size, int) else None)
    return replace(known, title=source.name[:80], labels=labels, licence=source.licence)
