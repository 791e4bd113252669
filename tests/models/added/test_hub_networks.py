"""Networks of timm and transformers, from a hub on the loopback address: they answer as they did there."""

from __future__ import annotations

import importlib
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.admission import worker
from errors import BadNetwork, BadSetting, UnknownName
from models import imagenet
from models.added import image_processor, shelf, source
from models.added.record import AddedModel, InputFormat, OutputFormat, Request
from models.core import Classifier
from models.download import silent
from settings import SAMPLES
from tests.support.hub_networks import FRUIT, PROCESSOR, SIDE, change, timm_network, transformers_network
from tests.support.hub_server import Hub

NAME = "someone/fruit"


def admitted(request: Request, folder: Path) -> AddedModel:
    folder.mkdir(parents=True)
    return worker.admit(request, folder, lambda **line: None)


def read(request: Request, folder: Path) -> source.Draft:
    folder.mkdir()
    return source.source_of(request).read(request, folder, silent)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every connection fail."""

    def refuse(*_: object) -> None:
        raise AssertionError("something asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def rebuilt(added: AddedModel) -> Classifier:
    """Return the network as it is built from what was kept, in its place."""
    return Classifier(shelf.card(added), shelf.build(added))


def logits(network: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        answer = network(x)
    return answer if isinstance(answer, Tensor) else answer.logits


def pictures(side: int) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_a_repository_of_timm_is_the_network_it_was(
    hub_server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    network = timm_network(tmp_path / "repo")
    hub_server.push(NAME, tmp_path / "repo")
    added = admitted(Request("fruit", f"hf-hub:{NAME}"), shelf.folder() / "fruit")
    own: Any = network.pretrained_cfg
    assert (added.labels, added.licence, added.title) == (FRUIT, "mit", NAME)
    assert added.input.height == own["input_size"][1] and added.input.mean == own["mean"]
    assert added.input.resize == int(own["input_size"][1] / own["crop_pct"])
    assert len([line for line in hub_server.asked if "/large/" in line]) == 1
    request.getfixturevalue("no_network")
    again, x = rebuilt(added), pictures(added.input.height)
    assert torch.equal(again(x), logits(network, (x - again.mean) / again.std))


@pytest.mark.parametrize("architecture", ["test_vit", "test_convnext", "test_efficientnet"])
def test_pictures_are_seen_as_timm_shows_them(hub_server: Hub, tmp_path: Path, architecture: str) -> None:
    network = timm_network(tmp_path / "repo", architecture)
    hub_server.push(NAME, tmp_path / "repo")
    added = admitted(Request("fruit", f"hf-hub:{NAME}"), shelf.folder() / "fruit")
    picture = Image.open(SAMPLES / "cat.jpg").convert("RGB")
    data = importlib.import_module("timm.data")
    show = data.create_transform(**data.resolve_model_data_config(network))
    again = rebuilt(added)
    ours = again(again.card.preprocess(picture)[None])
    theirs = logits(network, show(picture)[None])
    assert float((ours - theirs).abs().max()) < 0.02 * float(theirs.abs().max())


def test_a_network_of_timm_has_the_weights_that_timm_names(hub_server: Hub, tmp_path: Path) -> None:
    timm: Any = importlib.import_module("timm")
    network = timm.create_model("test_resnet", pretrained=False).eval()
    place = timm.get_pretrained_cfg("test_resnet.r160_in1k").hf_hub_id
    timm.models.save_for_hf(network, tmp_path / "repo", safe_serialization=True)
    hub_server.push(place, tmp_path / "repo")
    added = admitted(Request("tiny", "timm:test_resnet.r160_in1k"), shelf.folder() / "tiny")
    assert added.labels == imagenet.labels() and added.input.height == 160
    again, x = rebuilt(added), pictures(160)
    assert torch.equal(again(x), logits(network, (x - again.mean) / again.std))


def test_any_network_of_timm_takes_a_file(hub_server: Hub, tmp_path: Path) -> None:
    timm: Any = importlib.import_module("timm")
    small = timm.create_model("test_vit2", num_classes=6, img_size=64).eval()
    save_file(small.state_dict(), tmp_path / "small.safetensors")
    asked = Request("six", "timm:test_vit2", tmp_path / "small.safetensors", input=64)
    added = admitted(asked, shelf.folder() / "six")
    assert len(added.labels) == 6 and added.input.height == 64
    assert any("Mean and deviation are those of timm" in str(check) for check in added.checks)
    again, x = rebuilt(added), pictures(64)
    assert torch.equal(again(x), logits(small, (x - again.mean) / again.std))
    assert not hub_server.asked
    with pytest.raises(BadNetwork):
        read(Request("six", "timm:test_resnet", asked.weights), tmp_path / "other")


def test_a_repository_of_transformers_is_the_network_it_was(
    hub_server: Hub, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    network = transformers_network(tmp_path / "repo")
    hub_server.push(NAME, tmp_path / "repo")
    added = admitted(Request("fruit", f"transformers:{NAME}"), shelf.folder() / "fruit")
    assert (added.labels, added.licence, added.title) == (FRUIT, "mit", NAME)
    takes = added.input
    assert (takes.height, takes.interpolation) == (SIDE, "bicubic")
    assert takes.mean == pytest.approx((0.4, 0.5, 0.6)) and takes.std == pytest.approx((0.2, 0.25, 0.3))
    assert any("squeezes" in str(check) for check in added.checks)
    request.getfixturevalue("no_network")
    again, x = rebuilt(added), pictures(SIDE)
    assert torch.allclose(again(x), logits(network, (x - again.mean) / again.std), atol=1e-5)


def test_weights_in_several_files_are_put_together(hub_server: Hub, tmp_path: Path) -> None:
    network = transformers_network(tmp_path / "repo")
    (tmp_path / "repo" / "model.safetensors").unlink()
    network.save_pretrained(tmp_path / "repo", max_shard_size="10KB")  # type: ignore[operator]
    hub_server.push(NAME, tmp_path / "repo")
    assert sum(name.endswith(".safetensors") for name in hub_server.repositories[NAME]) > 1
    draft = read(Request("fruit", f"transformers:{NAME}"), tmp_path / "out")
    x = pictures(SIDE)
    assert torch.allclose(logits(draft.network, x), logits(network, x), atol=1e-5)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"auto_map": {"AutoConfig": "code.Config"}}, "brings its own code"),
        ({"architectures": ["ViTModel"]}, r"Expected an image classifier.*got ViTModel"),
        ({"architectures": ["DetrForObjectDetection"]}, "got DetrForObjectDetection"),
        ({"quantization_config": {"quant_method": "gptq"}}, "rounded weights"),
        ({"model_type": "nothing_known"}, "transformers cannot build the network"),
        ({"hidden_size": 24}, "tensors have other shapes"),
        ({"hidden_size": "many"}, "transformers cannot build the network"),
    ],
)
def test_what_transformers_cannot_do_is_refused(
    hub_server: Hub, tmp_path: Path, config: dict[str, object], sentence: str
) -> None:
    transformers_network(tmp_path / "repo", **config)
    hub_server.push(NAME, tmp_path / "repo")
    with pytest.raises(BadNetwork, match=sentence):
        read(Request("fruit", f"transformers:{NAME}"), tmp_path / "out")


def test_a_classifier_that_was_never_trained_is_refused(hub_server: Hub, tmp_path: Path) -> None:
    transformers_network(tmp_path / "repo")
    path = tmp_path / "repo" / "model.safetensors"
    body = {name: value for name, value in load_file(path).items() if not name.startswith("classifier")}
    save_file(body, path, {"format": "pt"})
    hub_server.push(NAME, tmp_path / "repo")
    with pytest.raises(BadNetwork, match=r"lack 2 tensors of the classifier, such as classifier\.bias"):
        read(Request("fruit", f"transformers:{NAME}"), tmp_path / "out")


def test_code_that_a_description_names_is_not_fetched(hub_server: Hub, tmp_path: Path) -> None:
    evil = {"attn_implementation": "someone/kernel", "_attn_implementation": "someone/kernel"}
    transformers_network(tmp_path / "repo", **evil)
    processor = tmp_path / "repo" / "preprocessor_config.json"
    hub_server.push(NAME, tmp_path / "repo")
    draft = read(Request("fruit", f"transformers:{NAME}"), tmp_path / "out")
    built: Any = draft.network
    assert built.network.config._attn_implementation == "eager"
    assert not any("kernel" in line for line in hub_server.asked)
    mark = tmp_path / "was-run"
    (tmp_path / "repo" / "code.py").write_text(f"open({str(mark)!r}, 'w')\nclass Own: pass\n")
    processor.write_text(json.dumps(PROCESSOR | {"auto_map": {"AutoImageProcessor": "code.Own"}}))
    hub_server.push(NAME, tmp_path / "repo")
    with pytest.raises(BadNetwork, match="brings its own code"):
        read(Request("fruit", f"transformers:{NAME}"), tmp_path / "again")
    assert not mark.exists() and not any("code.py" in line for line in hub_server.asked)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"architecture": "resnet_of_nobody"}, "one of timm's architectures, got “resnet_of_nobody”"),
        ({"architecture": 7}, "one of timm's architectures"),
        ({"model_args": {"pretrained": True}}, "got “pretrained”"),
        ({"model_args": {"checkpoint_path": "/etc/passwd"}}, "got “checkpoint_path”"),
        ({"model_args": ["x"]}, "got “model_args”"),
        ({"model_args": {"unheard": 1}}, "timm cannot build the network"),
        ({"num_classes": 9, "model_args": {"num_classes": 9}}, "timm cannot build the network"),
        ({"model_type": "vit"}, "add it as transformers:someone/fruit"),
    ],
)
def test_what_timm_cannot_do_is_refused(
    hub_server: Hub, tmp_path: Path, config: dict[str, object], sentence: str
) -> None:
    timm_network(tmp_path / "repo")
    change(tmp_path / "repo", **config)
    hub_server.push(NAME, tmp_path / "repo")
    with pytest.raises(BadNetwork, match=sentence):
        read(Request("fruit", f"hf-hub:{NAME}"), tmp_path / "out")


def test_a_network_without_classes_is_refused(hub_server: Hub, tmp_path: Path) -> None:
    timm_network(tmp_path / "repo", classes=0)
    hub_server.push(NAME, tmp_path / "repo")
    with pytest.raises(BadNetwork, match="features alone"):
        read(Request("fruit", f"hf-hub:{NAME}"), tmp_path / "out")


@pytest.mark.parametrize("kind", ["hf-hub", "transformers"])
def test_a_broken_file_of_tensors_is_refused(hub_server: Hub, tmp_path: Path, kind: str) -> None:
    """The hub vouches for the file, but nobody for its content."""
    (timm_network if kind == "hf-hub" else transformers_network)(tmp_path / "repo")
    path = tmp_path / "repo" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    hub_server.push(NAME, tmp_path / "repo")
    with pytest.raises(BadNetwork, match="cannot build the network"):
        read(Request("fruit", f"{kind}:{NAME}"), tmp_path / "out")


def test_what_is_asked_for_wrongly_is_said(hub_server: Hub, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="network of timm"):
        read(Request("x", "timm:resnet18.none"), tmp_path / "a")
    with pytest.raises(BadSetting, match="leave the file out"):
        read(Request("x", f"hf-hub:{NAME}", tmp_path / "file"), tmp_path / "b")
    with pytest.raises(BadNetwork, match="timm has no weights"):
        read(Request("x", "timm:legacy_xception"), tmp_path / "c")
    with pytest.raises(BadNetwork, match="features alone"):
        read(Request("x", "timm:vit_small_patch16_224.dino"), tmp_path / "d")
    assert not hub_server.asked


PROCESSORS: dict[str, tuple[dict[str, Any], int, bool]] = {
    "BitImageProcessor": (
        {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}},
        40,
        False,
    ),
    "ConvNextImageProcessor": ({"size": {"shortest_edge": 32}, "crop_pct": 0.8}, 40, False),
    "EfficientNetImageProcessor": ({"size": {"height": 32, "width": 32}}, 32, False),
    "MobileViTImageProcessor": (
        {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}},
        36,
        True,
    ),
}


@pytest.mark.parametrize("kind", PROCESSORS)
def test_a_processor_is_read_off_its_answers(kind: str) -> None:
    """What is read off shows the network the pixels that the processor itself shows it."""
    settings, resize, flip = PROCESSORS[kind]
    seen = image_processor.seen({"image_processor_type": kind, **settings}, {"model_type": "vit"})
    assert (seen.facts.height, seen.facts.resize, seen.flip) == (32, resize, flip)
    known = seen.facts
    assert known.height and known.width and known.channels and known.mean and known.std
    takes = InputFormat(
        known.height, known.width, known.channels, known.mean, known.std, known.resize, known.interpolation
    )
    picture = Image.fromarray(np.asarray(Image.open(SAMPLES / "cat.jpg").convert("RGB").resize((300, 300))))
    transformers = importlib.import_module("transformers")
    theirs = getattr(transformers, kind)(**settings)(images=picture, return_tensors="pt")["pixel_values"][0]
    added = AddedModel("x", "x", "x:y", takes, OutputFormat(), ("a", "b"), (), 0)
    card = shelf.card(added)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (card.mean, card.std))
    ours = (card.preprocess(picture) - mean) / std
    assert float((ours - (theirs.flip(0) if flip else theirs)).abs().mean()) < 0.02 / min(takes.std)
