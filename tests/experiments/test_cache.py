"""The store of answers: within its limit, whole after a crash, tidy after a full disk."""

from __future__ import annotations

import errno
import os
import time

import pytest
import torch

from errors import FoolscopeError
from experiments.cache import SECONDS_UNFINISHED, UNFINISHED, Memory, Store

KILOBYTE = "x" * 1000


def ages(store: Store, name: str, seconds: float) -> None:
    """Let an answer have been used so long ago."""
    then = time.time() - seconds
    os.utime(store._path(name, "json"), (then, then))


@pytest.mark.parametrize("make", [lambda folder: Store(folder), lambda _: Memory()], ids=["disk", "memory"])
def test_what_is_put_is_read(tmp_path, make):
    store = make(tmp_path).under("one")
    assert not store.has("a b") and not store.has_tensors("w")
    store.put("a b", {"answer": [1, None, "ü"]})
    store.put_tensors("w", {"x": torch.arange(3)})
    assert store.has("a b") and store.get("a b") == [1, None, "ü"]
    assert store.has_tensors("w") and torch.equal(store.tensors("w")["x"], torch.arange(3))


@pytest.mark.parametrize("damage", [b"", b"{", b'{"answer": [1, 2', b"\xff\xfe\x00", b"\x00" * 4096])
def test_an_empty_or_damaged_file_reads_as_absent_and_can_be_written_again(tmp_path, damage):
    store = Store(tmp_path)
    store.put("a", {"answer": 1})
    store.put_tensors("w", {"x": torch.rand(100)})
    for path in tmp_path.iterdir():
        path.write_bytes(damage)
    assert not store.has("a") and not store.has_tensors("w")
    for read in (store.read, store.get, store.tensors):
        with pytest.raises(FileNotFoundError):
            read("w" if read == store.tensors else "a")
    store.put("a", {"answer": 2})
    store.put_tensors("w", {"x": torch.zeros(1)})
    assert store.get("a") == 2 and store.has_tensors("w")


def test_tensors_that_were_cut_off_read_as_absent(tmp_path):
    store = Store(tmp_path)
    store.put_tensors("w", {"x": torch.rand(1000)})
    path = store._path("w", "safetensors")
    path.write_bytes(path.read_bytes()[:2000])
    assert not store.has_tensors("w")


def test_the_least_recently_used_goes_and_the_experiment_in_hand_stays(tmp_path):
    store = Store(tmp_path, limit=3500)
    for age, name in enumerate(("a", "b", "c")):
        store.under(name).put("s", KILOBYTE)
        ages(store.under(name), "s", 300 - age)
    store.under("a").read("s")
    store.under("d").put("s", KILOBYTE)
    assert [store.under(name).has("s") for name in "abcd"] == [True, False, True, True]
    for stage in range(6):
        store.under("e").put(str(stage), KILOBYTE)
    assert all(store.under("e").has(str(stage)) for stage in range(6))
    assert not any(store.under(name).has("s") for name in "abcd")


def test_the_limit_is_a_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_CACHE_BYTES", "1K")
    store = Store(tmp_path)
    store.under("a").put("s", KILOBYTE)
    store.under("b").put("s", KILOBYTE)
    assert not store.under("a").has("s") and store.under("b").has("s")
    monkeypatch.setenv("FOOLSCOPE_CACHE_BYTES", "plenty")
    with pytest.raises(FoolscopeError, match="FOOLSCOPE_CACHE_BYTES"):
        store.put("c", 1)


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_full_disk_leaves_no_file_behind_and_says_so(tmp_path, monkeypatch, moment):
    store = Store(tmp_path)
    store.put("a", 1)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, moment, full)
    with pytest.raises(FoolscopeError, match="No space left on device"):
        store.put("a", KILOBYTE)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"] and store.read("a") == 1


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order: list[str] = []

    def noting(name):
        real = getattr(os, name)

        def noted(*args):
            order.append(name)
            return real(*args)

        monkeypatch.setattr(os, name, noted)

    noting("fsync")
    noting("replace")
    Store(tmp_path).put("a", 1)
    assert order[:2] == ["fsync", "replace"]


def test_files_of_a_process_that_died_are_removed(tmp_path):
    old, new = tmp_path / f"{UNFINISHED}old", tmp_path / f"{UNFINISHED}new"
    for path in (old, new):
        path.write_bytes(b"half")
    then = time.time() - SECONDS_UNFINISHED - 1
    os.utime(old, (then, then))
    Store(tmp_path).put("a", 1)
    assert not old.exists() and new.exists()
