"""What the server tells of itself, as bytes; imported when somebody asks, for it brings torch."""

from __future__ import annotations

from app.service import engine
from app.status.exposition import exposition
from app.status.page import page
from app.status.readiness import parts


def metrics() -> bytes:
    """Return the figures in Prometheus' text format."""
    return exposition(engine())


def status(language: str) -> str:
    """Return the owner's page as HTML."""
    return page(engine(), parts(), language)
