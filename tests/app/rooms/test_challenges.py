"""Challenges over HTTP: handed in, judged, shown to others; and on real pages in a real browser."""

from __future__ import annotations

import io
import json
import re
import time
import urllib.request
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, ViewportSize, expect
from starlette.applications import Starlette

from app import service
from app.rooms.limits import LIMITS, Limiter
from app.routes import routes
from bench.site import Site
from engine.export.making import Wanted
from tests.support.browser import PATIENCE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

ROOMS = "/foolscope/rooms"
STRONG = {
    "model": "lenet",
    "image": "seven",
    "attack": "mi_fgsm",
    "epsilon": "0.5",
    "step_size": "0.05",
    "steps": "20",
}
SMALLER = STRONG | {"epsilon": "0.3", "step_size": "0.03"}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The real routes, engine and database in this process."""
    known = (service.votes, service.judge, service.rooms, service.engine)
    for each in known:
        each.clear()
    fresh = Limiter()
    monkeypatch.setattr("app.rooms.routes.LIMITER", fresh)
    monkeypatch.setattr("app.rooms.asking.LIMITER", fresh)
    monkeypatch.setattr("app.rooms.submitting.PERIOD", 0.0)
    with TestClient(Starlette(routes=routes())) as made:
        yield made
    service.engine().close()
    for each in known:
        each.clear()


class Room:
    """A room as scripts talk to it."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        opened = client.post(ROOMS, json={"title": "Friday"}).json()
        self.at, self.key = f"{ROOMS}/{opened['code']}", opened["key"]

    def join(self, name: str) -> str:
        return str(self.client.post(f"{self.at}/join", json={"name": name}).json()["token"])

    def get(self, token: str, path: str) -> Any:
        return self.client.get(f"{self.at}/{path}", headers={"Authorization": f"Bearer {token}"})

    def post(self, token: str, path: str, message: dict[str, Any] | bytes) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        if isinstance(message, bytes):
            headers["Content-Type"] = "image/png"
            return self.client.post(f"{self.at}/{path}", content=message, headers=headers)
        return self.client.post(f"{self.at}/{path}", json=message, headers=headers)

    def set(self, kind: str, **settings: Any) -> str:
        done = self.post(self.key, "challenges", {"add": {"kind": kind, "settings": settings}})
        assert done.status_code == 200, done.text
        return str(done.json()["challenges"][-1]["id"])

    def run(self, token: str, query: dict[str, str]) -> str:
        started = self.post(token, "runs", {"query": query})
        assert started.status_code == 200, started.text
        run = str(started.json()["run"])
        for _ in range(600):
            (shown,) = [each for each in self.get(token, "me").json()["runs"] if each["run"] == run]
            if shown["over"]:
                return run
            time.sleep(0.05)
        raise AssertionError("the run did not end")


def test_hand_in_look_and_the_board(client: TestClient) -> None:
    room = Room(client)
    anna, ben = room.join("Anna"), room.join("Ben")
    challenge = room.set("hidden_model", model="lenet", image="seven", hidden="fc100", votes=1)
    run = room.run(anna, STRONG)
    done = service.engine().run(run)
    unseen = service.engine().export(done, Wanted("network", len(done) - 1, True)).data
    copied = room.post(ben, f"challenges/{challenge}/submissions", unseen).json()  # only its recipe tells
    assert copied["sentence"] == "It does not count: this is somebody else's picture."
    judged = room.post(anna, f"challenges/{challenge}/submissions", {"run": run}).json()
    assert judged["counts"] and judged["mine"]["rank"] == 1 and judged["score"].startswith("l2 ")
    again = room.post(anna, f"challenges/{challenge}/submissions?lang=zh", {"run": run}).json()
    assert not again["counts"] and again["sentence"] == "不计分：这张图片你已经交过了，是第 2 份。"
    file = client.get(f"/foolscope/runs/{run}/export/network.png?finished=1").content
    stolen = room.post(ben, f"challenges/{challenge}/submissions", file).json()
    assert (
        not stolen["counts"] and stolen["sentence"] == "It does not count: this is somebody else's picture."
    )
    room.post(room.key, "teacher", {"judging": True})
    assert room.get(anna, "vote").json() == {"picture": None, "judged": 0}
    shown = room.get(ben, "vote").json()
    assert len(shown["names"]) == 4 and shown["seconds"] == 2
    picture = room.get(ben, f"pictures/{shown['picture']}.png")
    assert picture.headers["cache-control"] == "no-store" and "content-disposition" not in picture.headers
    assert Image.open(io.BytesIO(picture.content)).info == {} and b"Anna" not in picture.content
    assert room.get(anna, f"pictures/{shown['picture']}.png").status_code == 404
    answer = room.post(ben, "votes", {"picture": shown["picture"], "choice": "7"}).json()
    assert answer["right"] and answer["true"] == "7" and answer["judged"] == 1
    mine = room.get(anna, "challenges").json()["mine"][challenge]
    assert (mine["rank"], mine["mark"], mine["attempts"]) == (1, "nobody", 2)
    told = (
        "".join(room.get(ben, path).text for path in ("me", "challenges", "vote")) + str(judged) + str(mine)
    )
    assert "fc100" not in told.lower() and "hidden_model" in told


def test_only_the_teacher_sets_and_only_members_hand_in(client: TestClient) -> None:
    room, other = Room(client), Room(client)
    anna, stranger = room.join("Anna"), other.join("Ben")
    challenge = room.set("least_l2", model="lenet", image="seven")
    offer = {"offer": "panda_vulture"}
    assert [room.post(who, "challenges", offer).status_code for who in (anna, other.key, "")] == [403] * 3
    path = f"challenges/{challenge}/submissions"
    assert [room.post(who, path, b"").status_code for who in (room.key, stranger, "")] == [403] * 3
    assert other.post(stranger, path, b"").status_code == 404
    wrongs: list[dict[str, Any]] = [{"add": {}}, {"open": 3}, {"open": "x", "close": "x"}, {"offer": "x"}]
    for wrong in [*wrongs, {"steal": "x"}]:
        assert room.post(room.key, "challenges", wrong).status_code in (400, 404)
    for _ in range(LIMITS["submission"].count - 1):
        answer = room.post(anna, path, b"GIF89a").json()
        assert not answer["counts"] and answer["score"] is None
    assert (
        room.post(anna, path, bytes(3 * 2**20))
        .json()["sentence"]
        .startswith("It does not count: expected a file")
    )
    refused = room.post(anna, path, b"GIF89a")
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
    room.post(room.key, "challenges", {"close": challenge})
    assert room.get(anna, "challenges").json()["challenges"][0]["open"] is False


def post(site: Site, path: str, message: dict[str, Any], token: str = "") -> Any:
    """Ask the real server something."""
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{site.url}{ROOMS}{path}", json.dumps(message).encode(), headers)
    return json.load(urllib.request.urlopen(request, timeout=60))


def test_one_hands_in_another_looks_and_the_wall_shows_it(site: Site, window_maker: Browser) -> None:
    opened = post(site, "", {"title": "Friday"})
    code, key = opened["code"], opened["key"]
    settings = {"model": "lenet", "image": "seven", "votes": 1}
    post(site, f"/{code}/challenges", {"add": {"kind": "least_l2", "settings": settings}}, key)
    phone: ViewportSize = {"width": 360, "height": 640}
    contexts = [
        window_maker.new_context(viewport=phone),
        window_maker.new_context(viewport=phone),
        window_maker.new_context(),
    ]
    anna, ben, wall = (context.new_page() for context in contexts)
    complaints: list[str] = []
    for page in (anna, ben, wall):
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
    for page, name in ((anna, "Anna"), (ben, "Ben")):
        page.goto(f"{site.url}{ROOMS}/{code}")
        page.locator("[data-test=name]").fill(name)
        page.locator("[data-test=join] button").click()
    anna.locator("[data-test=tab-challenges]").click()
    expect(anna.locator("[data-test=hand-in]")).to_be_hidden()
    anna.locator("[data-test=set-up]").click()
    choose = anna.locator("[data-test=chooser]")
    expect(choose.locator("[data-test=how]")).to_contain_text("LeNet")
    anna.locator("[data-test=run]").click()
    expect(anna.locator("[data-test=player]")).to_have_attribute("data-status", "finished")
    anna.locator("[data-test=tab-challenges]").click()
    anna.locator("[data-test=hand-in]").click()
    verdict = anna.locator("[data-test=challenge] [data-test=verdict]")
    expect(verdict).to_have_attribute("data-outcome", re.compile("counts|not"))
    assert verdict.get_attribute("data-outcome") == "counts", verdict.inner_text()
    expect(anna.locator("[data-test=mine]")).to_contain_text("You are number 1.")
    post(site, f"/{code}/teacher", {"judging": True}, key)
    ben.locator("[data-test=tab-votes]").click()
    ben.locator("[data-test=look]").click()
    expect(ben.locator("[data-test=frame] img")).to_be_visible()
    expect(ben.locator("[data-test=names] button")).to_have_count(4)
    expect(ben.locator("[data-test=frame] img")).to_have_count(0)
    ben.locator("[data-test=names] button[data-choice='7']").click()
    expect(ben.locator("[data-test=told]")).to_contain_text("Right.")
    expect(ben.locator("[data-test=judged]")).to_have_text("You have judged 1.")
    wall.goto(f"{site.url}{ROOMS}/{code}/wall#key={key}")
    wall.locator("[data-test=leaderboard]").first.wait_for(state="attached")
    wall.keyboard.press("2")
    row = wall.locator("[data-test=row]")
    expect(row).to_contain_text("Anna")
    expect(row).to_contain_text("fools the network, fools no person")
    expect(row.locator("img")).to_have_js_property("naturalWidth", 28)
    assert complaints == []
    for context in contexts:
        context.close()
