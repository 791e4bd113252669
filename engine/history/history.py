"""The runs that are kept: written by one thread beside the engine, listed to their owners alone.

An owner is a string that nobody can guess. When the database fails, runs go on, `History.problems` says in a
sentence what is wrong, and what could not be written waits for as long as there is room in memory.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import sqlalchemy as sa

import settings
from engine.history import queries
from engine.history.database import Database
from engine.history.elsewhere import Elsewhere
from engine.history.packing import QUICK, SMALL
from engine.history.pictures import Pictures
from engine.history.recording import Changes, Recording
from engine.history.records import RunRecord, Upload
from engine.run import Run
from errors import FoolscopeError, HistoryDamaged, HistoryFailed, UnknownName

log = logging.getLogger("foolscope")
Answer = TypeVar("Answer")
PERIOD = 0.8
"""Seconds between two writes of what is new."""
REST = 2.0
"""Seconds until the next try after one that failed."""
PATIENCE = 30.0
"""Seconds for which a caller waits until the writer has done what was asked for."""
AT_ONCE = 16 * 2**20
"""About so many bytes are written in one transaction: of hundreds of runs not all are packed at once."""
CROWD = 4
"""Of more runs than these at the same time pictures are packed quickly rather than small."""
WAITING_BYTES = 512 * 2**20
"""Bytes of finished runs that wait for a database that fails; beyond that the oldest are lost."""
LONGEST_NAME = 100
SECONDS_A_DAY = 86_400.0
BUSY = "Expected the database of runs to answer within {seconds} seconds, but it is busy; try again later."
LOST = "Expected to keep {count} finished runs until they can be written, but memory for that is used up."
NOT_YOURS = "Expected one of your own runs; it may have been deleted already."


class History:
    """The runs in a database. ``uploads`` returns an upload by its name, None where there is none;
    ``failures`` counts the tries to write that failed."""

    def __init__(
        self,
        uploads: Callable[[str], Upload | None],
        database: Database | None = None,
        clock: Callable[[], float] = time.time,
        written: Callable[[str], None] | None = None,
    ) -> None:
        """Open nothing and start nothing until a run is recorded or asked for; raises `errors.BadSetting`.

        ``written`` is called with the id of a run that is over and can be read from here with its pictures.
        """
        self._keeps_pictures = settings.keep_pictures()
        self._days, self._limit = settings.history_days(), settings.history_bytes()
        self._uploads, self.database, self._clock = uploads, database or Database(), clock
        self._on_written = written
        self._pictures = Pictures(self.database.pictures)
        self._recordings: dict[str, Recording] = {}
        self._elsewhere = Elsewhere(self.stored)
        self._orders: list[Callable[[], None]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed, self._generation, self._swept = False, 0, 0.0
        self._compared = 0.0
        self._failure: HistoryFailed | None = None
        self.failures = 0
        self._notices: list[FoolscopeError] = []

    def record(self, run: Run, owner: str) -> None:
        """Keep ``run`` from now on, for ``owner``."""
        recording = Recording(run, owner, self._clock(), self._keeps_pictures)
        if recording.token and self._keeps_pictures:  # now, for memory may forget it before it is written
            recording.upload = self._uploads(recording.token)
        with self._changed:
            self._recordings[run.id] = recording
            self._wake()

    def problems(self) -> list[FoolscopeError]:
        """Return what is wrong with the database, and what happened to it since the start."""
        failures = [one for one in (self._failure, self._pictures.failure) if one]
        return [*self.database.notices, *self._notices, *{str(one): one for one in failures}.values()]

    def pending(self) -> int:
        """Return how many runs are being written, or wait to be."""
        return len(self._recordings)

    def count(self, owner: str) -> int:
        """Return how many runs an owner has; raises `errors.HistoryFailed`."""
        return self._read(lambda connection: queries.count(connection, owner))

    def runs(self, owner: str, number: int) -> list[RunRecord]:
        """Return an owner's newest runs, ``number`` at most; raises `errors.HistoryFailed`."""
        live, now = self._live(), self._clock()
        records = self._read(lambda connection: queries.listed(connection, owner, number, live, now))
        return self._pictures.records(records)

    def going_on(self, key: str) -> Run | None:
        """Return a run that is still being written."""
        recording = self._recordings.get(key)
        return recording.run if recording else None

    def stored(self, key: str) -> queries.StoredRun | None:
        """Return a run from the database, None where it is not there.

        Raises `errors.HistoryFailed`, and `errors.UnknownName` where its pictures are gone.
        """
        now = self._clock()
        stored = self._read(lambda connection: queries.read(connection, key, now))
        return stored and self._pictures.run(stored)

    def follow(self, run: Run) -> Run:
        """Keep a run that goes on on another server as far as it is written; return the one that is kept."""
        with self._changed:
            followed = self._elsewhere.add(run)
            self._wake()
        return followed

    def followed(self, key: str) -> Run | None:
        """Return a run that goes on on another server and is read here."""
        return self._elsewhere.get(key)

    def upload(self, token: str) -> Upload | None:
        """Return an upload that a stored run needs, None where there is none of that name.

        Raises `errors.HistoryFailed`.
        """
        stored = self._read(lambda connection: queries.read_upload(connection, token))
        return stored and self._pictures.original(*stored)

    def rename(self, owner: str, key: str, name: str) -> None:
        """Call a run ``name``, "" for no name of its own.

        Raises `errors.UnknownName` when it is not the owner's, `errors.HistoryFailed`.
        """
        plain = "".join(sign for sign in name if sign.isprintable()).strip()[:LONGEST_NAME]

        def order() -> bool:
            with self.database.writing() as connection:
                return queries.rename(connection, owner, key, plain)

        if not self._ask(order):
            raise UnknownName(NOT_YOURS)

    def delete(self, owner: str, keys: Sequence[str] | None) -> list[str]:
        """Delete an owner's runs, None for all of them; return those that are gone, from the disk too.

        Raises `errors.HistoryFailed`.
        """
        return self._ask(lambda: self._delete([owner], keys))

    def delete_all(self, owners: Sequence[str]) -> list[str]:
        """Delete all runs of several owners; return those that are gone, from the disk too.

        Raises `errors.HistoryFailed`.
        """
        return self._ask(lambda: self._delete(owners, None))

    def close(self) -> None:
        """Write what there is to write, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        self.database.close()

    def _read(self, query: Callable[[sa.Connection], Answer]) -> Answer:
        """Return what the database answers; where it turns out to be damaged, what the new one does."""
        try:
            with self.database.reading() as connection:
                return query(connection)
        except HistoryDamaged:  # `problems` has the sentence
            with self.database.reading() as connection:
                return query(connection)

    def _live(self) -> frozenset[str]:
        return frozenset(
            list(self._recordings)
        )  # the copy is one operation, so that no thread can disturb it

    def _ask(self, order: Callable[[], Answer]) -> Answer:
        """Let the writer carry out an order, and return its answer."""
        answer: Future[Answer] = Future()

        def carry_out() -> None:
            try:
                answer.set_result(order())
            except BaseException as error:
                answer.set_exception(error)

        with self._changed:
            self._orders.append(carry_out)
            self._wake()
        try:
            return answer.result(timeout=PATIENCE)
        except TimeoutError as error:
            raise HistoryFailed(BUSY, seconds=f"{PATIENCE:.0f}") from error

    def _wake(self) -> None:
        """Make sure that the thread runs; the caller holds the lock."""
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._serve, name="foolscope-history", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._orders or self._busy())
                closed, orders = self._closed, self._orders
                self._orders = []
            for order in orders:
                order()
            began = time.monotonic()
            self._turn()
            took = time.monotonic() - began
            with self._changed:
                if closed:
                    break
                # No busier than half of a core, however many runs there are.
                rest = max(REST if self._failure else PERIOD, took)
                self._changed.wait_for(lambda: self._closed or self._orders, timeout=rest)
        try:
            self._pictures.delete_dropped()
        except HistoryFailed as error:
            log.error("%s", error)

    def _busy(self) -> bool:
        """Say whether there is something to write, to delete, or to look up."""
        return bool(self._recordings or len(self._elsewhere) or self._pictures.dropped)

    def _turn(self) -> None:
        """Write what is new of all runs, and say so when that fails."""
        try:
            over = self._write()
            self._elsewhere.renew()
            if over or self._clock() - self._swept > 3600:
                self._sweep()
        except HistoryDamaged:
            return  # the next turn writes everything into the new database
        except HistoryFailed as error:
            if str(error) != str(self._failure):
                log.error("%s", error)
            self._failure = error
            self.failures += 1
            self._make_room()
        except Exception:
            log.exception("the history of runs goes on after an error")
        else:
            if self._failure:
                log.warning("runs are kept again")
            self._failure = None

    def _write(self) -> bool:
        """Write what is new, in transactions of about `AT_ONCE`; return whether a run is over and written."""
        self._pictures.delete_dropped()
        if self.database.generation != self._generation:
            self._generation = self.database.generation
            for recording in self._recordings.values():
                recording.restart()
        recordings, over = list(self._recordings.values()), False
        level = SMALL if len(recordings) <= CROWD else QUICK
        known, size = list[tuple[Recording, Changes]](), 0
        for recording in recordings:
            changes = self._changes(recording, level)
            if changes is not None:
                known.append((recording, changes))
                size += sum(map(len, changes.pictures.values())) + len(changes.rows or b"")
            if size >= AT_ONCE:
                over |= self._write_some(known)
                known, size = [], 0
        return self._write_some(known) or over

    def _write_some(self, known: list[tuple[Recording, Changes]]) -> bool:
        """Write changes in one transaction; return whether a run is over and written."""
        if not known:
            return False
        known.sort(key=lambda pair: pair[0].run.id)  # whoever locks rows does so in this order
        left = [self._pictures.put(recording.run.id, changes) for recording, changes in known]
        bring = any(recording.brings for recording, _ in known)
        with self.database.writing(queries.UPLOADS if bring else "") as connection:
            there = [
                self._write_one(connection, recording, changes)
                for (recording, _), changes in zip(known, left, strict=True)
            ]
        for (recording, changes), still in zip(known, there, strict=True):
            recording.written_down(changes)
            self._pictures.written_down(recording.run.id, changes, still)
            if changes.over or not still:
                self._recordings.pop(recording.run.id, None)
            if changes.over and still and self._on_written and self._keeps_pictures:
                self._on_written(recording.run.id)
        return any(changes.over for _, changes in known)

    def _write_one(self, connection: sa.Connection, recording: Recording, changes: Changes) -> bool:
        if recording.token and recording.upload and recording.brings:
            put = self._pictures.put_original
            queries.write_upload(connection, recording.token, recording.upload, put)
        return queries.write(connection, recording.run.id, changes, recording.inserted)

    def _changes(self, recording: Recording, level: int) -> Changes | None:
        """Return what is new of a run, None for nothing; where that cannot be made it is no longer kept."""
        try:
            return recording.changes(self._clock(), level)
        except Exception:
            log.exception("run %s is not kept", recording.run.id[:6], extra={"run": recording.run.id})
            self._recordings.pop(recording.run.id, None)
            return None

    def _sweep(self) -> None:
        """Delete what is too old, then the oldest while there is too much."""
        self._swept = self._clock()
        before = self._swept - self._days * SECONDS_A_DAY
        removed, live = False, self._live()
        with self.database.writing(queries.UPLOADS) as connection:
            while old := queries.oldest(connection, live, 100, before):
                self._pictures.remove(connection, old)
                removed = True
            while queries.size(connection) > self._limit and (old := queries.oldest(connection, live, 1)):
                self._pictures.remove(connection, old)
                removed = True
        if removed:
            self.database.shrink()
        if self._swept - self._compared > SECONDS_A_DAY:
            with self.database.reading() as connection:
                self._pictures.sweep(connection, self._swept, self._days * SECONDS_A_DAY)
            self._compared = self._swept

    def _delete(self, owners: Sequence[str], keys: Sequence[str] | None) -> list[str]:
        wanted = frozenset(owners)
        own = {key for key, recording in list(self._recordings.items()) if recording.owner in wanted}
        gone = own if keys is None else own & set(keys)
        with self.database.writing(queries.UPLOADS) as connection:
            gone |= set(queries.owned(connection, owners, keys))
            self._pictures.remove(connection, sorted(gone))
        for key in gone:
            self._recordings.pop(key, None)
        self.database.shrink()
        return sorted(gone)

    def _make_room(self) -> None:
        """Let the oldest finished runs go that wait in vain, beyond what memory shall hold of them."""
        over = [recording for recording in list(self._recordings.values()) if recording.run.over]
        held, lost = sum(recording.run.bytes for recording in over), 0
        for recording in over:
            if held > WAITING_BYTES:
                held -= recording.run.bytes
                self._recordings.pop(recording.run.id, None)
                lost += 1
        if lost:
            notice = HistoryFailed(LOST, count=lost)
            self._notices.append(notice)
            log.error("%s", notice)
