"""How replicas are to be served; needs no ray."""

from __future__ import annotations

from dataclasses import dataclass

from errors import BadSetting

PATIENT = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "30"}
"""Serve's controller ends a proxy that did not answer three times within this many seconds. Its own five are
too few for a process that imports Serve on a machine under load, and what waits for that proxy fails then."""


@dataclass(frozen=True)
class Plan:
    """``least`` to ``most`` replicas, more of them when more than ``target`` runs are open for each.

    ``gpus``: share of a GPU for each replica, ``cpus``: cores for each; ``at_once``: runs and questions that
    one replica takes; ``host`` and ``port``: where they listen; ``cluster``: address of a Ray cluster, "" for
    one on this machine, of which Ray counts on ``cores`` (None: all); ``make``: what returns a replica's
    engine, as "module:function". Raises `errors.BadSetting` for numbers out of range.
    """

    least: int = 1
    most: int = 1
    target: int = 16
    gpus: float = 0.0
    cpus: float = 1.0
    at_once: int = 256
    host: str = "127.0.0.1"
    port: int = 8000
    cluster: str = ""
    cores: int | None = None
    make: str = "engine.engine:Engine"

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise BadSetting(
                "Expected at least 1 replica and no fewer at most than at least, got {least} to {most}.",
                least=self.least,
                most=self.most,
            )
        if self.gpus < 0 or self.cpus < 0 or (self.gpus > 1 and self.gpus % 1):
            raise BadSetting(
                "Expected at most 1 GPU or whole ones, and no fewer cores than 0, got {gpus} and {cpus}.",
                gpus=self.gpus,
                cpus=self.cpus,
            )

    @property
    def address(self) -> str:
        """Return what a page's server calls these replicas."""
        return f"http://{self.host}:{self.port}"
