"""``python -m app train``: train again what the program ships; an attack judges the robust twin."""

from __future__ import annotations

from experiments.methods.withstanding import withstands
from models.train import __main__ as training


def main(arguments: list[str] | None = None) -> int:
    """Carry out a command line of `models.train`; return its exit status."""
    return training.main(arguments, withstands)
