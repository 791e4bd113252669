"""Install what is missing and start: ``python start.py run`` serves the page, ``python start.py test`` tests.

``python start.py room`` serves the network that this machine is in and opens a room for a class;
``python start.py serve`` serves replicas of the engine, for pages that ``FOOLSCOPE_ENGINE`` sends to them.

Needs nothing but Python 3.11 or newer; what follows the command goes to streamlit, serve or pytest. ``make
run``, ``room``, ``serve`` and ``test`` call this. Environment variables: ``VENV`` (folder of the environment,
by default .venv), ``TORCH_INDEX`` (where torch comes from instead, such as PyTorch's index of CPU builds) and
``LOCKED`` (1: just the releases of requirements.lock).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("VENV") or ROOT / ".venv").absolute()
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)
RUN, TEST, RAY = "requirements.txt", "requirements-dev.txt", "requirements-ray.txt"
PAGE = "requirements-page.txt"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OTHER_BROWSERS = {
    "firefox-esr": ("firefox-esr", "firefox"),
    "webkit2gtk-driver": ("WebKitWebDriver",),
    "xvfb": ("Xvfb",),
}
"""What tests use beside Chromium: packages of Debian, and the programs of which one must be there."""
OWN_BROWSER = """from playwright.sync_api import sync_playwright as start
print(start().start().chromium.executable_path)"""
COMMANDS = ("run", "test", "room", "serve", "install", "install-test")

SERVERS = ("run", "room", "serve")
MEMORY = {
    "MALLOC_ARENA_MAX": "2",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432"
    ":glibc.malloc.trim_threshold=134217728",
}
"""How glibc holds a server's memory, as settings.MEMORY says: this file reads nothing of the program."""


def main(arguments: list[str]) -> int:
    """Carry out ``arguments``; return the exit status."""
    command, *more = arguments or [""]
    if tuple(sys.version_info) < OLDEST:
        return refuse(f"Foolscope needs Python 3.11 or newer, and this is {sys.version.split()[0]}.")
    if command not in COMMANDS:
        return refuse(f"Expected one of {', '.join(COMMANDS)}, got “{command}”.")
    make_environment()
    install(PAGE if command == "run" and engine_elsewhere() else RUN)
    if "test" in command:
        install(TEST)
    if command == "serve":
        install(RAY)
    if command in SERVERS:
        os.environ.update({**MEMORY, **os.environ})
    if command == "run":
        return call("-m", "streamlit", "run", "app/main.py", *more)
    if command in ("room", "serve"):
        return call("-m", "app", command, *more)
    return run_tests(more) if command == "test" else 0


def engine_elsewhere() -> bool:
    """Say whether replicas compute, as ``settings.engine`` says: then a page needs no torch."""
    return os.environ.get("FOOLSCOPE_ENGINE", "").strip() not in ("", "embedded")


def refuse(sentence: str) -> int:
    """Print why nothing is done; return the exit status of a refusal."""
    print(sentence, file=sys.stderr)
    return 2


def make_environment() -> None:
    """Make the virtual environment, unless it is there."""
    if PYTHON.exists():
        return
    try:
        venv.create(VENV, with_pip=True)
    except (subprocess.CalledProcessError, ImportError):
        debian = "on Debian and Ubuntu: apt-get install python3-venv"
        raise SystemExit(f"{sys.executable} cannot make environments; {debian}.") from None


def install(file: str) -> None:
    """Install what a file of requirements names, unless that was done since it changed."""
    locked = bool(os.environ.get("LOCKED"))
    read = [ROOT / PAGE, ROOT / RUN, ROOT / file] + [ROOT / "requirements.lock"] * locked
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in read)).hexdigest()
    stamp = VENV / f".{file}.installed"
    if stamp.is_file() and stamp.read_text() == digest:
        return
    pip = ["-m", "pip", "--disable-pip-version-check", "install"]
    index = os.environ.get("TORCH_INDEX")
    if index:
        torch = [line for line in (ROOT / RUN).read_text().splitlines() if line.startswith("torch")]
        check(*pip, "--index-url", index, *torch)
    check(*pip, "-r", file, *(["-c", "requirements.lock"] if locked else []))
    stamp.write_text(digest)


def run_tests(more: list[str]) -> int:
    """Run the tests, in a browser where there is one; return pytest's exit status."""
    browser = os.environ.get("FOOLSCOPE_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), "")
    if not browser and call("-m", "playwright", "install", "chromium") == 0:
        shown = subprocess.run([PYTHON, "-c", OWN_BROWSER], capture_output=True, text=True, cwd=ROOT)
        browser = shown.stdout.strip()
    if not browser:
        print("Without Chromium the browser's tests are skipped; on Debian: apt-get install chromium")
    missing = [name for name, programs in OTHER_BROWSERS.items() if not any(map(shutil.which, programs))]
    if missing:
        needed = f"on Debian: apt-get install {' '.join(missing)}"
        print(f"Tests in Firefox or in WebKit are skipped; {needed}", file=sys.stderr)
    os.environ["FOOLSCOPE_CHROMIUM"] = browser
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # else each of the many processes compiles all of it again
    shared = ("-n", str(test_processes()), "--dist", "loadfile", "--no-loadscope-reorder")
    return call("-m", "pytest", *shared, *more)


def test_processes() -> int:
    """Return in how many processes the tests run: one more than cores, for many wait for a browser, a server
    or a clock; 4 at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores + 1, 4)


def check(*arguments: str) -> None:
    """Run the environment's Python; end the program where that fails."""
    status = call(*arguments)
    if status:
        raise SystemExit(status)


def call(*arguments: str) -> int:
    """Run the environment's Python in the repository's folder; return its exit status."""
    try:
        return subprocess.call([str(PYTHON), *arguments], cwd=ROOT)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
