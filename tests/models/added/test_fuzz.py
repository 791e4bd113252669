"""Thousands of mutated files: every one is read to finite tensors or refused in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys

from settings import ROOT

COUNT = 2500


def test_every_mutated_file_is_read_or_refused() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.fuzzing", "16", str(COUNT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    kinds = seen["outcomes"]
    assert sum(sum(kind.values()) for kind in kinds.values()) == COUNT
    for name, kind in kinds.items():
        assert kind["read"] > 10 and kind["refused"] > 10, name
    assert seen["grown_mb"] < 256 and seen["left_open"] == 0
