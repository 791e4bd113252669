"""The evaluations of a server, by ids that nobody can guess; they belong to it, not to a page."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from engine.base import EngineBase
from engine.evaluation.carrying_out import in_flight
from engine.evaluation.evaluation import Evaluation
from engine.evaluation.journal import Journal
from engine.evaluation.record import Row
from errors import BadSetting, FoolscopeError, UnknownName

log = logging.getLogger("foolscope")
KEPT = 8
"""Evaluations that are remembered, beside those that go on."""
SHARE = 2
"""So many times fewer runs than a script has are in flight, as visitors' own runs share the batches."""
STILL = "Expected one evaluation at a time, got a second: cancel the one that is going on, or wait for it."
GONE = "This server does not know that evaluation (any more). Press Run to compute it again."
BROKE = "The evaluation broke off: {why}"


@dataclass
class Going:
    """An evaluation that was started. ``status``: waiting, running, finished, cancelled or failed;
    ``error``: why it failed."""

    id: str
    owner: str
    evaluation: Evaluation
    journal: Journal
    inbox: Path
    status: str = "waiting"
    error: FoolscopeError | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def over(self) -> bool:
        """Say whether nothing more will come."""
        return self.status not in ("waiting", "running")

    @property
    def rows(self) -> list[Row]:
        """Return the rows so far, in the plan's order."""
        return self.evaluation.rows(self.journal)

    @property
    def folder(self) -> Path:
        """Return where its files are."""
        return self.journal.folder


class Shelf:
    """Carries out evaluations one after the other, and remembers them; safe to share between threads."""

    def __init__(self, engine: EngineBase) -> None:
        self._engine = engine
        self._every: OrderedDict[str, Going] = OrderedDict()
        self._lock, self._turn = threading.Lock(), threading.Lock()

    def inbox(self) -> Path:
        """Return a new folder for the pictures of an evaluation, which is removed with it."""
        return Path(tempfile.mkdtemp(prefix="foolscope-evaluation-"))

    def start(self, evaluation: Evaluation, owner: str, inbox: Path) -> Going:
        """Start an evaluation and return it at once.

        Raises `errors.BadSetting` where one of the same ``owner`` goes on.
        """
        with self._lock:
            if any(going.owner == owner and not going.over for going in self._every.values()):
                raise BadSetting(STILL)
            journal = Journal(inbox / "table", {})
            going = Going(secrets.token_urlsafe(16), owner, evaluation, journal, inbox)
            self._every[going.id] = going
            self._forget()
        threading.Thread(target=self._carry_out, args=(going,), name="foolscope-table", daemon=True).start()
        return going

    def get(self, key: str) -> Going:
        """Return the evaluation of this id; raises `errors.UnknownName`."""
        with self._lock:
            if key not in self._every:
                raise UnknownName(GONE)
            self._every.move_to_end(key)
            return self._every[key]

    def ahead(self, going: Going) -> int:
        """Return how many evaluations have to end before a waiting one begins."""
        with self._lock:
            others = [other for other in self._every.values() if not other.over and other is not going]
        return sum(other.status == "running" or other.id in self._earlier(going) for other in others)

    def close(self) -> None:
        """End all evaluations and remove their files."""
        with self._lock:
            for going in self._every.values():
                going.stop.set()
                shutil.rmtree(going.inbox, ignore_errors=True)

    def _earlier(self, going: Going) -> set[str]:
        keys = list(self._every)
        return set(keys[: keys.index(going.id)]) if going.id in keys else set()

    def _carry_out(self, going: Going) -> None:
        """Do all of an evaluation, once it is its turn, and note how it ended."""
        try:
            with self._turn:
                if not going.stop.is_set():
                    going.status = "running"
                    at_once = in_flight(self._engine) // SHARE
                    going.evaluation.run(self._engine, going.journal, going.stop, at_once=at_once)
                going.evaluation.write(going.journal)
            going.status = "cancelled" if going.stop.is_set() else "finished"
        except FoolscopeError as error:
            going.error, going.status = error, "failed"
        except BaseException as error:
            log.exception("an evaluation broke off")
            going.error, going.status = (
                FoolscopeError(BROKE, why=f"{type(error).__name__}: {error}"),
                "failed",
            )
        finally:
            going.journal.close()

    def _forget(self) -> None:
        """Drop what was asked for longest ago; the caller holds the lock."""
        over = [going for going in self._every.values() if going.over]
        for going in over[: max(0, len(over) - KEPT)]:
            del self._every[going.id]
            shutil.rmtree(going.inbox, ignore_errors=True)
