"""Networks of a hub, added from Python and the command line, by a process that reads and checks them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import settings
from app.cli import main
from engine.admission.admit import add
from errors import BadNetwork
from models.added import shelf
from models.added.record import Request
from models.download import ATTEMPTS
from tests.support.hub_networks import FRUIT, timm_network, transformers_network
from tests.support.hub_server import Hub, sha256
from tests.support.own_process import add_here

NAME = "someone/fruit"


@pytest.fixture
def of_timm(hub_server: Hub, tmp_path: Path) -> Hub:
    timm_network(tmp_path / "repo")
    hub_server.push(NAME, tmp_path / "repo")
    return hub_server


def nothing_left() -> bool:
    """Return whether no network is kept, not even a half one."""
    return not shelf.records() and not list(shelf.folder().iterdir())


def test_a_network_of_timm_is_added_and_attacked_without_the_hub(
    of_timm: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_here(monkeypatch)
    of_timm.break_after = [100_000, *[0] * ATTEMPTS]
    given = ["models", "add", "fruit", "--source", f"hf-hub:{NAME}"]
    assert main(given) == 2 and nothing_left()
    (sentence,) = [line for line in capsys.readouterr().err.splitlines() if "fetched" in line]
    assert "are kept for the next try" in sentence
    of_timm.break_after, of_timm.ranges = [], []
    assert main(given) == 0
    out = capsys.readouterr().out
    assert "5 classes, 160 x 160 x 3" in out and "have the digests that the hub states" in out
    assert of_timm.ranges == ["bytes=100000-"]
    of_timm.status = 503
    asked = len(of_timm.asked)
    attack = ["attack", "cat", "--model", "fruit", "--attack", "pgd", "--set", "steps=2", "--stop", "steps"]
    assert main([*attack, "--json", "--out", str(tmp_path / "out")]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["recipe"]["model"] == "fruit" and done["saved"]["label"] in FRUIT
    assert len(of_timm.asked) == asked
    added = add(Request("again", f"hf-hub:{NAME}"))
    assert any("The hub could not be reached" in str(check) for check in added.checks)


def test_a_network_of_transformers_is_added_with_its_progress(
    hub_server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_here(monkeypatch)
    transformers_network(tmp_path / "repo")
    hub_server.push(NAME, tmp_path / "repo")
    told: list[tuple[int, int]] = []
    added = add(Request("fruit", f"transformers:{NAME}"), lambda *pair: told.append(pair))
    size = len(hub_server.repositories[NAME]["model.safetensors"])
    assert added.labels == FRUIT and told[-1] == (size, size)
    assert {"transformers", "torch"} <= added.versions.keys()


def test_a_file_with_other_contents_is_refused_by_the_process_with_its_progress(of_timm: Hub) -> None:
    weights = of_timm.repositories[NAME]["model.safetensors"]
    of_timm.replaced[sha256(weights)] = weights[:-1] + b"!"
    progress: list[tuple[int, int]] = []
    with pytest.raises(BadNetwork, match="could not be fetched: its sha256 is"):
        add(Request("fruit", f"hf-hub:{NAME}"), lambda *pair: progress.append(pair))
    assert progress[-1] == (len(weights), len(weights))
    assert nothing_left()
    assert not list((settings.home() / "hub").rglob("*model.safetensors*.part"))
