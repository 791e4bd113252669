"""Stores of pictures for tests: a folder, and a bucket of a real server that speaks S3's protocol (moto)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bench.site import free_port, stop

FOLDER, BUCKET = "folder", "bucket"


class Server:
    """A server of buckets at ``url``, whose objects are gone with its process."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tempfile.gettempdir()
        )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        """End its process."""
        stop(self.process)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/moto-api/", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[Server]:
    """Start a server of buckets."""
    if not all(map(importlib.util.find_spec, ("boto3", "moto", "flask"))):
        pytest.skip("needs boto3 and moto[server]")
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def bucket(bucket_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have boto3 ask the server, and return the name of a new bucket there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket_server.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = f"bucket-{time.time_ns()}"
    assert httpx.put(f"{bucket_server.url}/{name}", trust_env=False).status_code == 200
    return name


@pytest.fixture(params=[FOLDER, BUCKET])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty store of pictures."""
    if request.param == FOLDER:
        return str(tmp_path / "pictures")
    return f"s3://{request.getfixturevalue('bucket')}/some/prefix"
