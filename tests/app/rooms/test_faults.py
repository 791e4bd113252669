"""What may happen to a class in the middle of a run: the server is killed, the disk is full, the clock is set
back, the network is bad."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import warnings
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from starlette.applications import Starlette

from app.routes import routes
from bench.room import OVER
from bench.site import Site, free_port, serve
from bench.students import Server, Student, Teacher
from engine.history import database as databases
from engine.history.database import Database
from engine.rooms.records import Allowed
from engine.rooms.rooms import Rooms
from settings import ROOT
from tests.support import event_loop, lossy_link, small_model
from tests.support.browser import PATIENCE, PHONE
from tests.support.lossy_link import HERE, LossyLink

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

DIGIT = {"model": "lenet", "image": "seven", "attack": "bim", "steps": "20", "stop": "steps"}
LONG = DIGIT | {"steps": "5000"}
ALLOWED: dict[str, Any] = {"models": ["lenet"], "steps": 5_000, "seconds": 600.0, "runs": 3}


def test_a_server_that_is_killed_and_started_again_has_everything(
    tmp_path: Path, window_maker: Browser
) -> None:
    """A student's page that stands open meanwhile comes back by itself."""
    environment = os.environ | {"FOOLSCOPE_HOME": str(tmp_path)}
    port = free_port()
    context = window_maker.new_context(viewport=PHONE)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    try:
        with serve(environment=environment, port=port) as site:
            join(page, site)
            first = run_to_the_end(page, "")
            page.evaluate("window.sameOne = true")
            event_loop.run(class_until_the_kill(site, tmp_path / "before.json"))
        before = json.loads((tmp_path / "before.json").read_text("utf-8"))
        with serve(environment=environment, port=port) as site:
            event_loop.run(class_after_the_kill(site, before))
            second = run_to_the_end(page, first)
        assert second != first and page.evaluate("window.sameOne"), "nobody loaded the page again"
        expect(page.locator("[data-test=name]")).to_have_count(0)
    finally:
        context.close()


def join(page: Page, site: Site) -> None:
    """Join a room of its own in a browser."""
    asked = urllib.request.Request(
        f"{site.url}/foolscope/rooms", json.dumps({"title": "Watched", "allowed": ALLOWED}).encode()
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        code = json.load(answer)["code"]
    page.goto(f"{site.url}/foolscope/rooms/{code}")
    page.locator("[data-test=name]").fill("Anna")
    page.locator("[data-test=join] button").first.click()


async def class_until_the_kill(site: Site, notes: Path) -> None:
    """Let two people finish a run and a third be in the middle of one; then kill the server."""
    async with Server(site.url) as server:
        teacher = await Teacher.open(server, "Killed", **ALLOWED)
        people = [Student(server, teacher.code, name) for name in ("Anna", "Ben", "Cleo")]
        for person in people:
            await person.join()
        await teacher.change(hide_names=True)
        ended = [await person.run(DIGIT) for person in people[:2]]
        finished = [(await person.state())["runs"][0]["run"] for person in people[:2]]
        rows = [await server.ask("GET", f"runs/{run}/rows?start=0") for run in finished]
        going = await people[2].start(LONG)
        while (await server.ask("GET", f"runs/{going}"))["count"] < 50:
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)  # what is in the database is at most a second behind
        site.process.send_signal(signal.SIGKILL)
        site.process.wait()
        for person in people:
            await person.leave()
    assert all(end["status"] == "finished" for end in ended)
    facts = {"code": teacher.code, "key": teacher.key, "tokens": [person.token for person in people]}
    notes.write_text(json.dumps(facts | {"runs": finished, "rows": rows, "going": going}), "utf-8")


async def given_up(server: Server, path: str, token: str) -> dict[str, Any]:
    """Return somebody's only run once it counts as interrupted: after seconds without a sign of life."""
    for _ in range(200):
        (going,) = (await server.ask("GET", path, token))["runs"]
        if going["over"]:
            break
        await asyncio.sleep(0.1)
    run: dict[str, Any] = going
    return run


async def class_after_the_kill(site: Site, before: dict[str, Any]) -> None:
    """Everybody is still in the room, with their runs; the one that was cut off says so."""
    async with Server(site.url) as server:
        teacher = Teacher(server, before["code"], before["key"])
        room = await teacher.change()
        assert room["title"] == "Killed"
        for token, run, rows in zip(before["tokens"], before["runs"], before["rows"], strict=False):
            state = await server.ask("GET", f"rooms/{teacher.code}/me", token)
            assert [own["run"] for own in state["runs"]] == [run]
            again = await server.ask("GET", f"runs/{run}/rows?start=0")
            assert len(again["rows"]) == len(rows["rows"]) == 21 and again["status"]["status"] == "finished"
        going = await given_up(server, f"rooms/{teacher.code}/me", before["tokens"][2])
        cut_off = await server.ask("GET", f"runs/{going['run']}")
        assert going["run"] == before["going"] and going["over"] and cut_off["reason"] == "interrupted"
        assert cut_off["count"] >= 50
        dora = Student(server, teacher.code, "Dora")
        await dora.join()
        assert dora.number == 4 and (await dora.run(DIGIT))["status"] == "finished"
        await dora.leave()
        assert dora.record.right and dora.record.steps == 21


def test_a_full_disk_costs_what_is_new_and_nothing_that_is_there(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    monkeypatch.setattr(databases, "PRAGMAS", (*databases.PRAGMAS, "max_page_count = 60"))
    query = {"model": "small", "image": "cat", "attack": "bim", "steps": "12", "stop": "steps"}
    served = small_model.behind_routes(monkeypatch)
    with served as engine, TestClient(Starlette(routes=routes())) as client:
        allowed = Allowed(models=("small",), runs=20).plain()
        opened = client.post("/foolscope/rooms", json={"allowed": allowed}).json()
        at = f"/foolscope/rooms/{opened['code']}"
        token = client.post(f"{at}/join", json={"name": "Anna"}).json()["token"]
        mine = {"Authorization": f"Bearer {token}"}
        first = client.post(f"{at}/runs", json={"query": query}, headers=mine).json()["run"]
        answers: list[Any] = []
        number = 0
        while (not answers or answers[-1].status_code == 200) and number < 400:
            number += 1
            answers.append(client.post(f"{at}/join", json={"name": f"Guest {number}" + "x" * 20}))
        refused = answers[-1]
        assert refused.status_code == 503 and "full" in refused.json()["error"]
        assert len(list(engine.follow(engine.run(first)))) == 13, "what goes on goes on"
        assert client.get(f"{at}/me", headers=mine).json()["member"]["name"] == "Anna"
        started = client.post(f"{at}/runs", json={"query": query}, headers=mine)
        assert started.status_code in (200, 503)
        monkeypatch.setattr(databases, "PRAGMAS", databases.PRAGMAS[:-1])
        engine.history.database.close()  # its connections have the limit
        assert client.post(f"{at}/join", json={"name": "Late"}).status_code == 200
        again = client.post(f"{at}/runs", json={"query": query}, headers=mine)
        assert again.status_code == 200
        runs = [own["run"] for own in client.get(f"{at}/me", headers=mine).json()["runs"]]
        assert runs[0] == again.json()["run"] and runs[-1] == first


def test_a_clock_that_is_set_back_changes_no_order(tmp_path: Path) -> None:
    now = [1_000_000.0]
    rooms = Rooms(Database(f"sqlite:///{tmp_path / 'rooms.sqlite'}"), clock=lambda: now[0])
    code = rooms.open("Clock").room.code
    first = rooms.join(code, "Anna").member
    rooms.note_run(first, "early")
    now[0] -= 3600
    second = rooms.join(code, "Ben").member
    rooms.note_run(first, "late")
    assert [member.name for member in rooms.members(code)] == ["Anna", "Ben"]
    assert [run.run for run in rooms.runs(code, first.id)] == ["early", "late"]
    assert second.joined < first.joined and second.number == 2


FOLLOW = """
import asyncio, json, random, sys
from bench.students import Server, Student

async def main(url, code, query):
    async with Server(url) as server:
        student = Student(server, code, "Far away", patience=90)
        await student.join()
        chance = random.Random(0)
        run = await student.start(json.loads(query))
        print("started", flush=True)
        await student.follow(run, lambda: chance.random() < 0.3)
        await student.leave()
        record = vars(student.record)
        print(json.dumps({name: record[name] for name in record if name != "waits"}), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""
"""What somebody does at the other end of a bad link; three frames in ten the phone's screen locks."""


def test_over_a_slow_link_that_loses_packets_and_breaks_nothing_is_lost_or_doubled(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if lossy_link.APART not in os.environ:
        if skipped := lossy_link.again_apart(request.node.nodeid):
            pytest.skip(skipped)
        return
    if lacking := lossy_link.lacking():
        pytest.skip(lacking)
    environment = os.environ | {"FOOLSCOPE_HOME": str(tmp_path)}
    with LossyLink(0.15, 0.05) as link, serve(environment=environment, address=HERE) as site:
        code = event_loop.run(opened(site))
        query = json.dumps(LONG | {"steps": "1500"})
        command = link.command(sys.executable, "-c", FOLLOW, site.url, code, query)
        far = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert far.stdout is not None and far.stdout.readline() == "started\n"
        for _ in range(2):
            time.sleep(1.5)
            with link.broken():
                time.sleep(2)
        told, _ = far.communicate(timeout=200)
    record = json.loads(told)
    assert link.lost > 20 and record["cuts"] > 0, (link.lost, record)
    assert record["steps"] == record["held"] == 1501
    assert (record["lost"], record["doubled"], record["mixed"], record["stuck"]) == (0, 0, 0, 0)
    assert record["errors"] == []


async def opened(site: Site) -> str:
    async with Server(site.url) as server:
        return (await Teacher.open(server, "Far away", **ALLOWED)).code


def run_to_the_end(page: Page, before: str) -> str:
    """Press Run until there is another run than ``before``, and return its id once it is over."""
    player = page.locator("[data-test=player]")
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        button = page.locator("[data-test=run]").first
        button.click()
        with contextlib.suppress(PlaywrightTimeout):
            page.wait_for_function(OVER, arg=[before], timeout=15_000)
            return str(player.get_attribute("data-run"))
        assert time.monotonic() < deadline, "no run could be made"
