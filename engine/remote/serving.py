"""Replicas under Ray Serve: how many, on what share of a GPU, and which of them a run goes to.

    with served(Plan(replicas=2)) as address:
        ...

Requests are not batched by Serve (a newcomer would wait until a batch is full): each replica has the engine's
own loop, in whose next batch a newcomer is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import ray
from ray import serve
from ray.serve.config import AutoscalingConfig, HTTPOptions
from starlette.applications import Starlette

from engine.engine import Engine
from engine.remote.replica import application
from errors import BadSetting
from settings import ROOT

APP = "foolscope"
MODELS = 64
"""Models of a replica that Serve keeps in mind; how many stay in memory is the pool's to decide."""
PASSED_ON = ("FOOLSCOPE_", "HF_", "OMP_", "TORCH_", "XDG_")
"""Environment variables, by their beginnings, that replicas have from whoever starts them."""


@dataclass(frozen=True)
class Plan:
    """``replicas``: how many, or ``least`` to ``most`` by the number of open runs, of which ``target`` make a
    replica full; ``gpus``: share of a GPU for each; ``cpus``: cores for each; ``at_once``: runs and questions
    that one replica takes; ``host`` and ``port``: where it listens; ``cluster``: address of a Ray cluster, ""
    for one on this machine; ``make``: what makes a replica's engine, by default `engine.engine.Engine`."""

    replicas: int = 1
    least: int | None = None
    most: int | None = None
    target: int = 16
    gpus: float = 0.0
    cpus: float = 1.0
    at_once: int = 256
    host: str = "127.0.0.1"
    port: int = 8000
    cluster: str = ""
    make: Callable[[], Engine] = Engine
    cores: int | None = None

    def __post_init__(self) -> None:
        low, high = self.least or self.replicas, self.most or self.replicas
        if min(self.replicas, low) < 1 or high < low:
            raise BadSetting(
                "Expected at least one replica and not more at least than at most, got {got}.",
                got=f"{low} to {high}",
            )
        if not 0 <= self.gpus <= 8 or self.cpus < 0:
            raise BadSetting("Expected a share of a GPU from 0 to 8, got {got}.", got=self.gpus)

    @property
    def address(self) -> str:
        """Return what a page's server calls these replicas."""
        return f"http://{self.host}:{self.port}"


class Holder:
    """What Serve calls a replica: an engine and its application."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._engine = make()

    @serve.multiplexed(max_num_models_per_replica=MODELS)
    async def prepare(self, model: str) -> str:
        """Have a model in memory, so that Serve knows which replica has it."""
        await anyio.to_thread.run_sync(self._engine.load, model)
        return model

    async def _prepare(self, model: str) -> None:
        await self.prepare(model)

    def __serve_build_asgi_app__(self) -> Starlette:  # noqa: N807 (Serve's name)
        """Return the application, for Serve."""
        return application(self._engine, self._prepare, serve.get_replica_context().replica_id.unique_id)

    async def check_health(self) -> None:
        """Raise when the engine's loop does not come round: Serve starts another replica then."""
        state = self._engine.health()
        if not state.healthy:
            raise RuntimeError(state.error or "The engine's loop does not come round.")


def application_of(plan: Plan) -> serve.Application:
    """Return what Serve is to run."""
    scale: dict[str, Any] = {"num_replicas": plan.replicas}
    if plan.least or plan.most:
        scale = {
            "autoscaling_config": AutoscalingConfig(
                min_replicas=plan.least or plan.replicas,
                max_replicas=plan.most or plan.replicas,
                target_ongoing_requests=plan.target,
            )
        }
    deployment = serve.deployment(serve.ingress()(Holder)).options(
        name="engine",
        max_ongoing_requests=plan.at_once,
        ray_actor_options={"num_cpus": plan.cpus, "num_gpus": plan.gpus},
        health_check_period_s=5.0,
        graceful_shutdown_timeout_s=10.0,
        **scale,
    )
    return deployment.bind(plan.make)


def start(plan: Plan) -> None:
    """Start Ray, unless it runs already, and the replicas; returns once they answer."""
    passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    ray.init(
        plan.cluster or "local",
        num_cpus=None if plan.cluster else plan.cores,
        object_store_memory=None if plan.cluster else 100 * 2**20,
        include_dashboard=None if plan.cluster else False,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": passed | {"PYTHONPATH": str(ROOT)}},
    )
    serve.start(http_options=HTTPOptions(host=plan.host, port=plan.port))
    serve.run(application_of(plan), name=APP, route_prefix="/")


def stop() -> None:
    """End the replicas; a Ray that was started here ends too."""
    serve.shutdown()
    ray.shutdown()


@contextmanager
def served(plan: Plan) -> Iterator[str]:
    """Provide the address of replicas, which end with the ``with`` block."""
    try:
        start(plan)
        yield plan.address
    finally:
        stop()
