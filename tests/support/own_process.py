"""Networks are added by the test's own process, where another one, which takes seconds to import torch, is
not what is tested: tests/engine/admission/test_files.py has one for a file of any kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.admission import admit, worker
from models.added import record
from models.added.record import AddedModel, Request


def add_here(patch: pytest.MonkeyPatch) -> None:
    """Have `engine.admission.admit.add` do in this process what its worker does."""
    patch.setattr(admit, "_in_a_process", _by_this_process)


def _by_this_process(request: Request, folder: Path, *_: object) -> AddedModel:
    made = worker.admit(record.request_of(record.plain(request)), folder, lambda **line: None)
    return record.structured(record.plain(made))
