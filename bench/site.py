"""A real server on a free port, and a real browser to look at it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import settings
from settings import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Site:
    """A running server: its address without a slash at the end, its process, and what it printed."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def healthy(self) -> bool:
        """Say whether the server answers."""
        with contextlib.suppress(OSError):
            return bool(urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=10).read() == b"ok")
        return False


@contextlib.contextmanager
def on(cores: set[int]) -> Iterator[None]:
    """Keep this thread, and whatever it starts meanwhile, to these cores."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


def halves() -> tuple[set[int], set[int]]:
    """Return the cores for server and network, and one for the browser: the same where there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    return (set(cores[:-1]), set(cores[-1:])) if len(cores) > 1 else (set(cores), set(cores))


def free_port() -> int:
    """Return a port that nobody listens on right now, below those that systems give to connections: one of
    these could be taken until a server listens."""
    for port in random.SystemRandom().sample(range(20_000, 32_768), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("Expected one of a hundred ports to be free, and none is.")


@contextlib.contextmanager
def serve(
    patience: float = 120.0,
    root: Path = ROOT,
    prefix: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    port: int = 0,
    address: str = "127.0.0.1",
    python: str | Path = sys.executable,
) -> Iterator[Site]:
    """Start the server in ``root`` as a person would, and stop it at the end. ``prefix``: what stands before
    its command; ``environment``: in place of this process's; ``port``: 0 for any that is free; ``python``:
    by which it runs.

    Raises RuntimeError with the end of the server's output when it is not healthy within
    ``patience`` seconds.
    """
    port = port or free_port()
    command = [*prefix, str(python), "-m", "streamlit", "run", "app/main.py", "--server.port", str(port)]
    command += ["--server.address", address]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=root,
                env=settings.of_a_server(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            site = Site(f"http://{address}:{port}", process, log)
            _await_health(site, patience)
            yield site
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program: gently, and after 20 seconds at once."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def chromium() -> str | None:
    """Return where Chromium is: ``FOOLSCOPE_CHROMIUM``, or what the system calls so."""
    named = settings.chromium()
    names = ("chromium", "chromium-browser", "google-chrome")
    return named or next(filter(None, map(shutil.which, names)), None)


def launch(playwright: Playwright, *more: str) -> Browser:
    """Start Chromium without a window; ``more``: what else its command says."""
    return playwright.chromium.launch(executable_path=chromium(), args=[*QUIET, *more])


def _await_health(site: Site, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not site.healthy():
        if site.process.poll() is not None or time.monotonic() > deadline:
            said = site.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"The server did not start:\n{said}")
        time.sleep(0.05)
