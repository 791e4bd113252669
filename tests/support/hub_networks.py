"""Small networks with random weights, as repositories of a hub have them."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

FRUIT = ("plum", "pear", "fig", "lime", "kiwi")
SIDE = 32
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": SIDE, "width": SIDE},
    "image_mean": [0.4, 0.5, 0.6],
    "image_std": [0.2, 0.25, 0.3],
    "resample": 3,
}


def timm_network(folder: Path, architecture: str = "test_resnet", classes: int = len(FRUIT)) -> nn.Module:
    """Write a small network of timm into a folder as timm publishes it; return it."""
    timm: Any = importlib.import_module("timm")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network: nn.Module = timm.create_model(architecture, num_classes=classes).eval()
    folder.mkdir()
    timm.models.save_for_hf(network, folder, {"label_names": list(FRUIT)[:classes]}, safe_serialization=True)
    return network


def transformers_network(folder: Path, **config: object) -> nn.Module:
    """Write a small vision transformer into a folder as transformers publishes it; return it."""
    transformers: Any = importlib.import_module("transformers")
    described = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        image_size=SIDE, patch_size=8, id2label=dict(enumerate(FRUIT)), initializer_range=0.5,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        network: nn.Module = transformers.ViTForImageClassification(described).eval()
    network.save_pretrained(folder)  # type: ignore[operator]
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    change(folder, **config)
    return network


def change(folder: Path, **config: object) -> None:
    """Change values of a repository's config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
