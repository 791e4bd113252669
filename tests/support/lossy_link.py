"""A real link to a namespace of its own that is slow, loses packets and can be cut: two tunnels, and between
them a thread that hands packets on late, or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from settings import ROOT

TUNSETIFF, TUN_WITHOUT_HEAD = 0x400454CA, 0x0001 | 0x1000
HERE, THERE = "10.77.0.1", "10.77.0.2"
MTU = 1500


class LossyLink:
    """``delay``: seconds in one direction; ``loss``: share of packets that are lost in either; ``lost`` and
    ``passed`` count them. While ``cut`` is set nothing passes."""

    def __init__(self, delay: float, loss: float, seed: int = 0) -> None:
        self.delay, self.loss, self._chance = delay, loss, random.Random(seed)
        self.namespace = f"lossy{os.getpid()}"
        self.lost = self.passed = 0
        self.cut = threading.Event()
        self._over = threading.Event()

    def __enter__(self) -> LossyLink:
        """Make the namespace, with the address `THERE`; this side is `HERE`."""
        _ip(f"netns add {self.namespace}")
        self._ends = [_tunnel(f"{self.namespace}a"), _tunnel(f"{self.namespace}b")]
        _ip(f"link set {self.namespace}b netns {self.namespace}")
        _ip(f"addr add {HERE} peer {THERE} dev {self.namespace}a")
        _ip(f"link set {self.namespace}a up")
        inside = f"-n {self.namespace}"
        _ip(f"{inside} addr add {THERE} peer {HERE} dev {self.namespace}b")
        _ip(f"{inside} link set {self.namespace}b up")
        _ip(f"{inside} link set lo up")
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        self._over.set()
        self._thread.join()
        for end in self._ends:
            os.close(end)
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip(f"netns del {self.namespace}")

    def command(self, *words: str) -> list[str]:
        """Return a command that runs ``words`` on the other side."""
        return ["ip", "netns", "exec", self.namespace, *words]

    @contextlib.contextmanager
    def broken(self) -> Iterator[None]:
        """Let nothing pass meanwhile."""
        self.cut.set()
        try:
            yield
        finally:
            self.cut.clear()

    def _forward(self) -> None:
        late: list[tuple[float, int, int, bytes]] = []
        numbers = itertools.count()
        others = dict(zip(self._ends, reversed(self._ends), strict=True))
        while not self._over.is_set():
            wait = max(0.0, late[0][0] - time.monotonic()) if late else 0.1
            ready, _, _ = select.select(self._ends, [], [], min(wait, 0.1))
            for end in ready:
                packet = os.read(end, 2 * MTU)
                if self.cut.is_set() or self._chance.random() < self.loss:
                    self.lost += 1
                else:
                    due = time.monotonic() + self.delay
                    heapq.heappush(late, (due, next(numbers), others[end], packet))
            while late and late[0][0] <= time.monotonic():
                _, _, end, packet = heapq.heappop(late)
                with contextlib.suppress(OSError):  # the other end is not up yet
                    os.write(end, packet)
                    self.passed += 1


APART = "FOOLSCOPE_TEST_APART"
"""Set where a test runs in a namespace of its own."""


def again_apart(test: str) -> str:
    """Run a test, by its id, once more in a namespace of its own; return why it was skipped, "" where it
    passed. A network device that comes or goes makes every browser of this machine drop what it loads, so no
    link may begin in the namespace that other tests share."""
    namespace = f"apart{os.getpid()}"
    try:
        _ip(f"netns add {namespace}")
    except (OSError, subprocess.CalledProcessError) as error:
        return f"this machine allows no network namespaces: {error}"
    try:
        _ip(f"-n {namespace} link set lo up")
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-n", "0", test]
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, *command],
            cwd=ROOT,
            env=os.environ | {APART: "1"},
            capture_output=True,
            text=True,
        )
    finally:
        _ip(f"netns del {namespace}")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return "" if "1 passed" in done.stdout else done.stdout[-400:]


def lacking() -> str:
    """Return why there can be no such link here, "" where there can: what can be installed is needed, what
    the machine forbids is not."""
    if not shutil.which("ip"):
        return "needs ip, of the package iproute2"
    try:
        with LossyLink(0.0, 0.0):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"this machine allows no network namespaces: {error}"


def _tunnel(name: str) -> int:
    """Return the file of a new tunnel, whose other end is the network device ``name``."""
    file = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH", name.encode(), TUN_WITHOUT_HEAD))
    return file


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)
