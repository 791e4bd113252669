"""The files of a run by address: the very bytes that were classified, and refusals in a sentence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette

from app.routes import routes
from attacks.contract import Stop
from engine.engine import Engine
from engine.export.making import Wanted
from engine.images.sources import examine
from engine.recipe import Recipe
from engine.run import Run
from tests.support import small_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

RECIPE = Recipe("small", "cat", "bim", {"steps": 4, "step_size": 1 / 255}, stop=Stop("steps"))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with small_model.behind_routes(monkeypatch) as engine:
        yield engine


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=routes())) as client:
        yield client


@pytest.fixture
def run(engine: Engine) -> Run:
    run = engine.submit(RECIPE)
    assert len(list(engine.follow(run))) == 5
    return run


def address(run: Run, name: str) -> str:
    """Return where a file of a run is."""
    return f"/foolscope/runs/{run.id}/export/{name}"


@pytest.mark.parametrize("kind", ["network", "photo", "added"])
def test_what_is_sent_is_what_was_classified(client: TestClient, engine: Engine, run: Run, kind: str) -> None:
    answer = client.get(address(run, f"{kind}.png"))
    export = engine.export(run, Wanted(kind, 4))  # type: ignore[arg-type]
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert answer.content == export.data
    assert answer.headers["content-disposition"] == f'attachment; filename="{export.name}"'
    assert examine(answer.content).picture.size == export.size


def test_an_earlier_step_finished_in_another_format(client: TestClient, engine: Engine, run: Run) -> None:
    answer = client.get(address(run, "network.webp?step=2&finished=1"))
    assert answer.content == engine.export(run, Wanted("network", 2, True, "webp")).data
    assert answer.headers["content-type"] == "image/webp"
    assert answer.content != client.get(address(run, "network.webp")).content


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("whole.png", 404, "Expected one of network, photo, added"),
        ("network.tiff", 404, "as png, jpg, webp"),
        ("network.png?step=-1", 400, "Expected a step"),
        ("network.png?step=7", 404, "Expected a step from 0 to 4"),
    ],
)
def test_what_there_is_not_is_refused_in_a_sentence(
    client: TestClient, run: Run, name: str, status: int, words: str
) -> None:
    answer = client.get(address(run, name))
    assert answer.status_code == status and words in answer.json()["error"]


def test_a_run_that_goes_on_has_no_files_yet(client: TestClient, engine: Engine) -> None:
    waiting = engine.submit(RECIPE, paused=True)
    answer = client.get(address(waiting, "network.png?step=0"))
    assert answer.status_code == 400 and "a run that is over" in answer.json()["error"]
