"""The section “Look inside” over HTTP: lines as they come, refusals, turns, an end with the reader."""

from __future__ import annotations

import json
import warnings

import pytest
from starlette.applications import Starlette

from app.routes import routes
from attacks.contract import Stop
from engine.inside import computed
from engine.recipe import Recipe
from tests.support import small_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

RECIPE = Recipe("small", "cat", "bim", {"steps": 6, "step_size": 1 / 255}, target=2, stop=Stop("steps"))
RUNS = "/foolscope/runs"


@pytest.fixture
def gate():
    return small_model.Gate()


@pytest.fixture
def client(gate, monkeypatch):
    with small_model.behind_routes(monkeypatch, gate) as engine:
        monkeypatch.setattr("app.inside.looking.COMPUTED", computed.Computed())
        with TestClient(Starlette(routes=routes())) as made:
            made.run = engine.submit(RECIPE)
            assert len(list(engine.follow(made.run))) == 7
            yield made


def lines(client, part, **query):
    answer = client.get(f"{RUNS}/{client.run.id}/inside/{part}", params=query)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_maps_of_two_classes_come_with_the_check_beside_them(client, gate):
    heard = lines(client, "saliency", step=6, method="grad_cam")
    assert heard[0]["labels"] == {"original": f"class {client.run.original}", "other": "class 2"}
    maps = {(line["row"], line["column"]): line for line in heard if line["type"] == "map"}
    assert len(maps) == 6 and {line["layer"] for line in maps.values()} == {"body.2"}
    original = maps["original", "clean"]
    assert original["logit"] == pytest.approx(logit(client.run, 0, client.run.original), abs=1e-3)
    assert heard[-1] == {"type": "end"} and len([x for x in heard if x["type"] == "sanity"]) == 2
    asked = len(gate.batches)
    assert lines(client, "saliency", step=6, method="grad_cam") == heard and len(gate.batches) == asked


def logit(run, step, label):
    """The logit, by the engine's own answer to the stored picture."""
    import torch

    from engine.networks import shared  # noqa: F401

    network = small_model.SmallNet()
    picture = torch.from_numpy(run.picture(step).copy())[None]
    with torch.no_grad():
        return float(network((picture - 0.5) / 0.25)[0, label])
