"""A network of every kind: made on the spot, added by the command line, attacked there and on the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import timm
import torch
import torchvision.models
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

import models
from app import service
from app.cli import main
from engine.engine import Engine
from models import weights
from models.added import shelf
from models.added.record import AddedModel
from tests.support import exported as written
from tests.support.own_process import add_here

ONE_OUTPUT = '''"""A network of one output, for a test."""
import torch
from torch import nn

labels = ("calm", "busy")
size, mean, std = 48, (0.5,), (0.25,)


def build() -> nn.Module:
    torch.manual_seed(3)
    layers = nn.Conv2d(1, 4, 5, 2), nn.Tanh(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 1)
    return nn.Sequential(*layers)
'''


# onnx2torch's own, of its slices.
pytestmark = pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")


@dataclass(frozen=True)
class Kind:
    """How one is made in a folder, as what follows ``models add NAME --source``; what its checks must say."""

    make: Callable[[Path], list[str]]
    classes: int
    says: str = ""


def shufflenet(folder: Path, classes: int) -> list[str]:
    torch.manual_seed(0)
    path = folder / f"shufflenet-{classes}.safetensors"
    save_file(torchvision.models.shufflenet_v2_x0_5(num_classes=classes).state_dict(), path)
    return ["torchvision:shufflenet_v2_x0_5", "--weights", str(path), "--input", "64"]


def tiny_transformer(folder: Path) -> list[str]:
    torch.manual_seed(1)
    path = folder / "tiny.safetensors"
    save_file(timm.create_model("test_vit", num_classes=5).state_dict(), path)
    return ["timm:test_vit", "--weights", str(path)]


def exported(folder: Path) -> list[str]:
    network = written.shufflenet()
    path = written.to_onnx(network, folder / "exported.onnx")
    return [f"onnx:{path}", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]


def one_output(folder: Path) -> list[str]:
    (folder / "one.py").write_text(ONE_OUTPUT, "utf-8")
    return [f"python:{folder / 'one.py'}"]


def wrongly_normalised(folder: Path) -> list[str]:
    """Return EfficientNet-Lite0 with ImageNet's mean and deviation, with which it was not trained."""
    located = weights.fetch(models.card("efficientnet_lite0"))
    code = (
        "from models.efficientnet_lite import EfficientNetLite, MEMBERS\n"
        "member = MEMBERS['efficientnet_lite0']\n"
        "def build():\n    return EfficientNetLite(member.scale, member.size)\n"
    )
    (folder / "lite0.py").write_text(code, "utf-8")
    given = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225", "--input", "128"]
    return [f"python:{folder / 'lite0.py'}", "--weights", str(located.path), *given]


KINDS = {
    "shuffle": Kind(lambda folder: shufflenet(folder, 7), 7),
    "with_background": Kind(lambda folder: shufflenet(folder, 1001), 1000, "background"),
    "tiny_vit": Kind(tiny_transformer, 5),
    "from_onnx": Kind(exported, written.CLASSES),
    "one_output": Kind(one_output, 2),
    "wrong_lite0": Kind(wrongly_normalised, 1000, "seems to have been trained with"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Provide a home in which every kind is added, by this process."""
    folder = tmp_path_factory.mktemp("kinds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOOLSCOPE_HOME", str(folder / "home"))
        add_here(patch)
        for name, kind in KINDS.items():
            assert main(["models", "add", name, "--source", *kind.make(folder)]) == 0
        yield folder


@pytest.fixture(scope="module")
def engine(home: Path) -> Iterator[Engine]:
    """Provide the engine of a page."""
    running = Engine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "engine", lambda: running)
        yield running
    running.close()


def added(name: str) -> AddedModel:
    return shelf.get(name)


@pytest.mark.parametrize("name", KINDS)
def test_its_checks_say_what_it_is(home: Path, name: str) -> None:
    kind, network = KINDS[name], added(name)
    assert len(network.labels) == kind.classes == len(models.card(name).labels)
    assert kind.says in " ".join(map(str, network.checks))
    assert {"gradient", "normalisation"} <= {result.check for result in network.checks}


@pytest.mark.parametrize("name", ["tiny_vit", "from_onnx", "one_output"])
def test_the_command_line_attacks_it(home: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = home / f"out-{name}"
    command = [
        "attack",
        "cat",
        "--model",
        name,
        "--attack",
        "bim",
        "--set",
        "steps=2",
        "--set",
        "epsilon=8/255",
    ]
    assert main([*command, "--stop", "steps", "--out", str(out)]) == 0
    result = json.loads((out / "result.json").read_text("utf-8"))
    assert result["steps"] == 2 and result["linf"] > 0
    assert {result["original"]["label"], result["final"]["label"]} <= set(added(name).labels)


def page() -> None:
    from app.playground.page import render

    render()


@pytest.mark.parametrize("name", KINDS)
def test_the_page_attacks_it(engine: Engine, name: str) -> None:
    shown = AppTest.from_function(page, default_timeout=120)
    for part, value in {
        "model": name,
        "attack": "bim",
        "steps": "2",
        "stop": "steps",
        "image": "cat",
    }.items():
        shown.query_params[part] = value
    shown.run()
    next(button for button in shown.button if button.key == "start").click().run()
    assert not shown.exception and not shown.error
    run = engine.run(shown.session_state["session"].run)
    *_, last = engine.follow(run)
    assert run.recipe.model == name and run.status == "finished" and last == 2
    assert run.scalars(2, 3)[0].any()
