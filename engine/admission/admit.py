"""Adding a network: a process of its own reads and checks it, and only what passed is kept."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import models
import settings
from errors import BadNetwork, BadSetting
from models.added import record, shelf, source
from models.added.record import AddedModel, Request
from models.download import Progress, silent
from settings import ROOT

log = logging.getLogger("foolscope")
Stage = Callable[[str], None]
NO_ROOM = "Expected room to keep networks in {folder}, got: {reason}."
KILLED = 9
LONG_AGO = 86_400
"""Seconds after which nobody is still filling a folder."""
OUT_OF_MEMORY = ("MemoryError", "not enough memory", "can't allocate memory")
"""What Python and torch say when a process gets no more memory."""


@dataclass(frozen=True)
class Limits:
    """What adding a network may take: ``seconds`` without a word from the process that reads and checks it,
    which says at least what it checks next, and ``memory`` in bytes, by default at most three quarters of
    the machine's."""

    seconds: float = 120
    memory: int = field(default_factory=lambda: min(16 * 2**30, _machine_memory() * 3 // 4))


def _machine_memory() -> int:
    """Return the machine's memory in bytes; where the system does not say it, what nobody has."""
    if sys.platform == "win32":
        return 2**50
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def add(
    request: Request,
    progress: Progress = silent,
    stage: Stage = lambda name: None,
    *,
    replace: bool = False,
    limits: Limits | None = None,
) -> AddedModel:
    """Read, check and keep the network that is asked for; return what is kept of it.

    ``replace``: one of that name that was added before goes. ``stage`` is called with "reading",
    "checking", and the name of every check. Raises `errors.FoolscopeError` with a sentence; nothing
    is kept then.
    """
    shelf.checked_name(request.name)
    _free(request.name, replace)
    source.source_of(request)
    try:
        with _unfinished() as place:
            added = _in_a_process(request, place, progress, stage, limits or Limits())
            if request.name in shelf.records():
                shelf.remove(request.name)
            place.rename(shelf.folder() / request.name)
            shelf.changed()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadNetwork(NO_ROOM, folder=shelf.folder(), reason=reason) from error
    return added


@contextmanager
def _unfinished() -> Iterator[Path]:
    """Provide a folder beside the networks' own, which is removed in the end unless it was renamed; so are
    those that a process left which was killed long ago."""
    shelf.folder().mkdir(parents=True, exist_ok=True)
    for old in shelf.folder().glob(f"{shelf.UNFINISHED}*"):
        if old.stat().st_mtime < time.time() - LONG_AGO:
            shutil.rmtree(old, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=shelf.UNFINISHED, dir=shelf.folder()))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _free(name: str, replace: bool) -> None:
    """Raise `errors.BadSetting` when there is a network of that name which is not to be replaced."""
    if name in shelf.records() and not replace:
        words = "There is a network called “{name}” already: choose another name, or remove it first."
        raise BadSetting(words, name=name)
    if name not in shelf.records() and name in models.registry():
        raise BadSetting("“{name}” is a network that comes with Foolscope: choose another name.", name=name)


def _in_a_process(
    request: Request, folder: Path, progress: Progress, stage: Stage, limits: Limits
) -> AddedModel:
    """Return what a worker makes of the request in ``folder``; raises as `add` does."""
    job = {"request": record.plain(request), "folder": str(folder), "memory": limits.memory}
    own = {"FOOLSCOPE_HOME": str(settings.home()), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    environment = os.environ | own
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.admission.worker"],  # files are named from where people are
            env=environment, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words,
        )  # fmt: skip
        with process:
            try:
                return _listen(process, job, progress, stage, limits)
            except _NoResultError:
                words.seek(0)
                raise _why(process.wait(), words.read(), limits) from None
            finally:
                process.kill()


class _NoResultError(Exception):
    """The worker's output ended without a result."""


def _listen(
    process: subprocess.Popen[str],
    job: Mapping[str, object],
    progress: Progress,
    stage: Stage,
    limits: Limits,
) -> AddedModel:
    """Return what the worker found, passing on what it says; end it when it says nothing for too long."""
    assert process.stdin and process.stdout
    with suppress(BrokenPipeError), process.stdin:
        process.stdin.write(json.dumps(job))
    while line := _line(process, limits.seconds):
        message = json.loads(line)
        match message:
            case {"stage": name}:
                stage(name)
            case {"done": done, "total": total}:
                progress(done, total)
            case {"refused": sentence, "facts": facts}:
                raise BadNetwork(sentence, **facts)
            case {"result": _}:
                return record.structured(message["result"])
    raise _NoResultError


def _line(process: subprocess.Popen[str], seconds: float) -> str:
    """Return the worker's next line, "" when it has ended, or is ended as none came in time."""
    assert process.stdout
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()


def _why(status: int, words: str, limits: Limits) -> BadNetwork:
    """Return the refusal for a worker that ended with ``status`` and without a result."""
    if status == -KILLED:
        return BadNetwork(
            "The network was stopped: it gave no answer for {seconds:.0f} seconds, or took all memory.",
            seconds=limits.seconds,
        )
    log.warning("a worker that read a network ended with status %s:\n%s", status, words[-4000:])
    last = (words.strip().splitlines() or ["without a word"])[-1][:200]
    if any(sign in words for sign in OUT_OF_MEMORY):
        return BadNetwork("The network needs more memory than is allowed for adding one.")
    return BadNetwork("The network broke the process that read it ({last}).", last=last)
