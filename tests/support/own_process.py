"""Networks are added by the test's own process, where another one, which takes seconds to import torch, is
not what is tested: that is in tests/engine/admission (test_admit.py, test_files.py, test_hubs.py)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from engine.admission import admit, worker
from engine.admission.admit import Limits, Stage
from models.added import record
from models.added.record import AddedModel, Request
from models.download import Progress


def add_here(patch: pytest.MonkeyPatch) -> None:
    """Have `engine.admission.admit.add` do in this process what its worker does."""
    patch.setattr(admit, "_in_a_process", _by_this_process)


def _by_this_process(
    request: Request, folder: Path, progress: Progress, stage: Stage, limits: Limits
) -> AddedModel:
    say = partial(_passed_on, progress, stage)
    return record.structured(
        record.plain(worker.admit(record.request_of(record.plain(request)), folder, say))
    )


def _passed_on(progress: Progress, stage: Stage, /, **line: object) -> None:
    match line:
        case {"stage": str(name)}:
            stage(name)
        case {"done": int(done), "total": int(total)}:
            progress(done, total)
