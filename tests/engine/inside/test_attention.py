"""Attention with known answers: planted in a network of two layers, and beside what the libraries say."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import torchvision
from torch import Tensor, nn

from engine.inside import attention, saliency
from engine.inside.attention import Attentions, attended
from engine.inside.saliency import GRADIENT_ATTENTION, ROLLOUT, Methods, Saliency, SaliencyMap
from errors import BadSetting
from models.core import Classifier
from tests.engine.inside.test_saliency import classifier
from tests.support import hub_networks, small_clip

SIDE, TOKENS = 4, 17
FIRST, SECOND = 6, 11
"""The patch at which the class token looks, and the one at which that had looked in the layer before."""


class Planted(nn.Module):
    """A class token and 4 x 4 patches of one number each, the mean of their pixels. In the first layer every
    token looks at itself, but `FIRST`, which looks at `SECOND`; in the second the class token looks at
    `FIRST`. The logits are the class token's number, its negative, and 0."""

    def __init__(self, pooled: bool = False) -> None:
        super().__init__()
        scores = torch.full((2, 1, 2, TOKENS, TOKENS), -200.0)
        scores[..., range(TOKENS), range(TOKENS)] = 200.0
        for layer, (row, column) in enumerate(((1 + FIRST, 1 + SECOND), (0, 1 + FIRST))):
            scores[layer, :, :, row] = -200.0
            scores[layer, :, :, row, column] = 200.0
        self.scores, self.pooled = scores, pooled

    def forward(self, x: Tensor) -> Tensor:
        patches = nn.functional.avg_pool2d(x, 4).flatten(1)
        tokens = torch.cat([torch.zeros(len(x), 1), patches], 1)[:, None, :, None].expand(-1, 2, -1, 1)
        for scores in self.scores:
            tokens = scores.softmax(-1) @ tokens
        read = tokens.mean((1, 3))
        answer = read[:, 1:].mean(1) if self.pooled else read[:, 0]
        return torch.stack([answer, -answer, 0 * answer], 1)


def planted(pooled: bool = False) -> Classifier:
    return classifier(Planted(pooled), 16)


def patch_map(answer: Tensor, *patches: tuple[int, float]) -> None:
    """Check that a map is these values at these patches, and 0 elsewhere."""
    expected = torch.zeros(SIDE * SIDE)
    for patch, value in patches:
        expected[patch] = value
    assert torch.allclose(answer, expected.view(SIDE, SIDE), atol=1e-6)


def test_rollout_follows_planted_attention_through_both_layers() -> None:
    answer = attended(planted(), torch.full((1, 16, 16), 0.75), 0)
    assert answer.read.tolist() == [True] + [False] * (TOKENS - 1)
    patch_map(attention.rollout(answer), (FIRST, 0.25), (SECOND, 0.25))  # the rest stays with the class token


def test_gradient_x_attention_names_the_planted_patch_for_the_class_it_speaks_for() -> None:
    picture = torch.full((1, 16, 16), 0.25)
    picture[:, 8:12, 12:] = 0.75  # the patch SECOND, 1 once normalised; the others are 0
    network = planted()
    answer = attended(network, picture, 0)
    assert answer.logit == pytest.approx(1.0)
    # second layer: 1/2 a head for each of two heads, times the number 1; the first layer's as much
    patch_map(attention.gradient_attention(answer), (FIRST, 0.5), (SECOND, 0.25))
    patch_map(attention.gradient_attention(attended(network, picture, 1)))


def test_a_network_that_takes_the_mean_of_its_patches_is_read_at_all_of_them() -> None:
    answer = attended(planted(pooled=True), torch.full((1, 16, 16), 0.75), 0)
    assert answer.read.tolist() == [False] + [True] * (TOKENS - 1)
    share = 1 / SIDE**2
    rows = {patch: share for patch in range(SIDE**2)} | {FIRST: share / 2, SECOND: 1.5 * share}
    patch_map(attention.rollout(answer), *rows.items())


def test_the_maps_lie_where_the_attention_was_planted() -> None:
    for method in (ROLLOUT, GRADIENT_ATTENTION):
        (_, answer) = Saliency(np.full((1, 16, 16), 0.75, np.float32), 0, method).pieces(planted())
        assert isinstance(answer, SaliencyMap) and answer.method == method
        place = int(answer.values.argmax())
        assert (place // 16 // 4, place % 16 // 4) in ((1, 2), (2, 3)) and answer.values.shape == (16, 16)


def torchvision_network(layers: int) -> nn.Module:
    network: Any = torchvision.models.VisionTransformer(32, 8, layers, 2, 32, 64, num_classes=5).eval()
    nn.init.normal_(network.heads[-1].weight)  # else the logits depend on nothing
    vit: nn.Module = network
    return vit


def timm_network(**options: Any) -> nn.Module:
    timm: Any = importlib.import_module("timm")
    network: nn.Module = timm.create_model("test_vit", img_size=32, patch_size=8, num_classes=5, **options)
    return network.eval()


def networks() -> Iterator[tuple[str, Callable[[Path], nn.Module]]]:
    yield "torchvision", lambda folder: torchvision_network(3)
    yield "timm", lambda folder: timm_network()
    yield "timm, avg", lambda folder: timm_network(class_token=False, global_pool="avg")
    yield "timm, map", lambda folder: timm_network(class_token=False, global_pool="map")
    yield "transformers", lambda folder: Logits(hub_networks.transformers_network(folder / "vit"))
    yield "open_clip", clip
    yield "exported", exported


def exported(folder: Path) -> nn.Module:
    example = (torch.rand(1, 3, 32, 32),)
    program: nn.Module = torch.export.export(torchvision_network(2), example).module(check_guards=False)
    return program


def clip(folder: Path) -> nn.Module:
    small_clip.files(folder)
    network: nn.Module = open_clip.create_model("tiny-clip").visual
    return network.eval()


class Logits(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x).logits
        return logits


@pytest.mark.parametrize(("name", "build"), [pytest.param(*entry, id=entry[0]) for entry in networks()])
def test_networks_of_the_libraries_answer_as_before_and_all_their_layers_are_noted(
    name: str, build: Callable[[Path], nn.Module], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network, picture = build(tmp_path).requires_grad_(False), torch.rand(3, 32, 32)
    layers = sum(type(part).__name__ in ("EncoderBlock", "Block", "ViTLayer") for part in network.modules())
    layers += sum(type(part).__name__ == "ResidualAttentionBlock" for part in network.modules())
    answer = attended(network, picture, 1)
    layers = 2 if name == "exported" else layers + (name == "timm, map")
    assert len(answer.weights) == layers and layers > 0
    assert answer.logit == pytest.approx(float(network(picture[None])[0, 1]), abs=1e-5)
    assert all(torch.allclose(one.sum(-1), torch.ones(())) for one in answer.weights)
    assert all(float(one.abs().max()) > 0 for one in answer.gradients)
    whole, speaks = attention.rollout(answer), attention.gradient_attention(answer)
    assert whole.shape == speaks.shape == (4, 4) and float(whole.min()) > 0 and float(speaks.min()) >= 0
    assert float(whole.sum()) <= 1 + 1e-5
    if "," in name:
        assert float(whole.sum()) == pytest.approx(1)
    else:
        assert answer.read.sum() == 1


def test_the_weights_are_those_that_torch_gives_and_rollout_is_their_product() -> None:
    torch.manual_seed(0)
    network = torchvision_network(2)
    picture, known = torch.rand(3, 32, 32), []
    for part in network.modules():
        if isinstance(part, nn.MultiheadAttention):
            part.register_forward_hook(lambda layer, given, _: known.append(weights_of(layer, given[0])))
    answer = attended(network, picture, 1)
    product = torch.eye(17)
    for theirs, own in zip(known, answer.weights, strict=True):
        assert torch.allclose(theirs, own, atol=1e-6)
        product = (theirs.mean(0) + torch.eye(17)) / 2 @ product
    assert torch.allclose(attention.rollout(answer), product[0, 1:].view(4, 4), atol=1e-6)


def weights_of(layer: nn.MultiheadAttention, x: Tensor) -> Tensor:
    """Return the weights that torch's own function computes."""
    arguments: dict[str, Any] = {"need_weights": True, "average_attn_weights": False}
    t = x.transpose(0, 1).detach()
    with torch._C.DisableTorchFunction():
        _, weights = nn.functional.multi_head_attention_forward(
            t, t, t, layer.embed_dim, layer.num_heads, layer.in_proj_weight, layer.in_proj_bias, None, None,
            False, 0.0, layer.out_proj.weight, layer.out_proj.bias, training=False, **arguments,
        )  # fmt: skip
    assert weights is not None
    return weights[0].detach()


def test_windows_masks_and_networks_without_attention_are_refused_in_a_sentence() -> None:
    torch.manual_seed(0)
    picture = torch.rand(3, 32, 32)
    swin = torchvision.models.SwinTransformer([4, 4], 8, [2, 2], [2, 2], [4, 4], num_classes=5).eval()
    with pytest.raises(BadSetting, match="not every layer pays attention over the whole picture"):
        attended(swin, picture, 0)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5))
    with pytest.raises(BadSetting, match="passes nothing on by attention"):
        attended(plain, picture, 0)
    with Attentions() as noted:
        x = torch.rand(1, 2, 4, 8)
        nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
    assert not noted.complete and noted.weights == []


def test_more_attention_than_fits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "MOST", 1000)
    with pytest.raises(BadSetting, match="of at most"):
        attended(planted(), torch.rand(1, 16, 16), 0)


def test_which_methods_have_a_meaning() -> None:
    picture = torch.rand(3, 32, 32).numpy()
    vit = classifier(torchvision_network(2), 32, 3)
    convolutional = classifier(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 3)), 32, 3
    )
    assert set(next(Methods(picture).pieces(vit))) == set(saliency.METHODS) - {saliency.GRAD_CAM}
    assert set(next(Methods(picture).pieces(convolutional))) == set(saliency.METHODS[:3])
    with pytest.raises(BadSetting, match="Take attention rollout instead"):
        list(Saliency(picture, 0, saliency.GRAD_CAM).pieces(vit))
