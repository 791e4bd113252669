"""The pool of networks: loaded once, within a limit, and never taken from under somebody who uses it."""

from __future__ import annotations

import threading

import pytest
import torch

from engine.model_pool import ModelPool, size_of
from errors import OutOfMemory
from models import ensemble
from models.core import Classifier
from tests.support import small_model

CPU = torch.device("cpu")
SIZE = size_of(Classifier(small_model.card(), small_model.SmallNet()))


class Loader:
    """Loads tiny networks, and counts how often."""

    def __init__(self, delay: threading.Event | None = None) -> None:
        self.loaded: list[str] = []
        self.delay = delay

    def __call__(self, name: str, progress: object = None) -> Classifier:
        if self.delay:
            self.delay.wait(10)
        self.loaded.append(name)
        return Classifier(small_model.card(name), small_model.SmallNet())


def test_a_network_is_loaded_once_even_when_many_ask_at_the_same_time():
    started, loader = threading.Event(), Loader()
    loader.delay = started
    pool, models = ModelPool(CPU, loader), []
    threads = [threading.Thread(target=lambda: models.append(pool.get("a"))) for _ in range(5)]
    for thread in threads:
        thread.start()
    started.set()
    for thread in threads:
        thread.join(10)
    assert loader.loaded == ["a"] and len(models) == 5 and all(model is models[0] for model in models)


def test_the_least_recently_used_goes():
    pool = ModelPool(CPU, Loader(), limit_bytes=2 * SIZE)
    for name in ("a", "b", "a", "c"):
        pool.get(name)
    assert [name in pool for name in "abc"] == [True, False, True] and pool.bytes == 2 * SIZE


def test_a_network_in_use_stays_whatever_the_limit_and_goes_afterwards():
    pool = ModelPool(CPU, Loader(), limit_bytes=SIZE)
    with pool.use("a") as model, pool.use("b"):
        pool.get("c")
        assert "a" in pool and "b" in pool and "c" not in pool
        with pool.use("a") as again:
            assert again is model
        assert "a" in pool
    assert pool.bytes == SIZE and "b" not in pool


def test_a_limit_below_one_network_still_serves_it():
    loader = Loader()
    pool = ModelPool(CPU, loader, limit_bytes=1)
    with pool.use("a") as model:
        assert model.card.name == "a" and "a" in pool
    assert "a" not in pool and pool.get("a") is not model and loader.loaded == ["a", "a"]


def test_a_network_that_cannot_be_loaded_leaves_nothing_behind():
    def load(name, progress=None):
        raise ValueError(name)

    pool = ModelPool(CPU, load)
    for _ in range(2):
        with pytest.raises(ValueError, match="a"):
            pool.get("a")
    assert "a" not in pool and not pool.bytes


class Heavy(Classifier):
    """Does not fit on the device as long as ``crowded()``."""

    crowded = staticmethod(lambda: True)

    def to(self, *args, **options):
        if self.crowded():
            raise RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")
        return self


def test_a_full_device_gives_up_what_nobody_uses_and_else_says_so(monkeypatch):
    def load(name, progress=None):
        kind = Heavy if name == "heavy" else Classifier
        return kind(small_model.card(name), small_model.SmallNet())

    pool = ModelPool(CPU, load)
    pool.get("a")
    monkeypatch.setattr(Heavy, "crowded", staticmethod(lambda: "a" in pool))
    assert pool.get("heavy").card.name == "heavy" and "a" not in pool
    monkeypatch.setattr(Heavy, "crowded", staticmethod(lambda: True))
    with pytest.raises(OutOfMemory, match="no memory left on cpu for Heavy"):
        ModelPool(CPU, load).get("heavy")


def test_the_limit_is_a_setting(monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_MODEL_MEMORY", "1K")
    pool = ModelPool(CPU, Loader())
    pool.get("a")
    assert SIZE > 1000 and "a" not in pool


def test_the_parts_of_several_as_one_are_loaded_once_and_shared(monkeypatch):
    cards = {name: small_model.card(name) for name in ("a", "b")}
    monkeypatch.setattr(
        "models.card", lambda name: ensemble.joined([cards[part] for part in name.split("+")])
    )
    loader = Loader()
    pool = ModelPool(CPU, loader, limit_bytes=SIZE)
    with pool.use("a") as alone, pool.use("a+b") as both:
        assert (
            isinstance(both, ensemble.Ensemble) and both.card.parts == ("a", "b") and both.parts[0] is alone
        )
        assert loader.loaded == ["a", "b"] and "a+b" in pool and pool.bytes == 2 * SIZE
    assert pool.bytes == SIZE and "a+b" not in pool
    pool.get("a+b")
    assert loader.loaded.count("a") + loader.loaded.count("b") == 3


def test_a_part_that_cannot_be_loaded_lets_the_others_go(monkeypatch):
    cards = {name: small_model.card(name) for name in ("a", "b")}
    monkeypatch.setattr(
        "models.card", lambda name: ensemble.joined([cards[part] for part in name.split("+")])
    )

    def load(name, progress=None):
        if name == "b":
            raise ValueError(name)
        return Loader()(name)

    pool = ModelPool(CPU, load, limit_bytes=0)
    with pytest.raises(ValueError, match="b"):
        pool.get("a+b")
    assert "a" not in pool and not pool.bytes
