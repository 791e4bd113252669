"""``hf-hub:OWNER/REPO``: a network of a hub that timm can build."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from errors import BadNetwork
from models.added import hub, timm_networks
from models.added.record import AddedModel, Request
from models.added.source import Draft, Source
from models.download import Progress


class HuggingFaceHub(Source):
    """A repository whose ``config.json`` names one of timm's architectures."""

    kind: ClassVar[str] = "hf-hub"
    title: ClassVar[str] = "Hugging Face hub, for timm"
    example: ClassVar[str] = "hf-hub:timm/resnet18.a1_in1k"
    help: ClassVar[str] = "A repository of the Hugging Face hub whose config.json names a network of timm."
    takes_file: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("timm", "huggingface_hub")

    def read(self, request: Request, folder: Path, progress: Progress) -> Draft:
        """Read the network; its files are fetched and have the digests that the hub states."""
        source = hub.repository_of(request)
        config = hub.document(source, timm_networks.CONFIG)
        _check(config, source)
        (path,) = hub.fetch_all(source, hub.weights(source)[:1], progress)
        timm_networks.write(config, folder)
        network = timm_networks.create(folder, path)
        own = config.get("pretrained_cfg")
        labels = timm_networks.labels_of({**(own if isinstance(own, dict) else {}), **config})
        facts = timm_networks.facts(network, source.name, labels, source.licence)
        return timm_networks.draft(network, facts, folder, source.notes())

    def build(self, record: AddedModel, folder: Path) -> nn.Module:
        """Return the network again, from what was kept."""
        return timm_networks.build(folder)


def _check(config: dict[str, Any], source: hub.Repository) -> None:
    """Raise `errors.BadNetwork` unless the description is of one of timm's architectures, and only that."""
    if "architectures" in config or "model_type" in config:
        words = "{repository} is a network of transformers: add it as transformers:{repository}."
        raise BadNetwork(words, repository=source.name)
    architecture = str(config.get("architecture", ""))
    if not timm_networks.library().is_model(architecture):
        words = "Expected config.json to name one of timm's architectures, got “{got}”."
        raise BadNetwork(words, got=architecture[:80])
    arguments = config.get("model_args") or {}
    refused = [name for name in arguments if str(name).startswith(("pretrained", "checkpoint", "features"))]
    if not isinstance(arguments, dict) or refused:
        words = "Expected config.json to say how the network is built alone, got “{got}”."
        raise BadNetwork(words, got=", ".join(map(str, refused)) or "model_args")
