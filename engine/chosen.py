"""The engine that this program uses: that of this process, or one that asks replicas."""

from __future__ import annotations

from collections.abc import Mapping

import settings
from engine import lab_queue, networks
from engine.base import EngineBase
from engine.engine import Engine
from engine.images.sources import Source
from engine.remote.remote_engine import RemoteEngine


def chosen(sources: Mapping[str, Source] | None = None) -> EngineBase:
    """Return an engine as `settings.engine` says; where that is one of replicas, these carry out experiments
    too, else experiments have its networks. Raises `errors.BadSetting`.

    ``sources``: where images may come from beside uploads and samples, by name.
    """
    address = settings.engine()
    if address:
        remote = RemoteEngine(address, sources)
        lab_queue.carry_out_by(remote)
        return remote
    lab_queue.carry_out_by(None)
    embedded = Engine(sources=sources)
    networks.use_pool(embedded.pool)
    return embedded
