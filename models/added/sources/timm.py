"""``timm:NAME``: a network of timm, with its own weights or those of a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from errors import BadNetwork, UnknownName
from models.added import hub, tensors, timm_networks
from models.added.record import AddedModel, CheckResult, Request
from models.added.source import Draft, Source
from models.download import Progress

TRIAL = 1000
"""Classes of the network that a file is compared with, to see for how many it is."""


class Timm(Source):
    """Every classifier of timm."""

    kind: ClassVar[str] = "timm"
    title: ClassVar[str] = "timm"
    example: ClassVar[str] = "timm:resnet18.a1_in1k"
    help: ClassVar[str] = "Any classifier of timm, with the weights that are published for it or with yours."
    packages: ClassVar[tuple[str, ...]] = ("timm",)

    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Read the network; without a file its own weights are fetched from the hub and verified."""
        config = _config(request.rest)
        if request.input:
            config |= {"input_size": (config["input_size"][0], request.input, request.input)}
        if request.weights:
            return _own(request, request.weights, config, folder)
        return _released(request, config, folder, progress)

    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the network again, from what was kept."""
        return timm_networks.build(folder)


def _config(name: str) -> dict[str, Any]:
    """Return what timm says of a network and its weights; raises `errors.UnknownName`."""
    library = timm_networks.library()
    known = library.list_models(pretrained=True) + library.list_models()
    if name not in known:
        raise UnknownName.of("network of timm", name, known)
    return dict(library.get_pretrained_cfg(name).to_dict())


def _description(name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "architecture": name.partition(".")[0],
        "num_classes": config["num_classes"],
        "pretrained_cfg": {key: value for key, value in config.items() if key not in timm_networks.NOWHERE},
    }


def _released(request: Request, config: dict[str, Any], folder: Path, progress: Progress) -> Draft:
    """Return the network with the weights that timm itself would fetch."""
    if not config["num_classes"]:
        raise BadNetwork(timm_networks.FEATURES)
    place = config.get("hf_hub_id")
    if not place:
        words = "timm has no weights for {name} on a hub: give a file of your own as --weights."
        raise BadNetwork(words, name=request.rest)
    source = hub.repository(place)
    (path,) = hub.fetch_all(source, hub.weights(source)[:1], progress)
    timm_networks.write(_description(request.rest, config), folder)
    network = timm_networks.create(folder, path)
    labels = timm_networks.labels_of(config) or timm_networks.known_labels(network)
    facts = timm_networks.facts(network, f"{request.rest} (timm)", labels, source.licence)
    return timm_networks.draft(network, facts, folder, source.notes())


def _own(request: Request, weights: Path, config: dict[str, Any], folder: Path) -> Draft:
    """Return the network with a person's own weights, for as many classes as they are for."""
    timm_networks.write(_description(request.rest, config | {"num_classes": TRIAL}), folder)
    trial = timm_networks.create(folder)
    given = tensors.understood(weights, trial)
    classes = tensors.classes(given.values, trial)
    timm_networks.write(_description(request.rest, config | {"num_classes": classes}), folder)
    network = tensors.put(given.values, timm_networks.create(folder))
    own = timm_networks.facts(network, "", None, "")
    words = "Mean and deviation are those of timm's own weights: say it if yours were trained with others."
    note = CheckResult("normalisation", "note", words)
    notes = () if request.mean and request.std else (note,)
    facts = replace(own, licence="", paper="")
    return timm_networks.draft(network, facts, folder, (*given.notes, *notes))
