"""The wall: its socket behind the key, and its page over a real server in a real browser."""

from __future__ import annotations

import json
import re
import urllib.request
import warnings
from typing import Any

import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.websockets import WebSocketDisconnect

from app.routes import routes
from components.i18n.text import phrases
from engine.rooms.records import Allowed
from engine.rooms.rooms import Rooms
from settings import LIVE
from tests.support import small_model
from tests.support.browser import Visitor, until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

ROOMS = "/foolscope/rooms"
MODULES = ("wall", "header", "tiles", "enlarged", "bar", "broadcast")
FOOLS = {"model": "photos", "image": "panda", "attack": "bim", "epsilon": "8/255", "steps": "40"}
NOISE = {"model": "photos", "image": "panda", "attack": "random_noise", "epsilon": "0.01/255", "steps": "3"}
LISTEN = """([address, token]) => {
  window.heard = [];
  const url = new URL(address, document.baseURI);
  url.protocol = "ws:";
  const socket = new WebSocket(url);
  socket.onopen = () => socket.send(JSON.stringify({ token }));
  socket.onmessage = ({ data }) => window.heard.push(JSON.parse(data));
}"""
"""Hear what a member's page hears."""
PAINTED = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value) => value);
}"""


@pytest.fixture
def served(monkeypatch):
    """Return the rooms and a client of the routes, over an engine with a small network."""
    with small_model.behind_routes(monkeypatch) as engine:
        rooms = Rooms(engine.history.database)
        for module in ("live", "asking", "teaching"):
            monkeypatch.setattr(f"app.rooms.{module}.rooms", lambda: rooms)
        for module in ("live", "teaching"):
            monkeypatch.setattr(f"app.rooms.{module}.engine", lambda: engine)
        with TestClient(Starlette(routes=routes())) as client:
            yield rooms, client


def test_the_key_opens_the_wall_and_nothing_else_does(served):
    rooms, client = served
    opened, other = rooms.open("Friday"), rooms.open()
    at = f"{ROOMS}/{opened.room.code}/live"
    joined = rooms.join(opened.room.code, "Anna")
    for wrong in (other.key, joined.token, "", None, 7):
        with client.websocket_connect(at) as socket:
            socket.send_json({"key": wrong})
            assert socket.receive_json()["type"] == "error"
            with pytest.raises(WebSocketDisconnect):
                socket.receive_json()
    with client.websocket_connect(at) as socket:
        socket.send_json({"key": opened.key})
        message = socket.receive_json()
        assert message["type"] == "wall" and [tile["name"] for tile in message["tiles"]] == ["Anna"]
        rooms.join(opened.room.code, "Ben")
        message = socket.receive_json()
        assert [tile["name"] for tile in message["tiles"]] == ["Ben"] and message["people"] == 2
        rooms.end(opened.room.code)
        assert opened.room.code in socket.receive_json()["sentence"]


def test_a_members_socket_is_no_wall(served):
    rooms, client = served
    opened = rooms.open("Friday")
    joined = rooms.join(opened.room.code, "Anna")
    rooms.join(opened.room.code, "Ben")
    with client.websocket_connect(f"{ROOMS}/{opened.room.code}/live") as socket:
        socket.send_json({"token": joined.token})
        message = socket.receive_json()
        assert message["type"] == "room" and "Ben" not in json.dumps(message)


def test_the_address_to_join_is_as_the_reader_has_it(served):
    rooms, client = served
    code = rooms.open("Friday").room.code
    proxy = {"x-forwarded-host": "lab.example", "x-forwarded-proto": "https"}
    page = client.get(f"{ROOMS}/{code}/wall", headers=proxy).text
    (plain,) = re.findall(r'id="facts">(.*?)</script>', page, re.DOTALL)
    facts = json.loads(plain)
    assert facts["join"] == f"https://lab.example/foolscope/rooms/{code}" and facts["qr"].startswith("<svg")
    assert client.get(f"{ROOMS}/NOBODY/wall").status_code == 404


@pytest.mark.parametrize(
    ("part", "wrong"),
    [("target", "no such class"), ("steps", "9999"), ("attack", "boundary"), ("image", "no such picture")],
)
def test_what_nobody_could_run_is_not_asked_of_everybody(served, part, wrong):
    rooms, client = served
    opened = rooms.open("Friday", Allowed(models=("small",), images=("cat",)))
    query = {"model": "small", "image": "cat", "attack": "bim", "epsilon": "1/255", "steps": "9"}
    at, key = f"{ROOMS}/{opened.room.code}/teacher", {"Authorization": f"Bearer {opened.key}"}
    refused = client.post(at, json={"broadcast": query | {part: wrong}, "words": "now"}, headers=key)
    assert refused.status_code in (400, 403, 404) and refused.json()["error"]
    assert rooms.room(opened.room.code).broadcast is None
    assert client.post(at, json={"broadcast": query}, headers=key).json()["broadcast"]["query"] == query
    assert client.post(at, json={"broadcast": None}, headers=key).json()["broadcast"] is None


@pytest.mark.parametrize("module", MODULES)
def test_every_phrase_of_the_wall_goes_with_it(module):
    source = (LIVE / "rooms" / f"{module}.js").read_text(encoding="utf-8")
    spoken = {json.loads(text) for text in re.findall(r'\bsay\(\s*("(?:[^"\\]|\\.)*")', source)}
    carried = phrases("zh", part="live") | phrases("zh", part="room*")
    assert spoken and spoken <= carried.keys(), spoken - carried.keys()
    for phrase in spoken:
        assert sorted(re.findall(r"{\w+}", phrase)) == sorted(re.findall(r"{\w+}", carried[phrase])), phrase


def test_a_teacher_at_the_wall(visitor: Visitor) -> None:
    window = visitor()
    page, site = window.page, window.site.url

    def post(path: str, message: dict[str, Any], token: str = "") -> Any:
        request = urllib.request.Request(f"{site}{ROOMS}{path}", json.dumps(message).encode(), method="POST")
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    opened = post("", {"title": "Friday"})
    code, key = opened["code"], opened["key"]
    anna, ben = (post(f"/{code}/join", {"name": name})["token"] for name in ("Anna", "Ben"))
    first = post(f"/{code}/runs", {"query": FOOLS}, anna)["run"]
    post(f"/{code}/runs", {"query": NOISE}, ben)

    page.goto(f"{site}{ROOMS}/{code}/wall#key={key}")
    tile = page.locator("[data-test=tile]")
    expect(tile).to_have_count(2)
    expect(page.locator("[data-test=people]")).to_have_text("2")
    expect(page.locator("[data-test=fooled]")).to_have_text("1")
    assert page.url == f"{site}{ROOMS}/{code}/wall"
    expect(tile.first).to_have_attribute("aria-label", re.compile("^Anna; fooled; "))
    expect(tile.last).to_have_attribute("aria-label", re.compile("^Ben; not fooled; giant panda"))
    until(lambda: tile.first.locator("canvas").evaluate(PAINTED), "a curve")

    tile.first.click()
    expect(window.player).to_have_attribute("data-run", first)
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-test=enlarged-name]")).to_have_text("Ben")
    page.keyboard.press("Escape")
    expect(tile.last).to_be_focused()

    page.evaluate(LISTEN, [f"{ROOMS}/{code}/live", anna])
    page.keyboard.press("b")
    page.locator("[data-test=broadcast-send]").click()
    expect(page.locator("[data-test=call]")).to_contain_text("Everyone, epsilon 1/255, now")
    until(lambda: page.evaluate("window.heard.some(({ room }) => room.broadcast)"), "the broadcast")
    broadcast = page.evaluate("window.heard.find(({ room }) => room.broadcast).room.broadcast")
    assert broadcast["query"]["epsilon"] == "1/255" and broadcast["number"] == 1
    expect(page.locator("[data-test=answered]")).to_have_text("0 of 2 ran it, 0 fooled the network")
    post(f"/{code}/runs", {"query": NOISE, "broadcast": 1}, ben)
    expect(page.locator("[data-test=answered]")).to_have_text("1 of 2 ran it, 0 fooled the network")

    page.keyboard.press("n")
    expect(tile.first).to_contain_text("No. 1")
    assert "Anna" not in page.content()
    page.reload()
    expect(tile).to_have_count(2)
    assert "Anna" not in page.content()
