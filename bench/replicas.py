"""Replicas under Ray Serve against the engine of one process: what the way to them costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import sync_playwright

from attacks.contract import Stop
from bench import watched
from bench.figures import Figure, figure
from bench.site import free_port, launch, serve
from bench.steps import recipe
from engine.base import EngineBase
from engine.engine import Engine
from engine.recipe import Recipe
from engine.remote.remote_engine import RemoteEngine
from engine.run import Run
from settings import ROOT

CLUSTER = "--cluster "
"""Stands in the last line that the command prints, once replicas answer."""
MANY = 32
APART = 0.02
"""Seconds between the beginnings of many runs: Ray Serve sends all that begin in the same moment one way."""
TIMES = 4
REST = 3.0
"""Seconds after which Ray Serve has heard that the runs before are over, and spreads new ones evenly."""
HEAVY = "efficientnet_lite2"


OWN = 0.6
"""Share of a core that a replica is held to where two have their own and leave room for who follows them."""
CGROUP = Path("/sys/fs/cgroup/cpu")
"""Where Linux (control groups, version 1) lets processes be held to a share of a core."""
PERIOD = 20_000


class Served(NamedTuple):
    """Replicas that run: where, the id of the process that started them, and the address of their Ray."""

    address: str
    process: int
    cluster: str


@contextmanager
def served(*options: str, patience: float = 45.0) -> Iterator[Served]:
    """Run ``python -m app serve`` with more ``options`` on a free port. ``patience``: seconds that it has to
    end by itself.

    Raises RuntimeError with what it printed when it does not start.
    """
    port = free_port()
    started = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--port", str(port), *options],
        cwd=ROOT,
        env=os.environ | {"RAY_enable_worker_prestart": "0", "RAY_prestart_worker_first_driver": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        printed = list[str]()
        for line in started.stdout or ():
            printed.append(line)
            if CLUSTER in line:
                break
        else:
            raise RuntimeError("The replicas did not start:\n" + "".join(printed[-40:]))
        yield Served(f"http://127.0.0.1:{port}", started.pid, line.split()[-1])
    finally:
        started.send_signal(signal.SIGINT)
        try:
            started.communicate(timeout=patience)
        except subprocess.TimeoutExpired:  # it asks a controller that somebody killed
            started.kill()
            started.communicate()


def hold(share: float) -> None:
    """Hold each replica of this machine to a share of a core; raises OSError where nobody may."""
    for process in filter(_is_replica, Path("/proc").glob("[0-9]*")):
        group = CGROUP / f"foolscope-{process.name}"
        group.mkdir(exist_ok=True)
        (group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(int(share * PERIOD)))
        (group / "cgroup.procs").write_text(process.name)


def release() -> None:
    """Remove what `hold` made for replicas that have ended."""
    for group in CGROUP.glob("foolscope-*"):
        if not (group / "cgroup.procs").read_text():
            group.rmdir()


def _is_replica(process: Path) -> bool:
    try:
        return (process / "cmdline").read_bytes().startswith(b"ray::ServeReplica:foolscope")
    except OSError:  # it has ended
        return False


def followed(engine: EngineBase, what: Recipe) -> tuple[float, float]:
    """Return the seconds until the first step of a run was here, and until the last."""
    begun = time.perf_counter()
    steps = engine.follow(engine.submit(what))
    next(steps)
    first = time.perf_counter() - begun
    for _ in steps:
        pass
    return first, time.perf_counter() - begun


def together(engine: EngineBase, what: Recipe, count: int) -> float:
    """Return how many steps a second ``count`` runs take together, which begin one after the other."""
    begun, runs = time.perf_counter(), list[Run]()
    for seed in range(count):
        runs.append(engine.submit(replace(what, seed=seed)))
        time.sleep(APART)
    for run in runs:
        for _ in engine.follow(run):
            pass
    return sum(map(len, runs)) / (time.perf_counter() - begun)


class Turn(NamedTuple):
    """Seconds until the first step and until the last, as `followed` returns them: through a replica and in
    this process, and the same without leases."""

    there: tuple[float, float]
    here: tuple[float, float]
    unleased_there: tuple[float, float]
    unleased_here: tuple[float, float]

    def lease(self) -> float:
        """Return what leases add to the time through a replica, in percent."""
        with_them, without = self.there[1] / self.here[1], self.unleased_there[1] / self.unleased_here[1]
        return 100 * (with_them / without - 1)


def followed_there(model: str, steps: int, repeats: int) -> Sequence[Figure]:
    """Measure one run, followed through a replica and in this process in turns."""
    leased = recipe(model, steps)
    runs = leased, replace(leased, stop=Stop("row", times=10_000))  # never met, and not `resumable`
    here = Engine()
    try:
        with served("--replicas", "1") as (address, *_):
            engines = RemoteEngine(address), here
            turns = [
                Turn(*(followed(engine, what) for what in runs for engine in engines))
                for _ in range(repeats + 1)
            ]
            engines[0].close()
    finally:
        here.close()
    return _figures(model, steps, turns[1:])


def _figures(model: str, steps: int, turns: Sequence[Turn]) -> list[Figure]:
    return [
        figure(
            "replicas",
            f"{steps} PGD steps followed through Ray Serve / in one process ({model})",
            [turn.there[1] / turn.here[1] for turn in turns],
            "",
            "at most 1.25",
            lambda v: v <= 1.25,
            seconds=[round(turn.here[1], 3) for turn in turns],
        ),
        figure(
            "replicas-first",
            f"First step through Ray Serve ({model})",
            [1000 * turn.there[0] for turn in turns],
            "ms",
            "under 500",
            lambda v: v < 500,
        ),
        figure(
            "replicas-lease",
            f"Time that leases add to {steps} steps, PGD against the same without ({model})",
            [turn.lease() for turn in turns],
            "%",
            "at most 20",
            lambda v: v <= 20,
        ),
    ]


def seen(model: str, steps: int, repeats: int) -> list[Figure]:
    """Measure one run as a browser sees it, through a replica and from one process, in turns."""
    with ExitStack() as stack:
        replica = stack.enter_context(served("--replicas", "1")).address
        browser = launch(stack.enter_context(sync_playwright()))
        stack.callback(browser.close)
        there, here = (
            watched.Window(
                browser, stack.enter_context(serve(environment=os.environ | {"FOOLSCOPE_ENGINE": engine}))
            )
            for engine in (replica, "embedded")
        )
        turns = [
            [_watch(window, watched.address(model, steps)) for window in (there, here)]
            for _ in range(repeats + 1)
        ][1:]
    return [
        figure(
            "replicas-watched",
            f"A step watched in a browser, through Ray Serve / in one process ({model})",
            [far.step_seconds() / near.step_seconds() for far, near in turns],
            "",
            "at most 1.25",
            lambda v: v <= 1.25,
        ),
        figure(
            "replicas-first-watched",
            f"From the press to the first point through Ray Serve ({model})",
            [far.first_point() for far, _ in turns],
            "ms",
            "under 500",
            lambda v: v < 500,
            near=[round(near.first_point()) for _, near in turns],
        ),
    ]


def _watch(window: watched.Window, address: str) -> watched.Watch:
    window.open(address)
    return window.watch()


def spreads(model: str, steps: int) -> list[Figure]:
    """Measure two replicas against one on a network, on one whose steps cost so much that what carries them
    to whoever follows, on the same cores, hardly counts, and where each replica has a share of a core of its
    own, so that there is room for who carries and follows."""
    shares = (1.0, OWN) if CGROUP.is_dir() else (1.0,)
    rows = [spread("spread" if share == 1 else "spread-own", model, steps, share) for share in shares]
    return [*rows, spread("spread-heavy", HEAVY, steps)]


def spread(name: str, model: str, steps: int, share: float = 1.0) -> Figure:
    """Measure two replicas against one, with many runs at once, each held to a ``share`` of a core."""
    one, two = (_rates(count, model, steps, share) for count in ("1", "2"))
    held = f", each held to {share} of a core" if share < 1 else ""
    return figure(
        name,
        f"Steps a second of {MANY} runs: two replicas / one{held} ({model})",
        [after / before for before, after in zip(one, two, strict=True)],
        "",
        "at least 1.6",
        lambda v: v >= 1.6,
        one=[round(rate, 1) for rate in one],
        two=[round(rate, 1) for rate in two],
        cores=os.cpu_count(),
    )


def _rates(count: str, model: str, steps: int, share: float) -> list[float]:
    """Return how many steps a second so many replicas take, each time that it is measured."""
    with served("--replicas", count) as (address, *_):
        there, rates = RemoteEngine(address), list[float]()
        if share < 1:
            hold(share)
        together(there, recipe(model, 3), MANY)
        for _ in range(TIMES):
            time.sleep(REST)
            rates.append(together(there, recipe(model, steps), MANY))
        there.close()
    release()
    return rates
