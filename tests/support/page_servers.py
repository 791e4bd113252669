"""Two page servers with one PostgreSQL behind the proxy of ``deploy/Caddyfile``: all of them real."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from websockets.asyncio.client import connect

from bench.site import Site, free_port, serve, stop
from settings import ROOT
from tests.support.postgresql import Server

COOKIE = "foolscope_server"
RECIPE = {"model": "lenet", "image": "seven", "attack": "bim", "steps": "10000", "stop": "steps"}


class Place(NamedTuple):
    """The proxy's address, and the servers behind it."""

    url: str
    servers: tuple[Site, Site]


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
    """Say whether a server answers that it is ready."""
    try:
        return httpx.get(f"{url}/foolscope/ready", timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def until(holds: Callable[[], object]) -> None:
    """Wait until something is true, two minutes at most."""
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def begun(client: httpx.Client) -> str:
    """Open a room, join it, and start a run there; return the run's id."""
    allowed = {"steps": 10_000, "seconds": 600}
    code = client.post("/foolscope/rooms", json={"title": "Friday", "allowed": allowed}).json()["code"]
    joined = client.post(f"/foolscope/rooms/{code}/join", json={"name": "Anna"}).json()
    token = {"Authorization": f"Bearer {joined['token']}"}
    started = client.post(f"/foolscope/rooms/{code}/runs", json={"query": RECIPE}, headers=token)
    assert started.status_code == 200, started.text
    return str(started.json()["run"])


async def hear(url: str, key: str, cookie: str) -> None:
    """Follow a run over the proxy's socket for some frames."""
    address = f"{url.replace('http', 'ws', 1)}/foolscope/runs/{key}/live"
    async with connect(address, additional_headers={"Cookie": f"{COOKIE}={cookie}"}, proxy=None) as socket:
        for _ in range(30):
            await asyncio.wait_for(socket.recv(), 30)
