"""``python -m app serve``: replicas of the engine under Ray Serve, for pages that have no networks."""

from __future__ import annotations

import importlib
import signal
import time
from importlib.util import find_spec
from typing import Annotated

import typer

from engine.remote.plan import Plan
from errors import BadSetting, MissingExtra
from settings import REPLICAS

NO_RAY = "Replicas need the package ray: pip install -r requirements-ray.txt."
READY = """
Replicas answer at {address}; pages use them with
  FOOLSCOPE_ENGINE={named} python -m app run
{end}"""
ENDS = """Ctrl-C ends them. Newer code takes their place, one by one, by
  RAY_AUTH_MODE=token python -m app serve --detach --cluster {cluster}"""
GO_ON = "They go on in the cluster."
NO_CLUSTER = "Expected the address of a Ray cluster (--cluster) in which replicas are to go on, got none."
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
    detach: Annotated[
        bool, typer.Option("--detach", help="Take the place of the cluster's replicas, and leave them there.")
    ] = False,
    cores: Annotated[int, typer.Option(help="Cores of this machine that Ray counts on; 0: all.")] = 0,
    make: Annotated[str, typer.Option(help="What makes an engine.", metavar="MODULE:FUNCTION")] = Plan.make,
) -> None:
    """Serve replicas of the engine until Ctrl-C, or start them in a cluster and leave them there."""
    plan = Plan(
        replicas, most or replicas, target, gpus, cpus, host=host, port=port, cluster=cluster,
        cores=cores or None, make=make,
    )  # fmt: skip
    if find_spec("ray") is None:
        raise MissingExtra(NO_RAY)
    if detach and not cluster:
        raise BadSetting(NO_CLUSTER)
    serving = importlib.import_module("engine.remote.serving")  # ray and torch, once they are needed
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if detach:
        serving.deploy(plan)
        _say(plan.address, GO_ON)
        return
    with serving.served(plan) as address:
        _say(address, ENDS.format(cluster=serving.cluster()))
        while True:
            time.sleep(A_DAY)


def _say(address: str, end: str) -> None:
    named = "ray" if address == REPLICAS else address
    print(READY.format(address=address, named=named, end=end), flush=True)
