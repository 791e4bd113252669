"""A folder in which an evaluation goes on after it was broken off: its plan, and a line for each row."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from engine.evaluation.record import Row
from errors import BadSetting, FoolscopeError

PLAN, ROWS, LOCK = "evaluation.json", "rows.jsonl", ".lock"
PICTURES, THUMBNAILS = "pictures", "thumbnails"
OTHER = (
    "Expected a folder that is empty or was begun with the same arguments, got {folder}, begun with other "
    "{parts}: choose another, or add --force to begin anew."
)
BUSY = "Expected a folder that nothing else writes to, got {folder}, in which an evaluation is going on."
UNWRITABLE = "Expected a folder to write to, got {folder}: {why}."


class Journal:
    """Rows on the disk. ``rows``: those that were there, in the order in which they were finished, and those
    since. A row that `append` returned for survives whatever ends the process.

    Raises `errors.BadSetting` where the folder holds something else or is in use.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], force: bool = False) -> None:
        """Open a folder for what ``about`` says, plain data. ``force``: what is there of another goes."""
        self.folder, self.rows = folder, list[Row]()
        self._writing = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / LOCK, thread_local=False)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise BadSetting(BUSY, folder=folder) from None
        except OSError as error:
            raise FoolscopeError(UNWRITABLE, folder=folder, why=error.strerror) from error
        try:
            self._begin(dict(about), force)
            self._file = (folder / ROWS).open("ab")
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others use the folder."""
        self._file.close()
        self._lock.release()

    def append(self, row: Row) -> None:
        """Write a row, and return once it is on the disk."""
        line = json.dumps(dataclasses.asdict(row), ensure_ascii=True) + "\n"
        with self._writing:
            self._file.write(line.encode())
            self._file.flush()
            os.fsync(self._file.fileno())
            self.rows.append(row)

    def _begin(self, about: dict[str, Any], force: bool) -> None:
        """Read what is there, or begin anew."""
        plan = self.folder / PLAN
        before = _read(plan)
        others = [name for name in self.folder.iterdir() if name.name != LOCK]
        if before != about and others and not force:
            parts = sorted(name for name in about | before if before.get(name) != about.get(name))
            raise BadSetting(OTHER, folder=self.folder, parts=", ".join(parts) if before else "files")
        if before != about or force:
            self._clear()
            write(plan, json.dumps(about, ensure_ascii=False, indent=1).encode() + b"\n")
        self.rows = whole_rows(self.folder / ROWS)

    def _clear(self) -> None:
        (self.folder / ROWS).unlink(missing_ok=True)
        for name in (PICTURES, THUMBNAILS):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def whole_rows(path: Path) -> list[Row]:
    """Return the rows of a file; a last line that was never finished is cut off.

    Raises `errors.BadSetting` for a line that is no row.
    """
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        os.truncate(path, len(whole))
    rows = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            rows.append(Row(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise BadSetting(
                "Expected a row of an evaluation in line {line} of {path}, got {why}.",
                line=number,
                path=path,
                why=error,
            ) from error
    return rows


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; raises `errors.FoolscopeError`."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise FoolscopeError(UNWRITABLE, folder=path.parent, why=error.strerror) from error


def _read(plan: Path) -> dict[str, Any]:
    """Return what a folder was begun with; raises `errors.BadSetting` where that cannot be read."""
    if not plan.exists():
        return {}
    try:
        about: dict[str, Any] = json.loads(plan.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadSetting(
            "Expected what an evaluation was begun with in {path}, got {why}.", path=plan, why=error
        ) from error
    return about
