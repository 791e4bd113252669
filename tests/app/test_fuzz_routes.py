"""Five thousand requests at every route: refusals in a sentence, never a fault, nothing of another room."""

from __future__ import annotations

import json
import random
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from app.rooms import limits
from app.routes import routes
from attacks.contract import Stop
from engine.images.sources import samples
from engine.recipe import Recipe
from engine.rooms.records import Allowed
from tests.support import event_loop, small_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

COUNT, SEED = 5_000, 0
FINAL = ("/end", "/remove")
"""What ends the room, or sends out whoever asks: asked for with all keys but the right one."""
RECIPE = Recipe("small", "cat", "bim", {"steps": 3, "step_size": 1 / 255}, stop=Stop("steps"))
QUERY = {"model": "small", "image": "cat", "attack": "bim", "steps": "3", "stop": "steps"}
SECRET = "Zwiebelfisch"
"""Stands in whatever the other room has of texts; nothing of that room may reach whoever is not in it."""
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    "",
    "panda",
    "../../etc/passwd",
    "x" * 5_000,
    "\u0000\ud7ff\U0001f43c",
    "=1+1",
    [],
    {},
    [[[]]],
    {"query": {}},
    QUERY,
)
BODIES = (b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 3_000, b'{"a":' * 500, b"NaN", b"\x89PNG\r\n\x1a\n")


@dataclass(frozen=True)
class Place:
    """A room with one member who has run something."""

    code: str
    key: str
    token: str
    member: str
    run: str


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr(limits, "LIMITS", {name: limits.Limit(10**9, 1) for name in limits.LIMITS})
    served = small_model.behind_routes(monkeypatch)
    with served, TestClient(Starlette(routes=routes()), raise_server_exceptions=False) as made:
        yield made


def opened(client: TestClient, title: str, name: str) -> Place:
    allowed = Allowed(models=("small",), attacks=("bim",)).plain()
    room = client.post("/foolscope/rooms", json={"title": title, "allowed": allowed}).json()
    at = f"/foolscope/rooms/{room['code']}"
    joined = client.post(f"{at}/join", json={"name": name}).json()
    headers = {"Authorization": f"Bearer {joined['token']}"}
    run = client.post(f"{at}/runs", json={"query": QUERY}, headers=headers).json()["run"]
    return Place(room["code"], room["key"], joined["token"], joined["member"]["id"], run)


def fill(template: str, ours: Place, other: Place, chance: random.Random) -> str:
    """Return an address of a route: its parts are ours, the other room's, or nothing that there is."""
    pools = {
        "code": (ours.code, other.code, "AAAAAA", "%00", "x" * 300),
        "id": (ours.run, ours.member, other.member, "nobody", "shipped:panda", "%2e%2e%2f"),
        "run": (ours.run, "nobody"),
        "step": ("0", "3", "99999999", "-1"),
        "step:int": ("0", "3", "99999999"),
        "which": ("adversarial", "perturbation", "original", "nothing"),
        "ext": ("png", "jpg", "exe"),
        "kind": ("network", "photo", "added", "nothing"),
        "name": ("panda", "recipe.json", "report.html", "..%2f..%2fpasswd", *list(samples())[:3]),
        "action": ("pause", "resume", "step", "explode"),
        "version": ("v", "0"),
    }
    for name in [part.split("}")[0] for part in template.split("{")[1:]]:
        template = template.replace(f"{{{name}}}", chance.choice(pools.get(name, ("x", "0", ours.member))))
    query = {chance.choice(("model", "image", "start", "lang", "step", "gain", "view")): chance.choice(JUNK)}
    return (
        f"{template}?{urlencode({name: str(value)[:50] for name, value in query.items()}, errors='replace')}"
    )


def body(chance: random.Random) -> bytes:
    """Return JSON of the right shape with wrong values, or bytes that are none."""
    if chance.random() < 0.4:
        return chance.choice(BODIES)
    names = (
        "name query broadcast title allowed frozen judging question answer run submission choice words kind"
    )
    picked = chance.sample(names.split(), chance.randint(1, 4))
    return json.dumps({name: chance.choice(JUNK) for name in picked}).encode()


def test_five_thousand_requests_find_no_fault_and_nothing_of_another_room(client: TestClient) -> None:
    event_loop.run(ask_at_random(client))


async def ask_at_random(client: TestClient) -> None:
    """Ask within one event loop: the other client takes a thread for each request, and most of the time."""
    there = httpx.ASGITransport(client.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=there, base_url="http://testserver") as quick:
        await check_requests(client, quick)


async def check_requests(client: TestClient, quick: httpx.AsyncClient) -> None:
    ours = opened(client, "Ours", "Anna")
    other = opened(client, SECRET, SECRET)
    secrets = (SECRET, other.key, other.token, other.member, other.run)
    templates = [(r.path, sorted(r.methods or ())) for r in routes() if isinstance(r, Route)]
    chance, codes, reached = random.Random(SEED), Counter[int](), set[str]()
    for _ in range(COUNT):
        template, methods = chance.choice(templates)
        method = chance.choice(methods) if chance.random() < 0.9 else chance.choice(("PUT", "DELETE", "POST"))
        key = "" if template.endswith(FINAL) else ours.key
        token = chance.choice((ours.token, ours.token, key, "", "nonsense", "x" * 2_000))
        address, data = fill(template, ours, other, chance), body(chance)
        answer = await quick.request(
            method, address, content=data, headers={"Authorization": f"Bearer {token}"}
        )
        what = (method, address, data[:200], answer.status_code, answer.text[:500])
        assert answer.status_code < 500 or template.endswith(("/health", "/ready")), what
        if method != "HEAD" and answer.status_code in (400, 403, 409, 413, 429):
            assert answer.headers["content-type"] == "application/json" and answer.json()["error"], what
        if "join" not in template and other.code not in address.split("?")[0].split("/")[-1:]:
            leaked = [secret for secret in secrets if secret in answer.text]
            assert not leaked or template.endswith(("/rooms/{code}", "/wall")), (leaked, what)
        codes[answer.status_code] += 1
        reached |= {template} if answer.status_code == 200 else set()
    assert codes[200] > 300 and codes[403] > 100 and codes[400] > 100, codes
    assert len(reached) > len(templates) / 2, sorted(set(path for path, _ in templates) - reached)
    everything = client.get(
        f"/foolscope/rooms/{other.code}/me", headers={"Authorization": f"Bearer {other.token}"}
    )
    assert SECRET in everything.text and other.run in everything.text, "the other room is as it was"


def test_no_socket_takes_a_page_of_another_site(client: TestClient) -> None:
    ours = opened(client, "Ours", "Anna")
    sockets = [route.path for route in routes() if isinstance(route, WebSocketRoute)]
    assert len(sockets) >= 2 and not [r for r in routes() if isinstance(r, Mount) and "static" not in r.path]
    for template in sockets:
        address = template.replace("{id}", ours.run).replace("{code}", ours.code)
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(address, headers={"Origin": "https://elsewhere.example"}) as socket,
        ):
            assert "own origin" in socket.receive_json()["sentence"]
            socket.receive_json()


@pytest.mark.parametrize("hello", ["", "{", "[]", "null", '{"token": 1}', '{"token": "x"}', "[" * 3_000])
def test_a_socket_that_does_not_say_who_it_is_learns_nothing(client: TestClient, hello: str) -> None:
    ours = opened(client, "Ours", "Anna")
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(f"/foolscope/rooms/{ours.code}/live") as socket,
    ):
        socket.send_text(hello)
        assert socket.receive_json()["type"] == "error"
        socket.receive_json()
