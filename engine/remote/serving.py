"""Replicas under Ray Serve: how many, on what share of a GPU, and where a run goes.

    with served(Plan(least=2, most=2)) as address:
        ...

Requests are not batched by Serve (a newcomer would wait until a batch is full): each replica has the engine's
own loop, in whose next batch a newcomer is. Serve counts a run's open socket as a request under way, by which
it scales.
"""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio.to_thread
import ray
from ray import serve
from ray.serve.config import AutoscalingConfig, HTTPOptions
from starlette.applications import Starlette

from engine import networks
from engine.engine import Engine
from engine.remote.plan import PATIENT, Plan
from engine.remote.replica import application
from errors import EngineFailed
from settings import ROOT, SWITCH_INTERVAL

APP = "foolscope"
MODELS = 64
"""Models of a replica that Serve keeps in mind; how many stay in memory is the pool's to decide."""
MEMORY = 100 * 2**20
"""Bytes of Ray's store of objects, in which nothing of ours lies."""
TRIES = 3
SLOW = "timed out during startup"
"""What Ray says when it took too long to start."""
NO_START = "Ray did not start: {reason}"
PASSED_ON = (
    *(f"FOOLSCOPE_{name}" for name in ("HOME", "WEIGHTS", "DATA", "DEVICE", "MODEL_MEMORY")),
    "HF_ENDPOINT",
)
"""Environment variables that replicas have from whoever starts them."""


class Holder:
    """What Serve calls a replica: an engine and its application."""

    def __init__(self, make: str) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL)
        engine = pkgutil.resolve_name(make)()
        assert isinstance(engine, Engine), f"Expected {make} to return an engine, got {engine}."
        self._engine = engine
        networks.use_pool(engine.pool)  # experiments ask the networks that runs do

    @serve.multiplexed(max_num_models_per_replica=MODELS)  # type: ignore[untyped-decorator]
    async def prepare(self, model: str) -> str:
        """Have a model in memory, so that Serve knows which replica has it."""
        await anyio.to_thread.run_sync(self._engine.load, model)
        return model

    async def _prepare(self, model: str) -> None:
        await self.prepare(model)

    def __serve_build_asgi_app__(self) -> Starlette:
        """Return the application, for Serve."""
        return application(self._engine, self._prepare)

    async def check_health(self) -> None:
        """Raise when the engine's loop does not come round: Serve starts another replica then."""
        state = self._engine.health()
        if not state.healthy:
            raise RuntimeError(state.error or "The engine's loop does not come round.")


def deployed(plan: Plan) -> serve.Application:
    """Return what Serve is to run."""
    scale: dict[str, Any] = {"num_replicas": plan.least}
    if plan.least < plan.most:
        scale = {
            "autoscaling_config": AutoscalingConfig(
                min_replicas=plan.least, max_replicas=plan.most, target_ongoing_requests=plan.target
            )
        }
    deploy = serve.deployment(
        name="engine",
        max_ongoing_requests=plan.at_once,
        ray_actor_options={"num_cpus": plan.cpus, "num_gpus": plan.gpus},
        health_check_period_s=5.0,
        graceful_shutdown_timeout_s=10.0,
        **scale,
    )
    bound: serve.Application = deploy(serve.ingress()(Holder)).bind(plan.make)
    return bound


def built(options: dict[str, Any]) -> serve.Application:
    """Return what Serve is to run, by the fields of a `Plan`: what a RayService of Kubernetes imports."""
    return deployed(Plan(**options))


def start(plan: Plan) -> None:
    """Start Ray or join the cluster, and start the replicas; returns once they answer."""
    passed = {name: os.environ[name] for name in (*PASSED_ON, *PATIENT) if name in os.environ}
    own: dict[str, Any] = {"num_cpus": plan.cores, "object_store_memory": MEMORY, "include_dashboard": False}
    _start_ray(
        plan.cluster or "local",
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": PATIENT | passed | {"PYTHONPATH": str(ROOT)}},
        **({} if plan.cluster else own),
    )
    _start_serve(HTTPOptions(host=plan.host, port=plan.port))
    serve.run(deployed(plan), name=APP, route_prefix="/")


def _start_ray(address: str, **options: Any) -> None:
    """Call `ray.init`; a machine under load may need more than the half minute that it waits for."""
    for attempt in range(TRIES):
        try:
            ray.init(address, **options)
            return
        except Exception as error:
            ray.shutdown()
            if SLOW not in str(error) or attempt == TRIES - 1:
                raise EngineFailed(NO_START, reason=str(error).splitlines()[0]) from error


def _start_serve(options: HTTPOptions) -> None:
    """Call `serve.start`, again where the proxy died or was not there in time: the controller starts another.

    Raises EngineFailed when no proxy lived.
    """
    for attempt in range(TRIES):
        try:
            serve.start(http_options=options)
            return
        except (ray.exceptions.RayActorError, TimeoutError) as error:
            if attempt == TRIES - 1:
                raise EngineFailed(NO_START, reason=str(error).splitlines()[0]) from error


def stop() -> None:
    """End the replicas, and a Ray that was started here."""
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


def deploy(plan: Plan) -> None:
    """Start replicas in a cluster, in the place of those that are there, and leave them there.

    Replicas are replaced one after the other; a run whose replica ends goes on at another one.
    """
    try:
        start(plan)
    finally:
        ray.shutdown()


def cluster() -> str:
    """Return the address of the Ray cluster that was started or joined here."""
    return str(ray.get_runtime_context().gcs_address)


@contextmanager
def served(plan: Plan) -> Iterator[str]:
    """Provide the address of replicas, which end with the ``with`` block."""
    try:
        start(plan)
        yield plan.address
    finally:
        stop()
