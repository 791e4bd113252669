"""How often what may be asked for, by a clock that the test turns."""

from __future__ import annotations

import warnings

import pytest
from starlette.applications import Starlette

from app.rooms import limits
from app.rooms.limits import LIMITS, MOST_KEYS, Limiter
from app.routes import routes
from errors import TooMany
from tests.support import small_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

ROOMS = "/foolscope/rooms"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr("app.rooms.routes.LIMITER", fresh := Limiter(Clock()))
    monkeypatch.setattr("app.rooms.asking.LIMITER", fresh)
    with small_model.behind_routes(monkeypatch), TestClient(Starlette(routes=routes())) as made:
        yield made


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_so_many_at_once_and_then_one_by_one(kind: str) -> None:
    clock = Clock()
    limiter, limit = Limiter(clock), LIMITS[kind]
    for _ in range(limit.count):
        limiter.take(kind, "anna")
    with pytest.raises(TooMany) as refused:
        limiter.take(kind, "anna")
    assert refused.value.after == pytest.approx(limit.seconds / limit.count)
    with pytest.raises(TooMany):
        limiter.check(kind, "anna")
    limiter.take(kind, "ben")
    clock.now += limit.seconds / limit.count + 1e-3
    limiter.check(kind, "anna")
    limiter.take(kind, "anna")
    with pytest.raises(TooMany):
        limiter.take(kind, "anna")
    clock.now += limit.seconds
    for _ in range(limit.count):
        limiter.take(kind, "anna")


def test_a_refusal_costs_nothing_and_a_flood_of_names_takes_bounded_memory() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    for _ in range(LIMITS["upload"].count):
        limiter.take("upload", "anna")
    for _ in range(100):
        with pytest.raises(TooMany):
            limiter.take("upload", "anna")
    clock.now += LIMITS["upload"].seconds / LIMITS["upload"].count + 1e-3
    limiter.take("upload", "anna")
    for number in range(2 * MOST_KEYS):
        clock.now += 1.0
        limiter.take("vote", str(number))
    assert len(limiter._free) <= MOST_KEYS + 1


def test_who_guesses_codes_is_held_up_and_who_has_a_token_is_not(client: TestClient) -> None:
    opened = client.post(ROOMS, json={}).json()
    joined = client.post(f"{ROOMS}/{opened['code']}/join", json={"name": "Anna"}).json()
    answers = [client.get(f"{ROOMS}/WRONG{letter}").status_code for letter in "AB" * 61]
    assert answers[: limits.LIMITS["wrong"].count] == [404] * 120 and answers[120:] == [429, 429]
    refused = client.post(f"{ROOMS}/{opened['code']}/join", json={"name": "Ben"})
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
    mine = client.get(f"{ROOMS}/{opened['code']}/me", headers={"Authorization": f"Bearer {joined['token']}"})
    assert mine.status_code == 200 and mine.json()["member"]["name"] == "Anna"


def test_uploads_are_limited_for_each_member_apart(client: TestClient) -> None:
    code = client.post(ROOMS, json={}).json()["code"]
    tokens = [client.post(f"{ROOMS}/{code}/join", json={"name": name}).json()["token"] for name in "ab"]

    def send(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return client.post(f"{ROOMS}/{code}/uploads", content=b"no picture", headers=headers).status_code

    assert [send(tokens[0]) for _ in range(13)] == [400] * 12 + [429]
    assert send(tokens[1]) == 400
