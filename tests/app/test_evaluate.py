"""The page that evaluates many pictures: what it starts, shows, hands out and refuses."""

from __future__ import annotations

import csv
import io
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from app.evaluation_routes import routes
from attacks.contract import Stop
from engine.engine import Engine
from engine.evaluation import shelf as shelves
from engine.evaluation.archive import Sent
from engine.evaluation.evaluation import Evaluation
from engine.evaluation.leaving import stem
from engine.evaluation.record import Picture, Plan
from engine.evaluation.shelf import Going, Shelf
from engine.recipe import Recipe
from errors import BadSetting, UnknownName
from tests.components.test_translations import asked, foreign
from tests.components.test_translations import shown as words
from tests.support import digit_folder, small_model
from tests.support.browser import PHONE, Visitor
from tests.support.small_model import Gate

PLAN = Plan(("small",), ("fgsm", "pgd"), {"steps": "3"}, (0.02, 0.1))
PAGE = """
import streamlit as st
from app.evaluate.page import render
from components.i18n import preferences
preferences.read()
render()
"""


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def engine(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with small_model.engine(gate) as made:
        monkeypatch.setattr("app.service.engine", lambda: made)
        yield made


@pytest.fixture
def shelf(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    opened = Shelf(engine)
    for module in ("page", "results", "files"):
        monkeypatch.setattr(f"app.evaluate.{module}.shelf", lambda: opened)
    yield opened
    opened.close()


def until_over(going: Going) -> Going:
    begun = time.monotonic()
    while not going.over:
        assert time.monotonic() < begun + 60
        time.sleep(0.02)
    return going


def started(shelf: Shelf, owner: str = "me", pictures: tuple[str, ...] = ("cat", "coffee")) -> Going:
    return shelf.start(Evaluation.of(PLAN, [Picture(name) for name in pictures]), owner, shelf.inbox())


def test_an_evaluation_belongs_to_the_server(shelf: Shelf) -> None:
    going = until_over(started(shelf))
    assert shelf.get(going.id) is going and going.status == "finished"
    assert len(going.rows) == 2 * 2 * 2 and all(row.attacked for row in going.rows)
    with pytest.raises(UnknownName, match="does not know that evaluation"):
        shelf.get("nobody")
    folder = going.folder
    assert folder.is_dir()
    shelf.close()
    assert not folder.exists()


def test_one_at_a_time_for_a_visitor_and_others_wait(shelf: Shelf, gate: Gate) -> None:
    gate.open.clear()
    first, second = started(shelf), started(shelf, "you")
    with pytest.raises(BadSetting, match="one evaluation at a time"):
        started(shelf)
    assert second.status == "waiting" and shelf.ahead(second) == 1
    second.stop.set()
    gate.open.set()
    assert until_over(first).status == "finished" and len(first.rows) == 8
    assert until_over(second).status == "cancelled" and not second.rows
    assert until_over(started(shelf)).status == "finished"


def test_few_are_in_flight_and_a_visitors_run_goes_on(shelf: Shelf, engine: Engine, gate: Gate) -> None:
    plan = replace(PLAN, settings={"steps": "150"}, fields={"stop": "steps"})
    pictures = [Picture(name) for name in ("cat", "coffee", "panda", "dog", "hen", "bee")]
    going = shelf.start(Evaluation.of(plan, pictures, save=False), "me", shelf.inbox())
    while not going.rows:
        time.sleep(0.01)
    run = engine.submit(Recipe("small", "cat", "bim", {"steps": 5}, stop=Stop("steps")))
    assert list(engine.follow(run))[-1] == 5 and run.status == "finished" and not going.over
    assert max(gate.batches) <= engine.at_once // shelves.SHARE + 1
    going.stop.set()


def test_what_is_forgotten_leaves_no_files(shelf: Shelf) -> None:
    first = until_over(started(shelf))
    for _ in range(shelves.KEPT):
        until_over(started(shelf, pictures=("cat",)))
    started(shelf, pictures=("cat",))
    assert not first.inbox.exists()
    with pytest.raises(UnknownName):
        shelf.get(first.id)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(Starlette(routes=routes()), base_url="http://127.0.0.1") as made:
        yield made


def test_the_files_are_handed_out_and_a_row_opens_in_the_playground(
    shelf: Shelf, engine: Engine, client: TestClient, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    inbox = shelf.inbox()
    (inbox / "0000.png").write_bytes(io.BytesIO(Path("assets/samples/coffee.jpg").read_bytes()).read())
    evaluation = Evaluation.of(PLAN, [Picture("cat"), Picture("mine.jpg", None, inbox / "0000.png")])
    going = until_over(shelf.start(evaluation, "me", inbox))
    at = f"/foolscope/evaluations/{going.id}"
    table = list(csv.DictReader(io.StringIO(client.get(f"{at}/rows.csv").text)))
    assert [(row["file"], row["attack"]) for row in table] == [(row.file, row.attack) for row in going.rows]
    assert client.get(f"{at}/rows.parquet").content.startswith(b"PAR1")
    sheet = client.get(f"{at}/index.html?lang=zh").text
    assert "评测" in sheet and sheet.count('class="strip') == 8
    fooled = [row.picture for row in going.rows if row.success]
    with zipfile.ZipFile(io.BytesIO(client.get(f"{at}/pictures.zip").content)) as archive:
        assert sorted(archive.namelist()) == sorted(map(str, fooled)) and fooled
    stems = {row.file: stem(row.key) for row in going.rows}
    assert client.get(f"{at}/thumbnails/{stems['cat']}.png").content.startswith(b"\x89PNG")
    opened = client.get(f"{at}/open/{stems['mine.jpg']}", follow_redirects=False)
    assert opened.status_code == 307
    token = re.search(r"image=(upload%3A[^&]+)", opened.headers["location"])
    assert token and engine.uploads.holds(token[1].replace("%3A", ":"))
    assert "image=cat" in client.get(f"{at}/open/{stems['cat']}", follow_redirects=False).headers["location"]
    for wrong in (f"{at}/rows.exe", f"{at}/open/nothing", "/foolscope/evaluations/x/rows.csv"):
        answer = client.get(wrong)
        assert answer.status_code == 404 and answer.json()["error"]


def page(language: str = "en") -> AppTest:
    app = AppTest.from_string(PAGE, default_timeout=60)
    app.query_params["lang"] = language
    return app.run()


def chosen(app: AppTest, pictures: list[str], networks: list[str]) -> AppTest:
    app.multiselect(key="evaluate.samples").set_value(pictures)
    app.multiselect(key="evaluate.networks").set_value(networks)
    app.multiselect(key="evaluate.budgets.linf").set_value([0.0, 4 / 255])
    app.slider(key="evaluate.steps").set_value(2)
    return app.run()


def opened(key: str = "", language: str = "en") -> str:
    """Return what the page says in a tab of its own."""
    app = AppTest.from_string(PAGE, default_timeout=60)
    app.query_params.update({"lang": language, "evaluation": key})
    app.run()
    assert not app.exception
    return words(app) + asked(app)


def test_the_page_runs_the_shelf_and_shows_the_table(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.evaluate.controls.weights.locate", lambda card: card.name == "small" or None)
    app = chosen(page(), ["cat", "coffee"], ["small"])
    assert not app.exception
    app.button(key="start_evaluation").click().run()
    key = str(app.query_params["evaluation"])
    going = until_over(shelf.get(key))
    assert len(going.rows) == 8
    text = opened(key)
    assert "8 of 8 done" in text and f"/foolscope/evaluations/{key}/rows.csv" in text
    assert "What withstands, by budget" in text and "FGSM" in text and f"{key}/thumbnails/" in text


def test_the_page_is_chinese(shelf: Shelf) -> None:
    going = until_over(started(shelf, pictures=("cat",)))
    empty, full = opened(language="zh"), opened(going.id, "zh")
    assert "评测" in empty and "已完成 4/4" in full
    for text in (empty, full):
        assert not foreign(re.sub(r"class \d|rows\.\w+|Clopper-Pearson", ";", text))


def test_what_lacks_is_said_and_cancel_ends_it(
    shelf: Shelf, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.evaluate.controls.weights.locate", lambda card: card.name == "small" or None)
    app = chosen(page(), [], ["small"])
    app.button(key="start_evaluation").click().run()
    assert [error.value for error in app.error] == ["Expected a picture, got none."]
    app = chosen(app, ["cat", "coffee"], ["small"])
    gate.open.clear()
    app.button(key="start_evaluation").click().run()
    going = shelf.get(str(app.query_params["evaluation"]))
    assert app.button(key="start_evaluation").disabled
    app.button(key="evaluate.cancel").click().run()
    gate.open.set()
    assert until_over(going).status == "cancelled" and len(going.rows) < 8
    assert "Cancelled" in words(app.run()) and not app.button(key="start_evaluation").disabled


def test_an_evaluation_that_is_gone_is_said(shelf: Shelf) -> None:
    app = AppTest.from_string(PAGE, default_timeout=60)
    app.query_params["evaluation"] = "long-gone"
    assert "does not know that evaluation" in app.run().error[0].value


def test_an_archive_that_is_sent_becomes_a_table(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.evaluate.controls.weights.locate", lambda card: card.name == "lenet" or None)
    digit_folder.write(tmp_path, 2)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for path in sorted(tmp_path.rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path).as_posix())
        archive.writestr("1/broken.png", digit_folder.BROKEN)
    sent = [Sent("digits.zip", whole.getvalue())]
    monkeypatch.setattr("app.evaluate.page._sources", lambda _: ([], sent))
    monkeypatch.setattr(
        "app.evaluate.page.controls.plan_picker", lambda: Plan(("small",), ("fgsm",), {}, (0.1,))
    )
    app = page()
    app.button(key="start_evaluation").click().run()
    # Its folders are called 0 and 1, which the small network takes for the numbers of its classes.
    going = until_over(shelf.get(str(app.query_params["evaluation"])))
    assert [(row.file, row.label) for row in going.rows] == [
        ("0/000.png", "class 0"),
        ("1/001.png", "class 1"),
        ("1/broken.png", "class 1"),
    ]
    assert [bool(row.error) for row in going.rows] == [False, False, True]


def test_in_a_browser_a_row_opens_and_a_reload_finds_the_table(visitor: Visitor) -> None:
    window = visitor()
    page, site = window.page, window.site
    page.goto(f"{site.url}/evaluate")
    expect(page.get_by_role("heading", name="Evaluate", exact=True)).to_be_visible(timeout=60_000)
    page.locator(".st-key-start_evaluation button").click()
    expect(page.locator("img.strip").first).to_be_attached(timeout=60_000)
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.reload()
    expect(page.locator("img.strip").first).to_be_attached(timeout=60_000)
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    if cancel.count():
        cancel.click()
    expect(cancel).to_have_count(0, timeout=60_000)
    page.goto(f"{site.url}{page.locator('td.file a').first.get_attribute('href')}")
    expect(page).to_have_url(re.compile(r"image=panda"), timeout=60_000)
