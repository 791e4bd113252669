"""``python -m app serve``: replicas of the engine under Ray Serve, for pages that have no networks."""

from __future__ import annotations

import importlib
import signal
import time
from importlib.util import find_spec
from typing import Annotated

import typer

from engine.remote.plan import Plan
from errors import MissingExtra
from settings import REPLICAS

NO_RAY = "Replicas need the package ray: pip install -r requirements-ray.txt."
READY = """
Replicas answer at {address}; pages use them with
  FOOLSCOPE_ENGINE={named} python -m app run
Ctrl-C ends them."""
A_DAY = 86_400


def command(
    replicas: Annotated[int, typer.Option(help="How many, at least.")] = 1,
    most: Annotated[int, typer.Option("--max", help="How many at most, when many runs are open.")] = 0,
    target: Annotated[int, typer.Option(help="Open runs for each replica, beyond which more start.")] = 16,
    gpus: Annotated[float, typer.Option(help="Share of a GPU for each, such as 0.5.")] = 0.0,
    cpus: Annotated[float, typer.Option(help="Cores for each.")] = 1.0,
    host: Annotated[
        str, typer.Option(help="Where to listen; whoever reaches it can use them.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    cluster: Annotated[str, typer.Option(help="Address of a Ray cluster, such as auto.")] = "",
    cores: Annotated[int, typer.Option(help="Cores of this machine that Ray counts on; 0: all.")] = 0,
    make: Annotated[str, typer.Option(help="What makes an engine.", metavar="MODULE:FUNCTION")] = Plan.make,
) -> None:
    """Serve replicas of the engine until Ctrl-C."""
    plan = Plan(
        replicas, most or replicas, target, gpus, cpus, host=host, port=port, cluster=cluster,
        cores=cores or None, make=make,
    )  # fmt: skip
    if find_spec("ray") is None:
        raise MissingExtra(NO_RAY)
    serving = importlib.import_module("engine.remote.serving")  # ray and torch, once they are needed
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with serving.served(plan) as address:
        named = "ray" if address == REPLICAS else address
        print(READY.format(address=address, named=named), flush=True)
        while True:
            time.sleep(A_DAY)
