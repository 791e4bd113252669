"""Weights are found, downloaded, resumed and verified: against a server on the loopback address."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import socket
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

import models
from errors import DownloadFailed, MissingWeights, WeightsError, WrongHash
from models import weights
from models.__main__ import main
from models.core import Card, Entry, WeightsFile
from models.download import content
from models.weights import Places
from tests.support.certificates import self_signed
from tests.support.file_server import Server

TENSORS = {"weight": torch.arange(12.0).repeat(4000).view(2, -1), "bias": torch.zeros(2)}
CONTENT = save(TENSORS)
SHA = hashlib.sha256(CONTENT).hexdigest()
FILE = f"tiny-{SHA[:8]}.safetensors"


@pytest.fixture
def server(file_server: Server) -> Server:
    """Return the server of files, which sends the tiny network whatever it is asked for."""
    file_server.content = CONTENT
    return file_server


@pytest.fixture
def where(tmp_path: Path) -> Places:
    """Return empty folders: one shipped, two by hand, and a cache that does not exist yet."""
    folders = [tmp_path / name for name in ("shipped", "first", "second")]
    for folder in folders:
        folder.mkdir()
    return Places(folders[0], (folders[1], folders[2]), tmp_path / "home" / "weights")


def _card(sha256: str = SHA[:8], **more: object) -> Card:
    source = WeightsFile(FILE, sha256, url="https://example.invalid/" + FILE, **more)  # type: ignore[arg-type]
    return Card("tiny", "Tiny", "A test", 1, ("no", "yes"), source)


def _closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def _leftovers(where: Places) -> list[str]:
    return sorted(p.name for p in where.cache.iterdir() if p.suffix != ".lock")


def test_downloads_once_with_progress_then_reads_the_cache(server: Server, where: Places) -> None:
    """The first use downloads the file whole; the second asks nobody."""
    seen: list[tuple[int, int]] = []
    found = weights.fetch(_card(), lambda *at: seen.append(at), where=where, base=server.base)
    assert found.path == where.cache / FILE and found.path.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert weights.fetch(_card(), where=where, base=server.base).path == found.path
    assert len(server.asked) == 1 and _leftovers(where) == [FILE]
    assert torch.equal(weights.read(found)["weight"], TENSORS["weight"])


def test_a_broken_transfer_goes_on_where_it_broke_off(server: Server, where: Places) -> None:
    """Two breaks within one fetch cost no byte twice."""
    server.break_after = [70_000, 20_000]
    found = weights.fetch(_card(), where=where, base=server.base)
    assert found.path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=70000-", "bytes=90000-"]


def test_a_part_of_an_earlier_process_is_resumed(server: Server, where: Places) -> None:
    """Bytes that an earlier process left are kept and counted as done."""
    where.cache.mkdir(parents=True)
    (where.cache / (FILE + ".part")).write_bytes(CONTENT[:1000])
    seen: list[tuple[int, int]] = []
    found = weights.fetch(_card(), lambda *at: seen.append(at), where=where, base=server.base)
    assert server.asked == ["bytes=1000-"] and seen[0] == (1000, len(CONTENT))
    assert found.path.read_bytes() == CONTENT


def test_a_complete_part_needs_no_more_bytes(server: Server, where: Places) -> None:
    """A process that died between the last byte and the renaming leaves nothing to download."""
    where.cache.mkdir(parents=True)
    (where.cache / (FILE + ".part")).write_bytes(CONTENT)
    assert weights.fetch(_card(), where=where, base=server.base).path.read_bytes() == CONTENT
    assert _leftovers(where) == [FILE]


def test_a_server_without_ranges_starts_over(server: Server, where: Places) -> None:
    """An answer of 200 to a range replaces the part and is not appended to it."""
    server.ranges = False
    server.break_after = [70_000]
    assert weights.fetch(_card(), where=where, base=server.base).path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=70000-"]


def test_a_connection_that_brings_nothing_is_given_up_and_kept(server: Server, where: Places) -> None:
    """After a break with no new byte the part stays for the next fetch, which completes it."""
    server.break_after = [5000, 0]
    with pytest.raises(MissingWeights, match="are kept for the next try"):
        weights.fetch(_card(), where=where, base=server.base)
    assert _leftovers(where) == [FILE + ".part"]
    assert weights.fetch(_card(), where=where, base=server.base).path.read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=5000-"


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"<html>sign in</html>", b""])
def test_what_is_not_the_file_is_refused_and_removed(server: Server, where: Places, content: bytes) -> None:
    """A truncated file, a longer one and a captive portal's page never get the file's name."""
    server.content = content
    with pytest.raises(WrongHash, match=f"expected {SHA[:8]}"):
        weights.fetch(_card(), where=where, base=server.base)
    assert _leftovers(where) == []
    server.content = CONTENT
    assert weights.fetch(_card(), where=where, base=server.base).path.read_bytes() == CONTENT


def test_no_network_names_the_file_and_the_folder(where: Places) -> None:
    """With nobody listening, one sentence says which file belongs where."""
    with pytest.raises(MissingWeights) as caught:
        weights.fetch(_card(), where=where, base=_closed_port())
    message = str(caught.value)
    assert FILE in message and str(where.by_hand[0]) in message and "\n" not in message
    alone = Places(where.shipped, (), where.cache)
    with pytest.raises(MissingWeights, match=re.escape(str(where.cache))):
        weights.fetch(_card(), where=alone, base=_closed_port())


def test_a_proxy_that_signs_anew_needs_its_certificate_named(
    server: Server, where: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A school's proxy: the sentence names the variable, and with it the download works."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    server.encrypt(self_signed(tmp_path, "proxy", "-addext", "subjectAltName=IP:127.0.0.1"))
    with pytest.raises(MissingWeights, match="certificate cannot be verified.* SSL_CERT_FILE"):
        weights.fetch(_card(), where=where, base=server.base)
    with pytest.raises(DownloadFailed, match="SSL_CERT_FILE"):
        content(server.base + FILE, 10**6)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    assert weights.fetch(_card(), where=where, base=server.base).path.read_bytes() == CONTENT


def test_a_server_that_says_no_is_named_with_its_status(server: Server, where: Places) -> None:
    """A 404 is reported as what it is, and its body is not taken for weights."""
    server.status = 404
    with pytest.raises(MissingWeights, match="answered 404"):
        weights.fetch(_card(), where=where, base=server.base)


def test_a_file_that_nobody_offers_can_only_be_put_by_hand(where: Places) -> None:
    """Without a URL nothing is tried."""
    card = Card("tiny", "Tiny", "A test", 1, ("no", "yes"), WeightsFile("tiny.safetensors", SHA))
    with pytest.raises(MissingWeights, match=r"needs the file tiny\.safetensors in the folder"):
        weights.fetch(card, where=where)
    (where.by_hand[1] / "tiny.safetensors").write_bytes(CONTENT)
    assert weights.fetch(card, where=where).path.parent == where.by_hand[1]


def test_folders_are_looked_through_in_order(where: Places) -> None:
    """Shipped before by hand, the first folder before the second, the cache last; no network needed."""
    where.cache.mkdir(parents=True)
    for folder in (where.cache, where.by_hand[1], where.by_hand[0], where.shipped):
        (folder / FILE).write_bytes(CONTENT)
        assert weights.fetch(_card(), where=where, base=_closed_port()).path == folder / FILE


def test_a_wrong_file_by_hand_is_refused_and_left_alone(where: Places) -> None:
    """What a person put there is neither used, nor removed, nor replaced by a download."""
    wrong = where.by_hand[0] / FILE
    wrong.write_bytes(CONTENT[:-4] + b"\0\0\0\1")
    with pytest.raises(WrongHash, match="not the file that was expected") as caught:
        weights.fetch(_card(), where=where, base=_closed_port())
    assert str(wrong) in str(caught.value) and "\n" not in str(caught.value) and wrong.exists()


def test_a_rotten_cache_is_downloaded_again(server: Server, where: Places) -> None:
    """A cached file was right once, so a wrong one is replaced."""
    where.cache.mkdir(parents=True)
    (where.cache / FILE).write_bytes(CONTENT[:100])
    assert weights.fetch(_card(), where=where, base=server.base).path.read_bytes() == CONTENT


def test_another_file_by_hand_needs_a_known_or_stated_sha256(where: Places) -> None:
    """``<name>.safetensors`` is taken when the card knows it, or when the note beside it is right."""
    known = _card(also=(WeightsFile("tiny.safetensors", SHA),))
    unknown = _card(also=(WeightsFile("tiny.safetensors", ""),))
    path = where.by_hand[0] / "tiny.safetensors"
    path.write_bytes(CONTENT)
    assert weights.fetch(known, where=where).path == path
    with pytest.raises(WrongHash, match=r"tiny\.safetensors\.sha256"):
        weights.fetch(unknown, where=where)
    note = path.with_name(path.name + ".sha256")
    note.write_text(f"{SHA}  tiny.safetensors\n")
    assert weights.fetch(unknown, where=where).path == path
    for wrong in ("0" * 64, "", "\n"):
        note.write_text(wrong)
        with pytest.raises(WrongHash):
            weights.fetch(unknown, where=where)


def test_many_threads_download_one_file_once(server: Server, where: Places) -> None:
    """Eight at a time: one transfer, eight right files, nothing corrupt."""
    digests: list[str] = []

    def get() -> None:
        path = weights.fetch(_card(), where=where, base=server.base).path
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == [SHA] * 8 and server.asked == [None]


def test_a_folder_that_cannot_be_written_is_one_sentence(server: Server, where: Places) -> None:
    """A file where the cache folder should be is reported, not raised raw."""
    where.cache.parent.write_text("in the way")
    with pytest.raises(WeightsError, match="cannot be stored"):
        weights.fetch(_card(), where=where, base=server.base)


class _Trap:
    """An object whose unpickling would leave a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_is_unpickled(tmp_path: Path, legacy: bool) -> None:
    """A file that would run code when unpickled is refused, and the code does not run."""
    path, trace = tmp_path / "evil.pth", tmp_path / "trace"
    if legacy:
        path.write_bytes(pickle.dumps(_Trap(trace), protocol=2))
    else:
        torch.save({"weight": _Trap(trace)}, path)
    with pytest.raises(WeightsError, match="cannot be read as plain tensors"):
        weights.read(weights.Found(path, WeightsFile(path.name, "")))
    assert not trace.exists()


def test_release_files_lose_the_tensors_that_only_training_used(tmp_path: Path) -> None:
    """``ignore`` drops auxiliary heads; the rest of a .pth arrives as saved."""
    path = tmp_path / "release.pth"
    torch.save({"a.weight": torch.ones(2), "aux1.weight": torch.ones(3)}, path)
    tensors = weights.read(weights.Found(path, WeightsFile(path.name, "", ignore=("aux1.",))))
    assert list(tensors) == ["a.weight"] and tensors["a.weight"].tolist() == [1, 1]


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """Loading is strict: one tensor of another shape or name is one sentence of refusal."""
    path = tmp_path / FILE
    path.write_bytes(CONTENT)
    entry = Entry(_card(), lambda: torch.nn.Linear(3, 2))
    with pytest.raises(WeightsError, match="does not hold the weights of Tiny") as caught:
        models.assemble(entry, weights.Found(path, WeightsFile(FILE, SHA)))
    assert "\n" not in str(caught.value)


def test_settings_name_the_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders come from the environment, in order, with empty ones left out."""
    monkeypatch.setenv("FOOLSCOPE_WEIGHTS", "/a::/b")
    monkeypatch.setenv("FOOLSCOPE_HOME", "/c")
    found = weights.places()
    assert found.by_hand == (Path("/a"), Path("/b")) and found.cache == Path("/c/weights")
    monkeypatch.delenv("FOOLSCOPE_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert weights.places().cache == Path.home() / ".cache" / "foolscope" / "weights"


def test_command_line_lists_cards_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` prints every card whole."""
    assert main(["--json"]) == 0
    listed = {card["name"]: card for card in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(models.registry())
    resnet = listed["resnet50"]
    assert resnet["classes"] == len(resnet["labels"]) == 1000 and resnet["weights"]["sha256"] == "11ad3fa6"
    assert resnet["available"] is (weights.locate(models.card("resnet50")) is not None)


def test_command_line_refuses_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown model is an exit status of 1 and a sentence with a hint."""
    assert main(["--fetch", "resnet51"]) == 2
    assert "resnet50" in capsys.readouterr().err
    assert main([]) == 0
    assert "bvlc_googlenet_article" in capsys.readouterr().out
