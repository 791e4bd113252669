"""Networks from files: every kind answers as the network that was written down, and can be attacked."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

import models
from app.cli import main
from attacks.contract import Stop
from engine.admission.admit import add
from engine.engine import Engine
from engine.recipe import Recipe
from errors import BadSetting, FoolscopeError, WeightsError
from models.added import shelf
from models.added.record import Request
from models.added.sources.torch_export import Export
from tests.support import exported
from tests.support.own_process import add_here

NORMALISED = ["--input", "64", "--mean", "0,0,0", "--std", "1,1,1"]
PYTHON = """
import torch
from torch import nn

labels = ["plum", "pear", "fig"]
mean, std, size = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3], 16


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        HERE
        return self.head(self.body(x))


def build():
    return Small()
"""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def network_for(kind: str) -> nn.Module:
    """Return the network that is written as a file of that kind."""
    return exported.few_layers() if kind == "export" else exported.shufflenet()


def written(kind: str, network: nn.Module, folder: Path) -> list[str]:
    """Write a network as a file of that kind; return the options that add it."""
    if kind == "state dict":
        values = {f"module.backbone.{name}": value for name, value in network.state_dict().items()}
        torch.save({"epoch": 3, "model_state_dict": values}, folder / "net.pth")
        return ["--source", "torchvision:shufflenet_v2_x0_5", "--weights", str(folder / "net.pth")]
    if kind == "torchscript":
        return ["--source", f"torchscript:{exported.to_torchscript(network, folder / 'net.pt')}"]
    if kind == "export":
        return ["--source", f"export:{exported.to_export(network, folder / 'net.pt2', dynamic=True)}"]
    return ["--source", f"onnx:{exported.to_onnx(network, folder / 'net.onnx')}"]


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
@pytest.mark.parametrize(
    ("kind", "remark"),
    [
        ("state dict", "begin with “module.backbone.”"),
        ("onnx", "exported for one image at a time; its shapes were changed"),
        ("torchscript", "run code"),
        ("export", "run code"),
    ],
)
def test_every_kind_of_file_answers_as_its_network_and_is_attacked(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    remark: str,
) -> None:
    add_here(monkeypatch)
    network = network_for(kind)
    options = written(kind, network, tmp_path)
    assert main(["models", "add", "mine", *options, *NORMALISED]) == 0
    printed = capsys.readouterr().out
    assert remark in printed and "7 classes, 64 x 64 x 3" in printed
    x = exported.images()
    engine = Engine()
    try:
        with torch.no_grad():
            assert (engine.pool.get("mine")(x) - network(x)).abs().max() < 1e-4
        run = engine.submit(
            Recipe("mine", "cat", "bim", {"steps": 2, "epsilon": 8 / 255}, stop=Stop("steps"))
        )
        *_, last = engine.follow(run)
        assert run.status == "finished" and last == 2 and run.scalars(2, 3)[0].any()
    finally:
        engine.close()


def test_a_python_file_is_added_named_from_where_people_are_and_not_run_once_changed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.py").write_text(PYTHON.replace("HERE", "pass"), "utf-8")
    (tmp_path / "errors.py").write_text("raise SystemExit('the wrong file')", "utf-8")
    monkeypatch.chdir(tmp_path)
    added = add(Request("mine", "python:../" + tmp_path.name + "/net.py", trusted=True))
    assert added.source == "python:net.py"
    assert added.labels == ("plum", "pear", "fig") and added.input.mean == (0.5, 0.4, 0.3)
    assert added.input.size == 16 and added.parameters == 4 * 3 * 9 + 4 + 4 * 3 + 3
    x = torch.rand(2, 3, 16, 16)
    first, second = models.load("mine"), models.load("mine")
    assert torch.equal(first(x), second(x)) and first(x).std() > 0
    kept = shelf.folder() / "mine" / "network.py"
    kept.write_text(kept.read_text("utf-8") + "\nopen('was_run', 'w')\n", "utf-8")
    with pytest.raises(WeightsError, match="was changed"):
        models.load("mine")
    assert not (tmp_path / "was_run").exists()


def test_kinds_that_run_code_are_for_the_command_line_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(f"open({str(tmp_path / 'was_run')!r}, 'w')", "utf-8")
    for kind in ("python", "torchscript", "export"):
        with pytest.raises(BadSetting, match="command line alone"):
            add(Request("mine", f"{kind}:{tmp_path / 'net.py'}"))
    assert not (tmp_path / "was_run").exists()


@dataclass
class Shortened:
    """Limits of which the seconds may change while a network is added."""

    seconds: float = 120
    memory: int = 6 * 2**30


@pytest.mark.parametrize(
    ("line", "seconds", "sentence"),
    [
        ("import time; time.sleep(600)", 2, "stopped: it gave no answer for 2 seconds"),
        ("x = x + torch.empty(2 * 10**9)[0]", 120, "memory"),
        ("raise KeyError('no\\nsuch')", 120, "such"),
    ],
)
def test_a_network_that_hangs_or_takes_too_much_is_stopped(
    home: Path, tmp_path: Path, line: str, seconds: int, sentence: str
) -> None:
    """``seconds``: from the checks on, however long the process needed to begin."""
    path = tmp_path / "net.py"
    path.write_text(PYTHON.replace("HERE", line), "utf-8")
    stages: list[str] = []
    limits = Shortened()

    def stage(name: str) -> None:
        stages.append(name)
        limits.seconds = seconds if "checking" in stages else limits.seconds

    asked = Request("mine", f"python:{path}", trusted=True)
    with pytest.raises(FoolscopeError, match=sentence) as caught:
        add(asked, stage=stage, limits=limits)  # type: ignore[arg-type]
    assert stages[:2] == ["reading", "checking"]
    assert "\n" not in str(caught.value) and not shelf.records()


def test_a_program_for_one_image_is_asked_image_by_image(home: Path, tmp_path: Path) -> None:
    small = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 5)).eval()
    path = exported.to_export(small, tmp_path / "small.pt2", dynamic=False)
    draft = Export().read(Request("mine", f"export:{path}", trusted=True), tmp_path, lambda done, total: None)
    assert draft.arguments["one_by_one"] and "one image at a time" in str(draft.notes[-1])
    x = exported.images(3)
    assert torch.allclose(draft.network(x), small(x), atol=1e-5)


class Command:
    """What makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("was_run",)


def giant(path: Path) -> Path:
    header = b'{"a": {"dtype": "F32", "shape": [100000, 100000], "data_offsets": [0, 40000000000]}}'
    path.with_suffix(".safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return path.with_suffix(".safetensors")


def pickled(path: Path) -> Path:
    torch.save({"state_dict": {"a": Command()}}, path.with_suffix(".pth"))
    return path.with_suffix(".pth")


@pytest.mark.parametrize(
    ("written_by", "sentence"),
    [(giant, "declares 1e[+]10 numbers; at most 2e[+]09"), (pickled, r"Python objects .*\(posix.mkdir\)")],
)
def test_a_hostile_file_is_refused_and_nothing_is_kept(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written_by: Callable[[Path], Path],
    sentence: str,
) -> None:
    add_here(monkeypatch)
    monkeypatch.chdir(tmp_path)
    asked = Request("mine", "torchvision:shufflenet_v2_x0_5", written_by(tmp_path / "net"))
    with pytest.raises(FoolscopeError, match=sentence):
        add(asked)
    assert not shelf.records() and not list(shelf.folder().iterdir()) and not (tmp_path / "was_run").exists()
