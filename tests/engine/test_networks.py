"""Experiments compute with the engine's networks: each is loaded once, and stays as it is for the others."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import pytest
import torch

import models
from engine import networks
from engine.engine import Engine
from engine.model_pool import ModelPool, size_of
from errors import ModelFailed
from experiments.cache import Memory
from experiments.core import run
from experiments.datasets.digit_sets import SMALL
from experiments.szegedy2013.units import Units
from models.core import Classifier
from settings import ROOT

CPU = torch.device("cpu")
BRIEF = Units(data=SMALL, n=100, k=4, directions=10, units=10, shuffles=100)


class Loader:
    """Loads real networks, and remembers which."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def __call__(self, name: str, progress: object = None) -> Classifier:
        self.loaded.append(name)
        return models.load(name)


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
def engine(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(networks, "_pool", None)
    engine = Engine(CPU, loader)
    networks.use_pool(engine.pool)
    yield engine
    engine.close()


def test_experiments_and_runs_share_a_network(engine: Engine, loader: Loader) -> None:
    run(BRIEF, Memory())
    logits = engine.logits("lenet", torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0)))
    assert loader.loaded == ["lenet"] and logits.shape == (2, 10)
    assert engine.model("lenet") is networks.shared("lenet")


def test_an_experiment_that_watches_layers_leaves_the_network_as_it_is(
    engine: Engine, loader: Loader
) -> None:
    before = networks.state(engine.model("lenet"))
    result = run(BRIEF, Memory())
    assert result.figures.families and loader.loaded == ["lenet"]
    assert networks.state(engine.model("lenet")) == before


def test_an_engine_on_another_device_leaves_experiments_on_the_cpu(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks.use_pool(ModelPool(torch.device("meta")))
    assert networks.pool() is engine.pool
    monkeypatch.setattr(networks, "_pool", None)
    networks.use_pool(ModelPool(torch.device("meta")))
    assert networks.shared("fc100").mean.device == CPU


def double(model: Classifier) -> None:
    model.double()


def write(model: Classifier) -> None:
    next(model.parameters()).mul_(2)


def train(model: Classifier) -> None:
    model.train()


def require_grad(model: Classifier) -> None:
    model.requires_grad_(True)


def hook(model: Classifier) -> None:
    model.network.register_forward_hook(lambda module, inputs, output: None)


@pytest.mark.parametrize("change", [double, write, train, require_grad, hook])
def test_a_changed_network_is_refused_and_loaded_anew(
    engine: Engine, loader: Loader, change: Callable[[Classifier], None]
) -> None:
    with pytest.raises(ModelFailed, match="leave the shared network"), networks.stage():
        changed = networks.shared("fc100")
        change(changed)
    assert networks.shared("fc100") is not changed and loader.loaded == ["fc100", "fc100"]


def test_a_copy_may_be_changed(engine: Engine, loader: Loader) -> None:
    with networks.stage():
        copy = networks.copied("fc100").double()
        copy.network.register_forward_hook(lambda module, inputs, output: None)
        x = torch.zeros(1, 1, 28, 28)
        assert torch.allclose(copy(x.double()).float(), networks.shared("fc100")(x), atol=1e-4)
    assert loader.loaded == ["fc100"]


def test_a_network_stays_in_memory_until_the_stage_ends(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ModelPool(CPU, loader, limit_bytes=size_of(models.load("fc100")))
    monkeypatch.setattr(networks, "_pool", pool)
    with networks.stage():
        networks.shared("fc100")
        networks.shared("lenet")
        assert "fc100" in pool
    assert pool.bytes <= size_of(models.load("fc100"))


def test_no_experiment_loads_networks_of_its_own() -> None:
    for path in (ROOT / "experiments").rglob("*.py"):
        nodes = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Attribute)]
        loads = [n for n in nodes if n.attr == "load" and isinstance(n.value, ast.Name)]
        assert not [n for n in loads if n.value.id == "models"], path  # type: ignore[attr-defined]
