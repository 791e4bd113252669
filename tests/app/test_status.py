"""What a server says of itself, and to whom: figures for Prometheus, readiness part by part, and a page."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import warnings
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.middleware import Middleware

from app import service
from app.logs import JsonLines
from app.routes import routes
from app.sockets import CountedSockets
from app.status import readiness
from attacks.contract import Stop
from engine.recipe import Recipe
from errors import EngineFailed, FoolscopeError, HistoryFailed
from settings import ROOT
from tests.engine.history.test_history import until
from tests.support import small_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

RECIPE = Recipe("small", "cat", "bim", {"steps": 12, "step_size": 1 / 255}, stop=Stop("steps"))
FIGURES = ("metrics", "status")


def browser(site: Starlette, server: str = "localhost:8501", machine: str = "127.0.0.1") -> TestClient:
    """Return who asks ``server`` from a ``machine``."""
    return TestClient(site, base_url=f"http://{server}", client=(machine, 50_000))


@pytest.fixture
def engine(monkeypatch, tmp_path):
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    monkeypatch.setattr(readiness, "ready", lambda: True)
    monkeypatch.setattr(readiness, "SECONDS", -1.0)
    with small_model.behind_routes(monkeypatch) as served:
        yield served


@pytest.fixture
def site(engine):
    return Starlette(routes=routes(), middleware=[Middleware(CountedSockets)])


@pytest.fixture
def client(site):
    with browser(site) as made:
        yield made


def figures(client: TestClient) -> dict[tuple[str, str], float]:
    """Return all samples by name and the value of their one label, read by Prometheus' own parser."""
    answer = client.get("/foolscope/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith(
        "text/plain; version=0.0.4"
    )
    families = list(text_string_to_metric_families(answer.text))
    assert len({family.name for family in families}) == len(families)
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_figures_are_those_of_what_was_done(engine, client) -> None:
    before = figures(client)
    assert ("foolscope_steps_total", "small") not in before
    assert len(list(engine.follow(engine.submit(RECIPE)))) == 13
    endless = engine.submit(replace(RECIPE, params={"steps": 10_000}), paused=True)
    engine.enqueue(replace(RECIPE, seed=1), "somebody")
    until(lambda: figures(client)[("foolscope_queue_wait_seconds_count", "")] == 1)
    with client.websocket_connect(f"/foolscope/runs/{endless.id}/live"):
        connected = figures(client)
    until(lambda: figures(client)[("foolscope_sockets", "run")] == 0)
    assert connected["foolscope_sockets", "run"] == 1 and connected["foolscope_sockets", "room"] == 0
    assert connected["foolscope_open_runs", "paused"] == 1
    until(lambda: figures(client)[("foolscope_open_runs", "running")] == 0)
    after = figures(client)
    answered = 13 + 13 + 1  # two runs, and the question about the untouched picture, which is asked once
    assert after["foolscope_steps_total", "small"] == after["foolscope_batch_rows_sum", "small"] >= answered
    assert after["foolscope_batch_seconds_sum", "small"] > 0
    assert after["foolscope_models", ""] == 1 and after["foolscope_model_bytes", "small"] > 1000
    assert after["foolscope_queue_length", ""] == after["foolscope_database_failures_total", ""] == 0


def test_failures_are_counted_by_what_they_are(engine, client, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("engine.jobs.RunJob.record", broken)
    run = engine.submit(RECIPE)
    until(lambda: run.over)
    assert run.status == "failed"
    until(lambda: figures(client).get(("foolscope_failures_total", "fault")) == 1)


def test_a_database_that_fails_is_counted_told_and_named(engine, client, monkeypatch, tmp_path) -> None:
    assert client.get("/foolscope/ready?parts=loop,database").status_code == 200
    folder = tmp_path / "no folder"
    folder.write_text("a file is in its place")
    monkeypatch.setenv("FOOLSCOPE_HOME", str(folder))
    engine.history.database.close()
    engine.submit(RECIPE, owner="me")
    until(lambda: figures(client)[("foolscope_database_failures_total", "")] > 0)
    assert figures(client)["foolscope_database_problems", ""] == 1
    assert figures(client)["foolscope_database_pending", ""] == 1
    answer = client.get("/foolscope/ready")
    parts = answer.json()["parts"]
    assert answer.status_code == 503 and not parts["database"]["ready"] and parts["loop"]["ready"]
    assert "runs.sqlite" in parts["database"]["sentence"] and str(tmp_path) not in answer.text
    assert client.get("/foolscope/ready?parts=loop,model").status_code == 200
    page = client.get("/foolscope/status").text
    assert "It is not ready." in page and page.count("runs.sqlite") >= 2


def test_ready_only_when_each_part_is(engine, client, monkeypatch) -> None:
    def ready() -> tuple[int, dict[str, bool]]:
        answer = client.get("/foolscope/ready")
        return answer.status_code, {name: part["ready"] for name, part in answer.json()["parts"].items()}

    assert ready() == (503, {"loop": True, "database": True, "model": False})
    engine.model("small")
    assert ready() == (200, {"loop": True, "database": True, "model": True})
    assert not (engine.history.runs("nobody", 5)), "the question wrote nothing"
    monkeypatch.setattr(engine._loop, "_seen", -1e9)
    assert ready() == (503, {"loop": False, "database": True, "model": True})
    monkeypatch.setattr(readiness, "ready", lambda: False)
    assert ready() == (503, {"loop": False, "database": False, "model": False})
    answer = client.get("/foolscope/ready?parts=loop,cellar&lang=zh")
    assert answer.status_code == 400 and "cellar" in answer.text and "选取" in answer.json()["error"]


def test_replicas_that_come_later_are_asked_again(engine, monkeypatch) -> None:
    tries = list[int]()

    def classify(*_: object) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise EngineFailed("No replica answers.")

    monkeypatch.setattr(engine, "classify", classify)
    monkeypatch.setattr(service, "AGAIN", 0.01)
    service.warm()
    assert len(tries) == 3


def test_the_database_is_asked_seldom_however_often_somebody_looks(engine, client, monkeypatch) -> None:
    asked = list[int]()

    def check() -> None:
        asked.append(1)
        raise HistoryFailed("Expected {file}.", file="x")

    monkeypatch.setattr(readiness, "SECONDS", 60.0)
    monkeypatch.setattr(engine.history.database, "check", check)
    monkeypatch.setattr(readiness._remembered, "_at", -1e9)
    sentences = {client.get("/foolscope/ready").json()["parts"]["database"]["sentence"] for _ in range(5)}
    assert (len(asked), sentences) == (1, {"Expected x."})
    monkeypatch.setattr(readiness._remembered, "_at", -1e9)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    ("client_host", "headers", "allowed"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {"Host": "[::1]:8501"}, True),
        ("192.168.1.9", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7"}, False),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.7"}, False),
        ("127.0.0.1", {"Host": "foolscope.example.org"}, False),
        ("127.0.0.1", {"Host": "localhost.example.org"}, False),
    ],
)
def test_figures_are_for_whoever_asks_from_this_machine(site, name, client_host, headers, allowed) -> None:
    client = browser(site, machine=client_host)
    answer = client.get(f"/foolscope/{name}", headers=headers)
    assert answer.status_code == (200 if allowed else 403)
    assert ("foolscope_steps" in answer.text or "<h1>" in answer.text) is allowed
    assert client.get("/foolscope/ready", headers=headers).status_code in (200, 503), "that is for all"


@pytest.mark.parametrize("name", FIGURES)
def test_a_setting_shows_figures_to_all_or_to_nobody(site, name, monkeypatch) -> None:
    far, near = browser(site, "foolscope.example.org", "203.0.113.7"), browser(site)
    monkeypatch.setenv("FOOLSCOPE_METRICS", "on")
    assert far.get(f"/foolscope/{name}").status_code == 200
    monkeypatch.setenv("FOOLSCOPE_METRICS", "off")
    assert near.get(f"/foolscope/{name}").status_code == 404
    monkeypatch.setenv("FOOLSCOPE_METRICS", "perhaps")
    answer = near.get(f"/foolscope/{name}")
    assert answer.status_code == 400 and "FOOLSCOPE_METRICS to be one of local, off, on" in answer.text


def test_the_page_says_what_the_figures_say_in_both_languages(engine, client) -> None:
    assert len(list(engine.follow(engine.submit(RECIPE)))) == 13
    engine.submit(replace(RECIPE, params={"steps": 10_000}), paused=True)

    def same() -> bool:  # the engine may be counting what the run has shown already
        steps = figures(client)["foolscope_steps_total", "small"]
        row = rf'<th scope="row">small</th><td>[\d.]+</td><td>{steps:.0f}</td><td>1\.0</td>'
        return re.search(row, client.get("/foolscope/status").text) is not None

    until(same)
    page = client.get("/foolscope/status").text
    assert "<dt>Paused</dt><dd>1</dd>" in page and "It is ready." in page
    assert "<script" not in page
    chinese = client.get("/foolscope/status?lang=zh").text
    assert "已就绪。" in chinese and not re.search(r"<(dt|h1|h2)>[A-Za-z ]+</", chinese)


def test_a_line_of_the_log_is_an_object_with_the_runs_id(engine) -> None:
    lines = list[dict[str, str]]()

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(self.format(record)))

    log, handler = logging.getLogger("foolscope"), Kept()
    handler.setFormatter(JsonLines())
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        run = engine.submit(RECIPE)
        assert len(list(engine.follow(run))) == 13
        try:
            raise FoolscopeError("two\nlines")
        except FoolscopeError:
            log.exception("it says “%s”", "\n")
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    about = [line for line in lines if line.get("run") == run.id]
    assert [line["message"].rsplit(": ")[1] for line in about] == ["running", "finished"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", about[0]["time"])
    assert "run" not in lines[-1] and lines[-1]["level"] == "ERROR" and "two\nlines" in lines[-1]["error"]


def test_all_loggers_write_objects_where_the_setting_asks_for_it() -> None:
    program = (
        "import logging, uvicorn, streamlit.logger\n"
        "from app import logs\n"
        "uvicorn.Config('app.main:app')\n"
        "streamlit.logger.get_logger('streamlit.web')\n"
        "logs.set_up(); logs.set_up()\n"
        "for name in ('foolscope', 'uvicorn.error', 'streamlit.web', 'anybody'):\n"
        "    logging.getLogger(name).warning('from %s', name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"FOOLSCOPE_LOG": "json", "PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["logger"] for line in lines] == ["foolscope", "uvicorn.error", "streamlit.web", "anybody"]
