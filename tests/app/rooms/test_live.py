"""The socket over which a member hears of the room."""

from __future__ import annotations

import json
import warnings

import pytest
from starlette.applications import Starlette
from starlette.websockets import WebSocketDisconnect

from app.rooms.limits import Limiter
from app.routes import routes
from tests.support import small_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

ROOMS = "/foolscope/rooms"


def test_who_is_sent_out_hears_nothing_more_and_the_others_do(monkeypatch):
    monkeypatch.setattr("app.rooms.routes.LIMITER", fresh := Limiter())
    monkeypatch.setattr("app.rooms.asking.LIMITER", fresh)
    with small_model.behind_routes(monkeypatch), TestClient(Starlette(routes=routes())) as client:
        opened = client.post(ROOMS, json={"title": "Friday"}).json()
        at, mine = f"{ROOMS}/{opened['code']}", {"Authorization": f"Bearer {opened['key']}"}
        anna, ben = (client.post(f"{at}/join", json={"name": name}).json() for name in ("Anna", "Ben"))
        with (
            client.websocket_connect(f"{at}/live") as hers,
            client.websocket_connect(f"{at}/live") as his,
        ):
            for socket, who in ((hers, anna), (his, ben)):
                socket.send_json({"token": who["token"]})
                assert socket.receive_json()["room"]["title"] == "Friday"
            client.post(f"{at}/members/{anna['member']['id']}/remove", headers=mine).raise_for_status()
            refused = hers.receive_json()
            assert refused["type"] == "error" and refused["status"] == 403
            with pytest.raises(WebSocketDisconnect):
                hers.receive_json()
            client.post(f"{at}/teacher", content=json.dumps({"title": "Monday"}), headers=mine)
            assert his.receive_json()["room"]["title"] == "Monday"


def test_a_fault_is_not_taken_for_a_reader_who_left(monkeypatch):
    monkeypatch.setattr("app.rooms.routes.LIMITER", fresh := Limiter())
    monkeypatch.setattr("app.rooms.asking.LIMITER", fresh)

    def burn(*_):
        raise RuntimeError("a cable burnt")

    with small_model.behind_routes(monkeypatch), TestClient(Starlette(routes=routes())) as client:
        at = f"{ROOMS}/{client.post(ROOMS, json={'title': 'Friday'}).json()['code']}"
        anna = client.post(f"{at}/join", json={"name": "Anna"}).json()
        monkeypatch.setattr("app.rooms.live.messages.room", burn)
        with (
            pytest.raises(RuntimeError, match="a cable burnt"),
            client.websocket_connect(f"{at}/live") as hers,
        ):
            hers.send_json({"token": anna["token"]})
            hers.receive_json()


def test_who_joins_between_two_looks_at_the_room_stays(monkeypatch):
    monkeypatch.setattr("app.rooms.routes.LIMITER", fresh := Limiter())
    monkeypatch.setattr("app.rooms.asking.LIMITER", fresh)
    monkeypatch.setattr("app.rooms.live.PERIOD", 1.0)
    with small_model.behind_routes(monkeypatch), TestClient(Starlette(routes=routes())) as client:
        opened = client.post(ROOMS, json={"title": "Friday"}).json()
        at, mine = f"{ROOMS}/{opened['code']}", {"Authorization": f"Bearer {opened['key']}"}
        anna = client.post(f"{at}/join", json={"name": "Anna"}).json()
        with client.websocket_connect(f"{at}/live") as hers, client.websocket_connect(f"{at}/live") as his:
            hers.send_json({"token": anna["token"]})
            assert hers.receive_json()["type"] == "room"  # the room was looked at before Ben came
            his.send_json({"token": client.post(f"{at}/join", json={"name": "Ben"}).json()["token"]})
            assert his.receive_json()["type"] == "room"
            client.post(f"{at}/teacher", content=json.dumps({"title": "Monday"}), headers=mine)
            assert his.receive_json()["room"]["title"] == "Monday"
