"""The server's figures as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.sockets import Sockets, open_sockets
from engine.base import EngineBase
from engine.standing import OPEN, Standing, standing


class Now(Collector):
    """What is counted at the moment at which Prometheus asks."""

    def __init__(self, state: Standing, sockets: Sockets) -> None:
        self._state, self._sockets = state, asdict(sockets)

    def collect(self) -> Iterator[Metric]:
        """Yield all of it."""
        state = self._state
        runs = {status: getattr(state, status) for status in OPEN}
        yield _by("foolscope_open_runs", "Runs that are not over, by status.", "status", runs)
        yield _by("foolscope_model_bytes", "Bytes of weights in memory.", "model", state.models)
        yield _by(
            "foolscope_sockets", "Browsers that are connected, by what they follow.", "kind", self._sockets
        )
        yield GaugeMetricFamily("foolscope_queue_length", "Runs that wait for their turn.", state.queue)
        yield GaugeMetricFamily("foolscope_models", "Networks in memory.", len(state.models))
        yield GaugeMetricFamily(
            "foolscope_database_pending", "Runs that are being written, or wait to be.", state.pending
        )
        yield GaugeMetricFamily(
            "foolscope_database_problems", "Sentences that the owner should read.", len(state.problems)
        )
        yield CounterMetricFamily("foolscope_database_failures", "Writes that failed.", state.failures)
        yield CounterMetricFamily("foolscope_loop_breaks", "Times that the loop broke.", state.breaks)


def exposition(engine: EngineBase) -> bytes:
    """Return all figures in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(Now(standing(engine), open_sockets()))
    return generate_latest(engine.metrics.registry) + generate_latest(registry)


def _by(name: str, words: str, label: str, numbers: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, number in numbers.items():
        family.add_metric([value], number)
    return family
