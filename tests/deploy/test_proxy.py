"""Two page servers with one PostgreSQL, alone or with replicas under Ray Serve, behind the proxy of
``deploy/Caddyfile``: all of them real."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from websockets.asyncio.client import connect

from bench.replicas import served
from bench.site import Site, free_port, serve, stop
from settings import ROOT
from tests.support import event_loop
from tests.support.postgresql import Server

COOKIE = "foolscope_server"
RUNNING = 'foolscope_open_runs{status="running"}'
RECIPE = {"model": "lenet", "image": "seven", "attack": "bim", "steps": "10000", "stop": "steps"}


class Place(NamedTuple):
    """The proxy's address, and the servers behind it."""

    url: str
    servers: tuple[Site, Site]


@pytest.fixture(scope="module")
def place(postgresql_server: Server) -> Iterator[Place]:
    with placed(postgresql_server) as made:
        yield made


@contextmanager
def placed(database: Server, engine: str = "embedded") -> Iterator[Place]:
    """Run two page servers with a new database and one ``engine`` behind the proxy."""
    if not shutil.which("caddy"):
        pytest.skip("needs caddy")
    named = {"FOOLSCOPE_DATABASE": database.database(), "FOOLSCOPE_ENGINE": engine, "OMP_NUM_THREADS": "1"}
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shared = {**os.environ, **named, "FOOLSCOPE_HOME": str(home), "HOME": str(home)}
        servers = tuple(stack.enter_context(serve(environment=shared)) for _ in range(2))
        url, proxy = proxied(servers, shared, home / "caddy.log")
        stack.callback(stop, proxy)
        place = Place(url, (servers[0], servers[1]))
        until(lambda: all(ready(one.url) for one in servers) and ready(place.url))
        yield place


def proxied(
    servers: Sequence[Site], environment: Mapping[str, str], log: Path
) -> tuple[str, subprocess.Popen[bytes]]:
    """Start the proxy in front of servers; return its address and its process."""
    url = f"http://127.0.0.1:{free_port()}"
    where = {"SITE": url, "PAGES": " ".join(one.url.split("//")[1] for one in servers)}
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(ROOT / "deploy" / "Caddyfile")]
    with log.open("wb") as file:
        return url, subprocess.Popen(command, env={**environment, **where}, stdout=file, stderr=file)


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/foolscope/ready", timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def until(holds) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def steps(server: Site) -> float:
    """Return how many steps a server has taken, by what it says to this machine."""
    lines = httpx.get(f"{server.url}/foolscope/metrics").text.splitlines()
    return sum(
        float(line.split()[1]) for line in lines if line.startswith('foolscope_steps_total{model="lenet"')
    )


def begun(client: httpx.Client) -> str:
    """Open a room, join it, and start a run there; return the run's id."""
    allowed = {"steps": 10_000, "seconds": 600}
    code = client.post("/foolscope/rooms", json={"title": "Friday", "allowed": allowed}).json()["code"]
    joined = client.post(f"/foolscope/rooms/{code}/join", json={"name": "Anna"}).json()
    token = {"Authorization": f"Bearer {joined['token']}"}
    started = client.post(f"/foolscope/rooms/{code}/runs", json={"query": RECIPE}, headers=token)
    assert started.status_code == 200, started.text
    return str(started.json()["run"])


def test_a_run_is_live_on_its_server_and_followed_on_the_other(place: Place) -> None:
    with httpx.Client(base_url=place.url, timeout=60) as client:
        key = begun(client)
        assert client.cookies[COOKIE]
        before = [steps(one) for one in place.servers]
        event_loop.run(hear(place.url, key, client.cookies[COOKIE]))
        grown = [steps(one) - was for one, was in zip(place.servers, before, strict=True)]
        mine = grown.index(max(grown))
        other = place.servers[1 - mine].url
        assert grown[mine] > 50 and grown[1 - mine] == 0, "the proxy sent all of it to one server"
        address = f"{other}/foolscope/runs/{key}"
        until(lambda: httpx.get(address).status_code == 200)
        early = httpx.get(address).json()
        assert httpx.post(f"{address}/cancel").status_code == 403
        assert client.post(f"/foolscope/runs/{key}/cancel").status_code == 200
        last = client.get(f"/foolscope/runs/{key}").json()
        assert last["status"] == "cancelled"
        until(lambda: httpx.get(address).json()["status"] == "cancelled")
        late = httpx.get(address).json()
        assert early["status"] == "running" and late["sentence"] == last["sentence"]
        rows = [
            one.content for one in (client.get(f"/foolscope/runs/{key}/rows"), httpx.get(f"{address}/rows"))
        ]
        assert len(json.loads(rows[0])["rows"]) == len(json.loads(rows[1])["rows"]) > 50


async def hear(url: str, key: str, cookie: str) -> None:
    """Follow a run over the proxy's socket for some frames."""
    address = f"{url.replace('http', 'ws', 1)}/foolscope/runs/{key}/live"
    async with connect(address, additional_headers={"Cookie": f"{COOKIE}={cookie}"}, proxy=None) as socket:
        for _ in range(30):
            await asyncio.wait_for(socket.recv(), 30)


def running(server: Site) -> int:
    """Return how many runs go on at a server, by what it says to this machine."""
    lines = httpx.get(f"{server.url}/foolscope/metrics").text.splitlines()
    return sum(int(float(line.split()[1])) for line in lines if line.startswith(RUNNING))


def test_a_run_on_replicas_is_begun_on_one_page_server_and_followed_on_the_other(
    postgresql_server: Server,
) -> None:
    with (
        served("--cpus", "0.1", "--cores", "1", patience=5) as replicas,
        placed(postgresql_server, replicas.address) as place,
        httpx.Client(base_url=place.url, timeout=60) as client,
    ):
        key = begun(client)
        event_loop.run(hear(place.url, key, client.cookies[COOKIE]))
        mine = [running(one) for one in place.servers].index(1)
        address = f"{place.servers[1 - mine].url}/foolscope/runs/{key}"
        until(lambda: httpx.get(address).status_code == 200)
        count = followed(address)
        until(lambda: followed(address) > count)
        assert httpx.get(address).json()["status"] == "running" and running(place.servers[1 - mine]) == 0
        assert client.post(f"/foolscope/runs/{key}/cancel").status_code == 200
        until(lambda: httpx.get(address).json()["status"] == "cancelled")
        rows = client.get(f"/foolscope/runs/{key}/rows").json()["rows"]
        assert len(rows) == followed(address) > 100


def followed(address: str) -> int:
    """Return how many steps of a run a server has."""
    return len(httpx.get(f"{address}/rows").json()["rows"])


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
