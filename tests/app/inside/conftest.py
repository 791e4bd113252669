"""A client of the routes of “Look inside”, and the run that it asks about."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from starlette.applications import Starlette
from torch import nn
from torchvision.models import VisionTransformer

from app.routes import routes
from attacks.contract import Stop
from engine.inside import computed
from engine.recipe import Recipe
from engine.run import Run
from tests.support import small_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

RECIPE = Recipe("small", "cat", "bim", {"steps": 6, "step_size": 1 / 255}, target=2, stop=Stop("steps"))


class Client(TestClient):
    """A client that knows the run it asks about."""

    run: Run

    def lines(self, part: str, **query: Any) -> list[dict[str, Any]]:
        """Return the lines of a part's answer."""
        answer = self.get(f"/foolscope/runs/{self.run.id}/inside/{part}", params=query)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def gate() -> small_model.Gate:
    """Return what the small network waits at."""
    return small_model.Gate()


@pytest.fixture
def client(gate: small_model.Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Provide a client whose run is over."""
    with asking(gate, monkeypatch) as made:
        yield made


@pytest.fixture
def attentive(gate: small_model.Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Provide such a client whose network passes 4 x 4 patches on by attention."""
    monkeypatch.setattr(small_model, "SmallNet", attention_network)
    with asking(gate, monkeypatch) as made:
        yield made


def attention_network(before: object = None) -> nn.Module:
    """Return a small vision transformer with fixed weights."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network: Any = VisionTransformer(small_model.SIZE, 4, 2, 2, 32, 64, num_classes=small_model.CLASSES)
        nn.init.normal_(network.heads[-1].weight)
    vit: nn.Module = network
    return vit


@contextmanager
def asking(gate: small_model.Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Run an engine behind the routes, and a client whose run is over."""
    with small_model.behind_routes(monkeypatch, gate) as engine:
        monkeypatch.setattr("app.inside.looking.COMPUTED", computed.Computed())
        with Client(Starlette(routes=routes())) as made:
            made.run = engine.submit(RECIPE)
            assert len(list(engine.follow(made.run))) == 7
            yield made
