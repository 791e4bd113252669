"""Every classifier of torchvision, with every file of weights that is published for it."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import pytest
import torch
import torchvision.models
from torch import nn
from torchvision.models import regnet

from engine.admission import worker
from errors import BadNetwork, DownloadFailed, UnknownName
from models.added import shelf, tensors
from models.added.record import AddedModel, Request
from models.added.sources import torchvision as source
from models.core import Classifier
from models.download import ATTEMPTS, silent
from tests.support.file_server import Server

NAMES = torchvision.models.list_models(module=torchvision.models)
SMALL = torchvision.models.ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path / "home"))


def made(name: str, **arguments: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: nn.Module = torchvision.models.get_model(name, weights=None, **arguments)
    return network.eval()


def published(network: nn.Module, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server hand out the network's tensors as torchvision publishes them."""
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    server.content = file.getvalue()
    name = f"small-{hashlib.sha256(server.content).hexdigest()[:8]}.pth"
    monkeypatch.setattr(SMALL.value, "url", server.base + name)


def admitted(asked: Request) -> AddedModel:
    folder = shelf.folder() / asked.name
    folder.mkdir(parents=True)
    return worker.admit(asked, folder, lambda **line: None)


def difference(added: AddedModel, network: nn.Module) -> float:
    """Return how far the network's logits are from those of the one that is built from what was kept."""
    again = Classifier(shelf.card(added), shelf.build(added))
    x = torch.rand(1, 3, again.card.size, again.card.size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return float((again(x) - network((x - again.mean) / again.std)).abs().max())


@pytest.fixture
def widths_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let RegNets compute how wide they are where there are numbers."""
    own = regnet.BlockParams.from_init_params

    def widths(**given: object) -> object:
        with torch.device("cpu"):
            return own(**given)

    monkeypatch.setattr(regnet.BlockParams, "from_init_params", widths)


@pytest.fixture
def nothing_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build networks without drawing first weights: there are none on the meta device, but calls."""
    draws = ("normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_", "xavier_uniform_")
    for draw in draws:
        monkeypatch.setattr(nn.init, draw, lambda values, *_, **__: values)


@pytest.mark.usefixtures("widths_on_cpu", "nothing_drawn")
def test_there_are_eighty_and_all_can_be_built_and_verified() -> None:
    assert len(NAMES) == 80
    for name in NAMES:
        _, newest = source._weights(name)
        for weights in type(newest):
            assert source.DIGEST.search(weights.url), weights.url
            if not weights.meta["categories"]:
                continue
            facts = source._facts(name, weights)
            assert facts.height and facts.resize and facts.resize >= facts.height
            assert len(facts.mean or ()) == 3 and len(facts.labels or ()) == 1000
        with torch.device("meta"):
            side = newest.meta["min_size"][0] if name.startswith("vit_") else 0
            network = source._empty(name, 1000, side)
        assert next(network.parameters()).is_meta
        if name not in ("googlenet", "inception_v3"):  # whose heads for training are left out
            assert sum(p.numel() for p in network.parameters()) == newest.meta["num_params"], name


def test_the_weights_of_a_name_come_verified(
    file_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way they are named, they are the same, and come once."""
    network = made("shufflenet_v2_x0_5")
    published(network, file_server, monkeypatch)
    added = admitted(Request("small", "torchvision:shufflenet_v2_x0_5"))
    assert (added.input.height, added.input.resize, len(added.labels)) == (224, 256, 1000)
    assert difference(added, network) == 0
    asked = Request("again", "torchvision:shufflenet_v2_x0_5@IMAGENET1K_V1")
    again = source.Torchvision().read(asked, tmp_path, silent)
    assert (again.facts.height, again.facts.resize, len(again.facts.labels or ())) == (224, 256, 1000)
    values, own = again.network.state_dict(), network.state_dict()
    assert values.keys() == own.keys() and all(torch.equal(values[name], own[name]) for name in own)
    assert len(file_server.paths) == 1


def test_what_broke_off_goes_on(file_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(made("shufflenet_v2_x0_5"), file_server, monkeypatch)
    file_server.break_after = [200_000, *[0] * ATTEMPTS]
    with pytest.raises(DownloadFailed, match="are kept for the next try"):
        admitted(Request("small", "torchvision:shufflenet_v2_x0_5"))
    file_server.break_after, file_server.asked = [], []
    source.Torchvision().read(Request("again", "torchvision:shufflenet_v2_x0_5"), tmp_path, silent)
    assert file_server.asked == ["bytes=200000-"]


def test_weights_without_classes_are_refused() -> None:
    with pytest.raises(BadNetwork, match="IMAGENET1K_FEATURES are for features alone"):
        admitted(Request("vgg", "torchvision:vgg16@IMAGENET1K_FEATURES"))


def test_an_unknown_file_of_weights_names_those_that_are_there() -> None:
    with pytest.raises(UnknownName, match="IMAGENET1K_V2"):
        source._weights("resnet50@IMAGENET1K_V3")
    assert source._weights("resnet50@IMAGENET1K_V1")[1] != source._weights("resnet50")[1]


def test_a_vision_transformer_is_for_images_of_its_tensors_size(tmp_path: Path) -> None:
    values = {
        "encoder.pos_embedding": torch.zeros(1, 5 * 5 + 1, 8),
        "conv_proj.weight": torch.zeros(8, 3, 16, 16),
    }
    assert source._side(values) == 80
    assert source._side({"conv1.weight": torch.zeros(8, 3, 3, 3)}) == 0
    with torch.device("meta"):
        network = source._empty("vit_h_14", 1000, 518)
    assert network.get_parameter("encoder.pos_embedding").shape[1] == 37 * 37 + 1


def test_tensors_of_older_files_go_where_they_belong() -> None:
    dense = made("densenet121", num_classes=3)
    old = {re.sub(r"(norm|conv)([12])\.", r"\1.\2.", name): t for name, t in dense.state_dict().items()}
    old = {name: t for name, t in old.items() if "denselayer" in name or name in dense.state_dict()}
    renamed = tensors.renamed(dict(old) | {"aux1.fc1.weight": torch.zeros(1)}, dense).values
    assert set(old) != set(dense.state_dict()) == set(renamed)


def test_a_network_that_asks_for_its_version_is_built_again(tmp_path: Path) -> None:
    network = made("mnasnet0_5", num_classes=4)
    torch.save(network.state_dict(), tmp_path / "four.pth")
    added = admitted(Request("four", "torchvision:mnasnet0_5", tmp_path / "four.pth", input=64))
    assert difference(added, network) == 0 and len(added.labels) == 4
    assert tensors.KEPT in [file.name for file in added.files]
