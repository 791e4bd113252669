"""The files of a run over HTTP: real bytes under a fitting name, and refusals in a sentence."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace

import pytest
from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile
from starlette.applications import Starlette

from app.routes import routes
from attacks.contract import Stop
from engine.recipe import Recipe
from tests.support import small_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

RECIPE = Recipe("small", "cat", "bim", {"steps": 12, "step_size": 1 / 255}, stop=Stop("steps"))
RUNS = "/foolscope/runs"


@pytest.fixture
def engine(monkeypatch):
    with small_model.behind_routes(monkeypatch) as served:
        yield served


@pytest.fixture
def client(engine):
    with TestClient(Starlette(routes=routes())) as made:
        yield made


@pytest.fixture
def done(engine):
    run = engine.submit(RECIPE)
    assert len(list(engine.follow(run))) == 13
    return run


def test_a_file_comes_as_a_download(client, done):
    answer = client.get(f"{RUNS}/{done.id}/files/animation-chat.webp")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/webp"
    assert answer.headers["content-disposition"].startswith('attachment; filename="foolscope-class-')
    with Image.open(io.BytesIO(answer.content)) as image:
        assert isinstance(image, WebPImageFile) and image.n_frames == 13


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "http://testserver/?"),
        (
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example", "X-Forwarded-Prefix": "/ml"},
            "https://a.example/ml/?",
        ),
    ],
)
def test_the_link_has_the_address_that_the_reader_uses(client, done, headers, address):
    page = client.get(f"{RUNS}/{done.id}/files/report.html?lang=zh", headers=headers).text
    assert f'href="{address}model=small&amp;' in page and "lang=zh" in page and "网络" in page


def test_an_address_that_is_none_is_not_linked(client, done):
    for headers in ({"X-Forwarded-Host": 'a"><b>'}, {"X-Forwarded-Proto": "javascript"}):
        page = client.get(f"{RUNS}/{done.id}/files/report.html", headers=headers).text
        assert "run=" not in page and "<b>" not in page


def test_what_is_not_there_is_refused_in_a_sentence(client, engine, done):
    answer = client.get(f"{RUNS}/{done.id}/files/report.pdf")
    assert answer.status_code == 404 and "report.html" in answer.json()["error"]
    going = engine.submit(replace(RECIPE, params={"steps": 10_000}), paused=True)
    answer = client.get(f"{RUNS}/{going.id}/files/report.html")
    assert answer.status_code == 400 and "not over yet" in answer.json()["error"]
    answer = client.get(f"{RUNS}/{done.id}/files/repeat.py")
    assert answer.status_code == 400 and "comes with this program alone" in answer.json()["error"]
    assert client.get(f"{RUNS}/nobody/files/report.html").status_code == 404
