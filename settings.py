"""Every folder and environment variable of the program, looked up whenever it is asked for.

| variable | what it is |
|---|---|
| ``FOOLSCOPE_HOME`` | folder of all that the program keeps; by default ``foolscope`` in the user's cache |
| ``FOOLSCOPE_WEIGHTS`` | folders of weights put there by hand, separated as in ``PATH`` |
| ``FOOLSCOPE_DATA`` | folder of data sets |
| ``FOOLSCOPE_DEVICE`` | device that networks run on, as torch names it |
| ``FOOLSCOPE_ENGINE`` | who computes: embedded (default), ray (on this machine), or replicas' address |
| ``FOOLSCOPE_MODEL_MEMORY`` | bytes of weights that stay in the device's memory (such as 4G, the default) |
| ``FOOLSCOPE_CACHE_BYTES`` | bytes of experiments' answers that stay on the disk (2G) |
| ``FOOLSCOPE_DATABASE`` | database of runs, as SQLAlchemy names it (``runs.sqlite`` in the home) |
| ``FOOLSCOPE_KEEP_PICTURES`` | 0: runs are kept without their pictures (1) |
| ``FOOLSCOPE_PICTURES`` | where pictures of kept runs are: a folder, s3://bucket/prefix (SQLite: its rows) |
| ``FOOLSCOPE_HISTORY_DAYS`` | days for which runs are kept (90) |
| ``FOOLSCOPE_HISTORY_BYTES`` | bytes of runs that are kept, the oldest go first (2G) |
| ``FOOLSCOPE_ADD_MODELS`` | 0: the page does not offer to add networks (1, on this machine alone) |
| ``FOOLSCOPE_LABS`` | experiments that are computed at the same time (1) |
| ``FOOLSCOPE_ACTIVE_RUNS`` | runs of the queue that are computed at the same time (16) |
| ``FOOLSCOPE_RUNS_PER_PERSON`` | runs that one person may have in the queue at the same time (3) |
| ``FOOLSCOPE_FRAME_ANCESTORS`` | sites that may show the page in a frame, by default all |
| ``FOOLSCOPE_METRICS`` | who sees the server's figures: off, local (this machine alone, the default), on |
| ``FOOLSCOPE_LOG`` | json: lines of the log are JSON objects (text) |
| ``HF_ENDPOINT`` | hub of networks, as huggingface_hub names it (https://huggingface.co) |
| ``FOOLSCOPE_CHROMIUM`` | browser that tests and benchmarks drive |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from errors import BadSetting

SWITCH_INTERVAL = 0.00025
"""Seconds after which a server's thread gives Python to another that waits for it. The engine's thread gives
it up with every operation of torch, one that imports with every file; by default each would get it back 5 ms
later wherever pages and sockets are busy."""
ROOT = Path(__file__).parent
ASSETS = ROOT / "assets"
RESULTS = ASSETS / "results"
RUNS = ASSETS / "runs"
SAMPLES = ASSETS / "samples"
TEXT = ASSETS / "text"
LIVE = ROOT / "components" / "live" / "static"
"""The browser's files of the live view."""
REPLICAS = "http://127.0.0.1:8000"
"""Where ``python -m app serve`` has replicas of the engine by default."""
S3 = "s3://"
"""What the address of a bucket begins with."""
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def home() -> Path:
    """Return the folder of all that the program keeps: downloaded weights and data, answers."""
    named = os.environ.get("FOOLSCOPE_HOME", "")
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache else Path.home() / ".cache") / "foolscope"


def data() -> Path | None:
    """Return the folder of data sets, None where none is named."""
    named = os.environ.get("FOOLSCOPE_DATA", "")
    return Path(named) if named else None


def weights() -> tuple[Path, ...]:
    """Return the folders of weights that were put there by hand."""
    named = os.environ.get("FOOLSCOPE_WEIGHTS", "").split(os.pathsep)
    return tuple(Path(folder).expanduser() for folder in named if folder)


def device() -> str:
    """Return the device that is asked for, as torch names it, "" where none is."""
    return os.environ.get("FOOLSCOPE_DEVICE", "")


def engine() -> str:
    """Return the address of the replicas that compute, "" for this process; raises `errors.BadSetting`."""
    named = os.environ.get("FOOLSCOPE_ENGINE", "").strip() or "embedded"
    if named == "embedded":
        return ""
    if named == "ray":
        return REPLICAS
    if not named.startswith(("http://", "https://")):
        raise BadSetting(
            "Expected FOOLSCOPE_ENGINE to be embedded, ray or an address (http://gpus:8000), got “{got}”.",
            got=named,
        )
    return named.rstrip("/")


def model_memory() -> int:
    """Return how many bytes of weights stay in the device's memory; raises `errors.BadSetting`."""
    return _bytes("FOOLSCOPE_MODEL_MEMORY", 4 * 10**9)


def cache_bytes() -> int:
    """Return how many bytes of experiments' answers stay on the disk; raises `errors.BadSetting`."""
    return _bytes("FOOLSCOPE_CACHE_BYTES", 2 * 10**9)


def labs() -> int:
    """Return how many experiments are computed at the same time, 1 or more; raises `errors.BadSetting`."""
    return _count("FOOLSCOPE_LABS", 1)


def active_runs() -> int:
    """Return how many runs of the queue are active at once, 1 or more; raises `errors.BadSetting`."""
    return _count("FOOLSCOPE_ACTIVE_RUNS", 16)


def runs_per_person() -> int:
    """Return how many runs one person may have in the queue, 1 or more; raises `errors.BadSetting`."""
    return _count("FOOLSCOPE_RUNS_PER_PERSON", 3)


def database() -> str:
    """Return the address of the database of runs, as SQLAlchemy takes it, "" where none is named."""
    return os.environ.get("FOOLSCOPE_DATABASE", "").strip()


def keep_pictures() -> bool:
    """Say whether runs are kept with their pictures; raises `errors.BadSetting`."""
    return _switch("FOOLSCOPE_KEEP_PICTURES")


def pictures() -> str:
    """Return where the pictures of kept runs are: a folder, or ``s3://bucket/prefix``, "" for the database;
    raises `errors.BadSetting`."""
    place = os.environ.get("FOOLSCOPE_PICTURES", "").strip()
    scheme, mark, rest = place.partition("://")
    if mark and (f"{scheme}://" != S3 or not rest.partition("/")[0]):
        raise BadSetting(
            "Expected FOOLSCOPE_PICTURES to be a folder or the address of a bucket (s3://bucket/prefix), "
            f"got “{place}”."
        )
    return place


def add_models() -> bool:
    """Say whether the page may offer to add networks; raises `errors.BadSetting`."""
    return _switch("FOOLSCOPE_ADD_MODELS")


def history_days() -> int:
    """Return for how many days runs are kept, 1 or more; raises `errors.BadSetting`."""
    return _count("FOOLSCOPE_HISTORY_DAYS", 90)


def room_days() -> int:
    """Return for how many days a room is kept that nobody uses, 1 or more; raises `errors.BadSetting`."""
    return _count("FOOLSCOPE_ROOM_DAYS", 30)


def history_bytes() -> int:
    """Return how many bytes of runs are kept; raises `errors.BadSetting`."""
    return _bytes("FOOLSCOPE_HISTORY_BYTES", 2 * 10**9)


def metrics() -> str:
    """Return who may see the server's figures: nobody ("off"), who asks from this machine ("local") or
    everybody ("on"); raises `errors.BadSetting`."""
    return _choice("FOOLSCOPE_METRICS", "local", "off", "on")


def log_format() -> str:
    """Return how lines of the log are written, "text" or "json"; raises `errors.BadSetting`."""
    return _choice("FOOLSCOPE_LOG", "text", "json")


def _choice(variable: str, default: str, *others: str) -> str:
    """Return which of some words a variable names."""
    named = os.environ.get(variable, "").strip().lower() or default
    if named not in (default, *others):
        raise BadSetting(f"Expected {variable} to be one of {', '.join((default, *others))}, got “{named}”.")
    return named


def _switch(variable: str) -> bool:
    """Return what a variable that is 0 or 1 says, by default 1."""
    named = os.environ.get(variable, "").strip() or "1"
    if named not in ("0", "1"):
        raise BadSetting(f"Expected {variable} to be 0 or 1, got “{named}”.")
    return named == "1"


def _count(variable: str, default: int) -> int:
    """Return the whole number from 1 on that a variable names."""
    named = os.environ.get(variable, "").strip() or str(default)
    if not named.isdecimal() or not int(named):
        raise BadSetting(f"Expected {variable} to be a whole number from 1 on, got “{named}”.")
    return int(named)


def frame_ancestors() -> str:
    """Return which sites may show the page in a frame, as the directive ``frame-ancestors`` of a Content
    Security Policy lists them, "" for all; raises `errors.BadSetting`."""
    named = " ".join(os.environ.get("FOOLSCOPE_FRAME_ANCESTORS", "").split())
    if any(mark in named for mark in ";,") or not named.isascii():
        raise BadSetting(
            "Expected FOOLSCOPE_FRAME_ANCESTORS to be sites separated by spaces, such as "
            f"'self' https://courses.example.org, got “{named}”."
        )
    return named


def _bytes(variable: str, default: int) -> int:
    """Return the number of bytes that a variable names, as in 500000000, 500M or 2G (of 1000 each)."""
    named = os.environ.get(variable, "").strip().upper()
    number, unit = (named[:-1], named[-1:]) if named[-1:] in UNITS else (named, "")
    if not named:
        return default
    if not number.isdecimal():
        raise BadSetting(f"Expected {variable} to be a number of bytes, such as 500M or 2G, got “{named}”.")
    return int(number) * UNITS[unit]


def hub() -> str:
    """Return the address of the hub that networks are fetched from, without a slash at its end."""
    return (os.environ.get("HF_ENDPOINT", "").strip() or "https://huggingface.co").rstrip("/")


def chromium() -> str:
    """Return the path of the browser that is asked for, "" where none is."""
    return os.environ.get("FOOLSCOPE_CHROMIUM", "")


MEMORY = {
    "MALLOC_ARENA_MAX": "2",
    "GLIBC_TUNABLES": ":".join(
        f"glibc.malloc.{name}={value}"
        for name, value in (("hugetlb", 1), ("mmap_threshold", 32 * 2**20), ("trim_threshold", 128 * 2**20))
    ),
}
"""How glibc holds a server's memory: in two heaps for all threads (it would give each thread one, which holds
what the thread freed); in large pages, with which a step of a network takes some 7 % less; and not given back
to the system after each step, only to be asked for again (up to 2,800 page faults, some 8 %):
`engine.housekeeping` gives it back."""


def of_a_server(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a server's process, made of ``environment``, by default this process's, with
    what it does not say itself of `MEMORY`."""
    return {**MEMORY, **(os.environ if environment is None else environment)}
