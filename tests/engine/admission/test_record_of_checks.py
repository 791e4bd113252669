"""What the checks find is kept, the gravest first, and the network is built again by it."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
import torchvision.models
from safetensors.torch import save_file

from app.cli.networks import described
from engine.admission import worker
from models.added import record, shelf
from models.added.record import OutputFormat, Request


def test_a_network_with_a_background_is_kept_without_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torchvision.models.shufflenet_v2_x0_5(num_classes=1001).eval()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    request = Request(
        "mine", "torchvision:shufflenet_v2_x0_5", tmp_path / "weights.safetensors", input=64,
        mean=(0.4, 0.45, 0.5), std=(0.2, 0.22, 0.24), reversed_channels=True,
    )  # fmt: skip
    folder, stages = tmp_path / "read", []
    folder.mkdir()
    added = worker.admit(request, folder, lambda **line: stages.append(line.get("stage")))
    assert record.read(folder / record.FILE) == added
    assert added.output == OutputFormat(background=True) and len(added.labels) == 1000
    verdicts = [result.verdict for result in added.checks]
    assert verdicts == sorted(verdicts, key=worker.GRAVITY.__getitem__) and {"note", "fine"} == set(verdicts)
    assert {"parameters", "outputs", "normalisation", "gradient"} < set(stages)
    assert "note  The first of its 1001 outputs is a background" in described(added)
    shutil.copytree(folder, shelf.folder() / "mine")
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(shelf.build(added)(x), network(x.flip(1))[:, 1:], atol=1e-5)
    assert shelf.card(added).mean == (0.5, 0.45, 0.4)
