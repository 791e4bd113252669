"""Networks that are added: read by a process of its own, checked, kept, found at once, gone when removed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision.models
from safetensors.torch import save_file
from torch import nn

import models
from app.cli import main
from attacks.contract import Stop
from engine.admission import worker
from engine.admission.admit import add
from engine.engine import Engine
from engine.recipe import Recipe
from errors import BadNetwork, BadSetting, FoolscopeError, UnknownName, WeightsError
from models.added import record, shelf, source
from models.added.record import AddedModel, Request
from models.core import Classifier
from settings import ROOT
from tests.support.own_process import add_here

SOURCE = "torchvision:shufflenet_v2_x0_5"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def added_here(monkeypatch: pytest.MonkeyPatch) -> None:
    add_here(monkeypatch)


def shufflenet(seed: int, classes: int = 7) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = torchvision.models.shufflenet_v2_x0_5(num_classes=classes)
    return network.eval()


def request_for(folder: Path, seed: int = 0, **more: object) -> tuple[nn.Module, Request]:
    """Return a network with random weights, and the request to add it from a file of them."""
    network, path = shufflenet(seed), folder / f"shufflenet-{seed}.safetensors"
    save_file(network.state_dict(), path)
    return network, Request("mine", SOURCE, path, input=64, **more)  # type: ignore[arg-type]


def answers(model: Classifier, network: nn.Module) -> float:
    """Return how far the logits of an added network are from those of the network that it was."""
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return float((model(x) - network((x - model.mean) / model.std)).abs().max())


def test_a_network_that_is_added_answers_as_it_did_and_can_be_attacked(home: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(["plum", "pear", "fig", "lime", "kiwi", "date", "sloe"]), "utf-8")
    network, asked = request_for(tmp_path, labels=labels, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
    stages: list[str] = []
    added = add(asked, stage=stages.append)
    assert stages[:2] == ["reading", "checking"] and added == shelf.get("mine")
    card = models.card("mine")
    assert (card.size, card.mean, card.std, card.labels[1]) == (64, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), "pear")
    assert added.parameters == sum(p.numel() for p in network.parameters())
    model = models.load("mine")
    assert answers(model, network) < 1e-5
    engine = Engine()
    try:
        recipe = Recipe("mine", "cat", "bim", {"steps": 2, "epsilon": 8 / 255}, stop=Stop("steps"))
        run = engine.submit(recipe)
        *_, last = engine.follow(run)
        assert run.status == "finished" and last == 2
        assert run.top(0, 1)[0].label in card.labels
        assert run.scalars(2, 3)[0].any()
    finally:
        engine.close()


@pytest.mark.usefixtures("added_here")
def test_what_is_refused_leaves_nothing(home: Path, tmp_path: Path) -> None:
    _, asked = request_for(tmp_path)
    wrong = Request("mine", "torchvision:resnet18", asked.weights)
    with pytest.raises(BadNetwork):
        add(wrong)
    assert not shelf.records() and not list(shelf.folder().iterdir())


def test_without_room_for_networks_it_is_said(home: Path, tmp_path: Path) -> None:
    _, asked = request_for(tmp_path)
    home.mkdir()
    (home / "models").write_text("a file where the folder should be", "utf-8")
    with pytest.raises(BadNetwork, match="Expected room to keep networks in .*models"):
        add(asked)


@pytest.mark.usefixtures("added_here")
def test_what_a_killed_process_left_is_removed(home: Path, tmp_path: Path) -> None:
    old, new = shelf.folder() / ".old", shelf.folder() / ".new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    with pytest.raises(FoolscopeError, match="no_such_network"):
        add(Request("mine", "torchvision:no_such_network"))
    assert not old.exists() and new.exists() and not shelf.records()


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "A", ".hidden", "x" * 49, "com\n", "a."])
def test_a_name_must_be_one_of_a_folder(home: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadSetting, match="Expected a name"):
        add(Request(name, SOURCE, tmp_path / "none"))


@pytest.mark.usefixtures("added_here")
def test_names_that_are_taken_stay(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="comes with Foolscope"):
        add(Request("lenet", SOURCE, tmp_path / "none"))
    first, asked = request_for(tmp_path)
    add(asked)
    second, other = request_for(tmp_path, seed=1)
    with pytest.raises(BadSetting, match="already"):
        add(other)
    engine = Engine()
    try:
        assert answers(engine.pool.get("mine"), first) < 1e-5
        before = engine.classify("mine", "cat")
        add(other, replace=True)
        assert answers(engine.pool.get("mine"), second) < 1e-5
        assert engine.classify("mine", "cat") != before
    finally:
        engine.close()
    shelf.remove("mine")
    with pytest.raises(UnknownName):
        models.card("mine")
    assert not list(shelf.folder().iterdir())


@pytest.fixture
def mine(home: Path, tmp_path: Path) -> AddedModel:
    """Keep a network called mine, read in this process."""
    _, asked = request_for(tmp_path)
    (shelf.folder() / "mine").mkdir(parents=True)
    added = worker.admit(asked, shelf.folder() / "mine", lambda **line: None)
    shelf.changed()
    return added


def test_a_file_that_changed_since_is_refused(mine: AddedModel) -> None:
    path = shelf.folder() / "mine" / mine.files[0].name
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(WeightsError, match="was changed since mine was added"):
        models.load("mine")


def test_a_damaged_record_costs_its_network_alone(mine: AddedModel) -> None:
    broken = shelf.folder() / "broken"
    broken.mkdir()
    later = shelf.folder() / "later"  # of a kind that a newer program knows
    later.mkdir()
    record.write(replace(mine, name="later", source="telepathy:x"), later)
    (broken / record.FILE).write_text('{"name": "broken", "labels": 3}', "utf-8")
    shelf.changed()
    assert set(shelf.records()) == {"mine"} and "broken" not in models.registry()


@pytest.mark.parametrize("kind", source.registry())
def test_a_kind_of_source_says_what_it_is(kind: str) -> None:
    one = source.registry()[kind]
    assert one.title and one.help.endswith(".") and one.example.startswith(f"{kind}:")
    needed = (ROOT / "requirements-more.txt").read_text("utf-8").replace("-", "_")
    assert all(f"\n{package}" in needed for package in one.packages)
    if one.runs_code:
        with pytest.raises(BadSetting, match="command line alone"):
            source.source_of(Request("mine", one.example))


def test_an_unknown_kind_and_a_missing_rest_are_refused(home: Path) -> None:
    for named in ("nonsense:x", "torchvision", "torchvision:"):
        with pytest.raises(UnknownName, match="kind of source"):
            add(Request("mine", named))


@pytest.mark.parametrize(
    ("text", "sentence"), [(b"\xff\xfe\x00", "text file"), (b"one\ntwo\n", "each of the network's 7 classes")]
)
def test_labels_that_do_not_fit_are_refused(home: Path, tmp_path: Path, text: bytes, sentence: str) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_bytes(text)
    _, asked = request_for(tmp_path, labels=labels)
    with pytest.raises(FoolscopeError, match=sentence):
        worker.admit(asked, tmp_path, lambda **line: None)


@pytest.mark.usefixtures("added_here")
def test_the_command_line_adds_shows_and_removes(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, asked = request_for(tmp_path)
    given = ["models", "add", "mine", "--source", SOURCE, "--weights", str(asked.weights), "--input", "64"]
    assert main(given) == 0
    assert "7 classes, 64 x 64 x 3" in capsys.readouterr().out
    assert main(["models"]) == 0 and "\nmine " in capsys.readouterr().out
    assert main(["models", "show", "mine"]) == 0 and "note" in capsys.readouterr().out
    assert main(["models", "remove", "mine"]) == 0 and not shelf.records()
    capsys.readouterr()
    assert main(["models", "remove", "mine"]) == 2
    assert capsys.readouterr().err == "There is no added network called “mine”: there is none yet.\n"
    assert main([*given, "--mean", "a,b"]) == 2 and "--mean" in capsys.readouterr().err
