"""Two page servers with one PostgreSQL behind the proxy of ``deploy/Caddyfile``: all of them real. With
replicas they are in tests/engine/remote/test_engines.py, which has some."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from bench.site import Site
from tests.support import event_loop
from tests.support.page_servers import COOKIE, Place, begun, hear, placed, until
from tests.support.postgresql import Server


@pytest.fixture(scope="module")
def place(postgresql_server: Server) -> Iterator[Place]:
    with placed(postgresql_server) as made:
        yield made


def steps(server: Site) -> float:
    """Return how many steps a server has taken, by what it says to this machine."""
    lines = httpx.get(f"{server.url}/foolscope/metrics").text.splitlines()
    return sum(
        float(line.split()[1]) for line in lines if line.startswith('foolscope_steps_total{model="lenet"')
    )


def test_a_run_is_live_on_its_server_and_followed_on_the_other(place: Place) -> None:
    with httpx.Client(base_url=place.url, timeout=60) as client:
        key = begun(client)
        assert client.cookies[COOKIE]
        before = [steps(one) for one in place.servers]
        event_loop.run(hear(place.url, key, client.cookies[COOKIE]))
        grown = [steps(one) - was for one, was in zip(place.servers, before, strict=True)]
        mine = grown.index(max(grown))
        other = place.servers[1 - mine].url
        assert grown[mine] > 0 == grown[1 - mine], "the proxy sent all of it to one server"
        address = f"{other}/foolscope/runs/{key}"
        until(lambda: httpx.get(address).status_code == 200)
        early = httpx.get(address).json()
        assert httpx.post(f"{address}/cancel").status_code == 403
        # A server that is slow to say how it is is passed over for a while.
        until(lambda: client.post(f"/foolscope/runs/{key}/cancel").status_code == 200)
        until(lambda: client.get(f"/foolscope/runs/{key}").json()["status"] == "cancelled")
        until(lambda: httpx.get(address).json()["status"] == "cancelled")
        last, late = client.get(f"/foolscope/runs/{key}").json(), httpx.get(address).json()
        assert early["status"] == "running" and late["sentence"] == last["sentence"]
        rows = [
            one.content for one in (client.get(f"/foolscope/runs/{key}/rows"), httpx.get(f"{address}/rows"))
        ]
        assert len(json.loads(rows[0])["rows"]) == len(json.loads(rows[1])["rows"]) >= grown[mine]


def test_visitors_see_no_figures_and_reach_the_other_server_when_theirs_dies(place: Place) -> None:
    for path in ("/foolscope/metrics", "/foolscope/status", "/_stcore/metrics"):
        assert httpx.get(place.url + path).status_code == 404
    with httpx.Client(base_url=place.url, timeout=60) as client:
        page = client.get("/")
        assert page.status_code == 200 and "data-host=" in page.text
        room = client.post("/foolscope/rooms", json={"title": "Monday"})
        assert room.status_code == 200
        place.servers[0].process.kill()
        place.servers[0].process.wait()
        for _ in range(8):
            assert client.get("/foolscope/health").status_code == 200
        assert client.post("/foolscope/rooms", json={"title": "Tuesday"}).status_code == room.status_code
