"""``python -m app run``: the page and its server."""

from __future__ import annotations

import subprocess
import sys

from settings import ROOT


def main(arguments: list[str]) -> int:
    """Serve the page on http://127.0.0.1:8501; ``arguments`` are Streamlit's, such as --server.port 80."""
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "main.py"), *arguments]
    return subprocess.call(command, cwd=ROOT)
