"""Files of a hub: listed, fetched, verified, resumed, there without it; and all that goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import settings
from errors import BadNetwork, BadSetting, DownloadFailed, WrongFile
from models.added import hub
from models.download import ATTEMPTS
from settings import ROOT
from tests.support.hub_server import Hub, blob, sha256

NAME = "someone/net"
CONFIG = json.dumps({"architecture": "test_resnet"}).encode()
WEIGHTS = bytes(range(256)) * 4000


@pytest.fixture
def filled(hub_server: Hub) -> Hub:
    hub_server.repositories[NAME] = {"config.json": CONFIG, "model.safetensors": WEIGHTS}
    return hub_server


def fetched() -> bytes:
    source = hub.repository(NAME)
    (path,) = hub.fetch_all(source, hub.weights(source), lambda done, total: None)
    return path.read_bytes()


def files() -> list[str]:
    """Return the names of what is in the cache, but for locks and listings."""
    every = [path.name for path in (settings.home() / "hub").rglob("*") if path.is_file()]
    return [name for name in every if not name.endswith((".lock", "main.json"))]


def test_what_came_once_is_there_without_the_hub(filled: Hub) -> None:
    progress: list[tuple[int, int]] = []
    source = hub.repository(NAME)
    assert (source.licence, source.commit, source.remembered) == ("mit", filled.commit(NAME), False)
    (path,) = hub.fetch_all(source, hub.weights(source), lambda *pair: progress.append(pair))
    assert path.read_bytes() == WEIGHTS and progress[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert hub.document(source, "config.json") == json.loads(CONFIG)
    filled.status, asked = 503, len(filled.asked)
    again = hub.repository(NAME)
    assert again.remembered and "before" in str(again.notes()[0]) and again.files == source.files
    assert hub.fetch(again, hub.weights(again)[0]) == path and hub.document(again, "config.json")
    assert [line for line in filled.asked[asked:] if "/resolve/" in line or "/large/" in line] == []


def test_a_download_that_breaks_off_goes_on_where_it_was(filled: Hub) -> None:
    filled.break_after = [100_000, *[0] * ATTEMPTS]
    with pytest.raises(DownloadFailed, match="are kept for the next try"):
        fetched()
    assert [name.endswith(".part") for name in files()] == [True]
    filled.break_after, filled.ranges = [], []
    assert fetched() == WEIGHTS
    assert filled.ranges == ["bytes=100000-"]


def test_a_file_with_other_contents_is_not_kept(filled: Hub) -> None:
    filled.replaced[sha256(WEIGHTS)] = WEIGHTS[:-1] + b"!"
    with pytest.raises(WrongFile, match="its sha256 is"):
        fetched()
    assert not files()
    filled.replaced = {blob(CONFIG): CONFIG.replace(b"resnet", b"convnx")}
    with pytest.raises(WrongFile, match="digest"):
        hub.document(hub.repository(NAME), "config.json")
    filled.replaced = {blob(CONFIG): CONFIG + b" " * 10_000}
    with pytest.raises(WrongFile, match="longer"):
        hub.document(hub.repository(NAME), "config.json")
    assert not files()


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(filled: Hub) -> None:
    source = hub.repository(NAME)
    path = hub.fetch(source, hub.weights(source)[0])
    path.write_bytes(WEIGHTS[:-1] + b"!")
    assert fetched() == WEIGHTS


def test_a_changed_repository_is_fetched_anew(filled: Hub) -> None:
    fetched()
    filled.repositories[NAME] = {"config.json": CONFIG, "model.safetensors": WEIGHTS[::-1]}
    assert fetched() == WEIGHTS[::-1]
    assert sum(name.endswith("model.safetensors") for name in files()) == 2


def test_who_may_not_read_a_repository_learns_so(filled: Hub) -> None:
    filled.gated.add(NAME)
    with pytest.raises(BadNetwork, match="accepted its terms"):
        fetched()
    for name in ("someone/else", f"{NAME}@v9"):
        with pytest.raises(BadNetwork, match="no repository"):
            hub.repository(name)
    assert not files()


def test_a_hub_that_is_not_there_is_said_so(filled: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.status = 500
    with pytest.raises(DownloadFailed, match="500"):
        hub.repository(NAME)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1:9/someone/net could not be fetched"):
        hub.repository(NAME)
    assert not files()


@pytest.mark.parametrize("name", ["", "net", "a/b/c", "../x", "a/..", "a/b@../x", "a b/c", "/x"])
def test_a_repository_is_an_owner_and_a_name(hub_server: Hub, name: str) -> None:
    with pytest.raises(BadSetting, match="OWNER/REPO"):
        hub.repository(name)
    assert not hub_server.asked


def test_only_tensors_are_read(hub_server: Hub) -> None:
    hub_server.repositories[NAME] = {"config.json": CONFIG, "pytorch_model.bin": WEIGHTS}
    with pytest.raises(BadNetwork, match=r"got pytorch_model\.bin, which can run code"):
        fetched()
    hub_server.repositories[NAME] = {"config.json": CONFIG}
    with pytest.raises(BadNetwork, match="got none"):
        fetched()
    assert not any("/large/" in line for line in hub_server.asked)


def test_split_weights_are_fetched_as_one(hub_server: Hub) -> None:
    parts = {f"model-0000{n}-of-00002.safetensors": bytes([n]) * 70_000 for n in (1, 2)}
    index = {"weight_map": dict(zip("ab", parts, strict=True))}
    hub_server.repositories[NAME] = {**parts, hub.INDEX: json.dumps(index).encode()}
    source, progress = hub.repository(NAME), []
    paths = hub.fetch_all(source, hub.weights(source), lambda *pair: progress.append(pair))
    assert [path.read_bytes() for path in paths] == list(parts.values())
    assert progress[-1] == (140_000, 140_000) and progress == sorted(progress)


def test_a_token_goes_to_the_hub_alone(filled: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_pretended")
    assert fetched() == WEIGHTS and filled.tokens == ["Bearer hf_pretended", None]


def test_nothing_is_imported_before_it_is_used_and_nothing_is_told(filled: Hub, tmp_path: Path) -> None:
    """The server begins without the libraries; and what huggingface_hub itself asks, the hub here answers."""
    code = f"""if True:
        import sys
        from models.added import source
        import models
        source.registry(), models.registry()
        assert not {{"timm", "transformers", "huggingface_hub"}} & set(sys.modules)
        import huggingface_hub as library
        from huggingface_hub import constants
        assert constants.HF_HUB_DISABLE_TELEMETRY and constants.HF_HUB_DISABLE_XET
        print(library.hf_hub_download({NAME!r}, "model.safetensors", cache_dir={str(tmp_path)!r}))"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == WEIGHTS
    assert not any("agent" in line or "telemetry" in line for line in filled.asked)
    assert any(line.startswith("HEAD") for line in filled.asked)
