"""What an engine counts about itself, as Prometheus reads it, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from errors import FoolscopeError

ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
BATCH = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
WAIT = (0.1, 0.5, 1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0)
"""Upper ends of what is counted together: images in a batch, seconds of one, seconds of waiting."""


class Metrics:
    """Counts since the start. Safe to share between threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._steps = Counter(
            "foolscope_steps",
            "Queries that were answered: steps of runs, and single questions.",
            ("model",),
            registry=self.registry,
        )
        self._rows = Histogram(
            "foolscope_batch_rows",
            "Images that shared a pass through a network.",
            ("model",),
            buckets=ROWS,
            registry=self.registry,
        )
        self._seconds = Histogram(
            "foolscope_batch_seconds",
            "Seconds that such a pass took.",
            ("model",),
            buckets=BATCH,
            registry=self.registry,
        )
        self._waits = Histogram(
            "foolscope_queue_wait_seconds",
            "Seconds for which runs of the queue waited until they began.",
            buckets=WAIT,
            registry=self.registry,
        )
        self._failures = Counter(
            "foolscope_failures",
            "Runs and questions that failed: refused in a sentence, or by a fault of the program.",
            labelnames=("kind",),
            registry=self.registry,
        )

    def answered(self, model: str, queries: int, rows: int, seconds: float) -> None:
        """Count a batch of so many images that answered so many queries."""
        self._steps.labels(model).inc(queries)
        self._rows.labels(model).observe(rows)
        self._seconds.labels(model).observe(seconds)

    def failed(self, error: BaseException) -> None:
        """Count a job that failed."""
        self._failures.labels("refused" if isinstance(error, FoolscopeError) else "fault").inc()

    def waited(self, seconds: float) -> None:
        """Count a run that waited so long in the queue."""
        self._waits.observe(seconds)

    def totals(self, name: str) -> dict[str, float]:
        """Return what was counted under a sample's ``name`` (such as foolscope_steps_total), by model or
        kind, "" where it is one number."""
        known = [sample for metric in self.registry.collect() for sample in metric.samples]
        samples = [sample for sample in known if sample.name == name]
        return {next(iter(sample.labels.values()), ""): sample.value for sample in samples}
