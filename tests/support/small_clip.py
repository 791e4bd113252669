"""A tiny CLIP with random weights: open_clip's own classes and tokenizer, in files as people have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file

from engine.admission.admit import add
from models.added.record import AddedModel, Request

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def files(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Write the description and random weights into ``folder``; return where they are."""
    config, weights = folder / "tiny-clip.json", folder / "tiny.safetensors"
    config.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(config)
    torch.manual_seed(seed)
    network = open_clip.create_model("tiny-clip")
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.data *= 3  # so that words and images differ by more than rounding
    save_file({name: tensor.contiguous().clone() for name, tensor in network.state_dict().items()}, weights)
    return config, weights


def added(folder: Path, *words: str, name: str = "clip") -> AddedModel:
    """Add it by the real command's way: a process reads and checks it."""
    config, weights = files(folder)
    return add(Request(name, f"open_clip:{config}", weights, words=words, trusted=True))


def plain(folder: Path, x: torch.Tensor, texts: list[str]) -> torch.Tensor:
    """Return the logits ``(n, texts)`` for images in [0, 1] as open_clip's own example computes them."""
    config, weights = files(folder)
    network, _, transform = open_clip.create_model_and_transforms("tiny-clip", pretrained=str(weights))
    normalise: Any = transform.transforms[-1]
    network.eval()
    logits: torch.Tensor
    logits, _ = network.get_logits(normalise(x), open_clip.get_tokenizer("tiny-clip")(texts))
    return logits.detach()
