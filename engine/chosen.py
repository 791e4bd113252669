"""The engine that this program uses: that of this process, or one that asks replicas."""

from __future__ import annotations

from collections.abc import Mapping

import settings
from engine import lab_queue
from engine.engine import Engine
from engine.images.sources import Source
from engine.remote.remote_engine import RemoteEngine


def chosen(sources: Mapping[str, Source] | None = None) -> Engine:
    """Return an engine as `settings.engine` says; where that is one of replicas, these carry out experiments
    too. Raises `errors.BadSetting`.

    ``sources``: where images may come from beside uploads and samples, by name.
    """
    address = settings.engine()
    engine = RemoteEngine(address, sources) if address else Engine(sources=sources)
    lab_queue.carry_out_by(engine if address else None)
    return engine
