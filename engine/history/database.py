"""The database of runs: opened when it is first needed, checked, and set aside when it is damaged.

What concerns SQLite alone is here: its options, its lock, the check of its file, and the room that deleted
rows leave; what concerns PostgreSQL alone is in `engine.history.postgresql`.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

import settings
from engine.history import postgresql
from engine.history.picture_store import PictureStore, named
from engine.history.tables import VERSION, metadata, schema
from engine.rooms import tables as room_tables  # noqa: F401 - they are made with the others
from errors import HistoryDamaged, HistoryFailed

log = logging.getLogger("foolscope")
FILE = "runs.sqlite"
SCHEMA = "schema"
"""The name under which one process alone makes or changes tables."""
PATIENCE = 15.0
"""Seconds for which a statement waits for another process's lock."""
PRAGMA_OF_A_NEW_FILE = "auto_vacuum = INCREMENTAL"
"""Comes before the others, which write the first page."""
PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "secure_delete = ON",
    "foreign_keys = ON",
)
FULL = "Expected room on the disk for {file}, but it is full: runs go on, and are kept once there is room."
LOCKED = (
    "Expected to use {file}, but another program holds it locked: runs go on, and are kept once it is free."
)
READ_ONLY = (
    "Expected a folder for {file} that can be written to, got a read-only one: runs go on, but are not kept."
)
NEWER = (
    "Expected {file} of version {known} or older, got one that a newer Foolscope wrote (version {version}): "
    "it stays as it is, and runs are not kept."
)
SET_ASIDE = (
    "Expected {file} to be a whole database, got a damaged one: it was set aside as {aside}, and a new one "
    "was started."
)
REPLACED = (
    "Expected {file} to stay where it is, but it was removed or replaced while in use: what is in its place "
    "is used from now on, and runs that go on are written into it."
)
BROKEN = "Expected {file} to work, got: {reason}; runs go on, and are kept once it does."
BAD_ADDRESS = (
    "Expected FOOLSCOPE_DATABASE to be an address that SQLAlchemy can open, got one that it refuses: "
    "{reason}."
)
SIGNS = {
    "is full": FULL,
    "No space left": FULL,
    "locked": LOCKED,
    "lock timeout": LOCKED,
    "readonly": READ_ONLY,
    "Read-only": READ_ONLY,
    "unable to open": READ_ONLY,
    "Permission denied": READ_ONLY,
    "not permitted": READ_ONLY,
    "malformed": SET_ASIDE,
    "not a database": SET_ASIDE,
    **dict.fromkeys(postgresql.SIGNS, postgresql.AWAY),
}
"""What the system's or the database's own words contain, and what they mean."""


class Database:
    """One database, shared by threads. ``generation`` counts how often a new one was started, ``notices`` say
    why."""

    def __init__(self, address: str = "") -> None:
        """Open nothing yet. ``address``: as SQLAlchemy takes it, by default `settings.database`, else a
        SQLite file in `settings.home`."""
        self._address = address
        self._engine: sa.Engine | None = None
        self._opened_file: tuple[int, int] | None = None
        self.notices: list[HistoryFailed] = []
        self._lock = threading.RLock()
        self.generation = 0
        self.file = FILE

    @contextmanager
    def writing(self, alone: str = "") -> Iterator[sa.Connection]:
        """Give a connection whose changes are all kept at the end, or none; raises `errors.HistoryFailed`.

        ``alone``: the name of what is read and then written here; nobody else who gives it, on whichever
        server, comes in between.
        """
        with self._opened() as engine, engine.begin() as connection:
            _begin(connection, alone)
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection to read from; raises `errors.HistoryFailed`."""
        with self._opened() as engine:
            reader = postgresql.reader(engine) if engine.dialect.name == postgresql.NAME else engine
            with reader.connect() as connection:
                yield connection

    def check(self) -> None:
        """Make sure that it can be written to, and change nothing; raises `errors.HistoryFailed`."""
        with self._opened() as engine, engine.connect() as connection, connection.begin() as transaction:
            _begin(connection, "")
            connection.execute(sa.update(schema).values(version=schema.c.version))
            transaction.rollback()

    @property
    def kind(self) -> str:
        """Return which kind of database it is, such as sqlite; raises `errors.HistoryFailed`."""
        with self._opened() as engine:
            return engine.dialect.name

    @cached_property
    def pictures(self) -> PictureStore | None:
        """Return the store of pictures beside it, None where they are in its rows: in SQLite's alone, whose
        file is one machine's, and where none is named. Raises as `engine.history.picture_store.named`."""
        return named(needed=not self._takes_pictures)

    @property
    def _takes_pictures(self) -> bool:
        try:
            return self._url().get_backend_name() == "sqlite"
        except ArgumentError:  # whoever opens it is told so
            return False

    def exists(self) -> bool:
        """Say whether there is a database already, without making one; raises `errors.HistoryFailed`."""
        try:
            url = self._url()
        except ArgumentError as error:
            raise HistoryFailed(BAD_ADDRESS, reason=type(error).__name__) from error
        return url.get_backend_name() != "sqlite" or not url.database or Path(url.database).exists()

    def shrink(self) -> None:
        """Give back to the disk what deleted rows took, where the database does not do so by itself."""
        with self._opened() as engine:
            if engine.dialect.name != "sqlite":
                return
            with engine.connect() as connection:
                file = connection.connection.driver_connection
                assert isinstance(file, sqlite3.Connection)
                try:  # as a script: the driver takes but one of a statement's steps, and each frees a page
                    file.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
                except sqlite3.Error as error:
                    raise SQLAlchemyError(str(error)) from error

    def close(self) -> None:
        """Close all connections; the next use opens the database again."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None

    @contextmanager
    def _opened(self) -> Iterator[sa.Engine]:
        generation = self.generation
        try:
            yield self._open()
        except (SQLAlchemyError, OSError) as error:
            words = _words(error)
            meaning = next((meaning for sign, meaning in SIGNS.items() if sign in words), BROKEN)
            if meaning == SET_ASIDE:
                raise self._set_aside(generation, words) from error
            raise HistoryFailed(meaning, file=self.file, reason=words.rstrip(".")) from error

    def _open(self) -> sa.Engine:
        with self._lock:
            if self._engine is not None and self._identity() != self._opened_file:
                raise self._given_up()
            if self._engine is None:
                engine = self._create()
                try:
                    self._check(engine)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine, self._opened_file = engine, self._identity()
            return self._engine

    def _identity(self) -> tuple[int, int] | None:
        """Return what tells a SQLite file from another of the same name; None for none, or another kind."""
        url = self._url()
        if url.get_backend_name() != "sqlite" or not url.database:
            return None
        try:
            facts = Path(url.database).stat()
        except FileNotFoundError:
            return None
        return facts.st_dev, facts.st_ino

    def _given_up(self) -> HistoryDamaged:
        """Let go of a file that somebody removed or replaced: what is written to it is lost."""
        self.close()
        self.generation += 1
        notice = HistoryDamaged(REPLACED, file=self.file)
        self.notices.append(notice)
        log.error("%s", notice)
        return notice

    def _create(self) -> sa.Engine:
        try:
            url = self._url()
            self.file = Path(url.database or FILE).name
            if url.get_backend_name() == postgresql.NAME:
                return postgresql.create(url)
            if url.get_backend_name() != "sqlite":
                return sa.create_engine(url, pool_pre_ping=True)
            Path(url.database or FILE).parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(url, connect_args={"timeout": PATIENCE})
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            if getattr(error, "name", "") == "psycopg":
                raise HistoryFailed(postgresql.NO_DRIVER) from error
            raise HistoryFailed(BAD_ADDRESS, reason=type(error).__name__) from error
        sa.event.listen(engine, "connect", _set_options)
        return engine

    def _check(self, engine: sa.Engine) -> None:
        """Make sure that the database is whole and has the newest tables."""
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                answer = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
                if answer != "ok":
                    raise SQLAlchemyError(f"malformed: {answer}")
            if self._version(connection) == VERSION:
                return
        with engine.begin() as connection:
            _begin(connection, SCHEMA)
            version = self._version(connection)  # once more: another process may have come first
            if version == 0:
                metadata.create_all(connection)
                connection.execute(sa.insert(schema).values(version=VERSION))
            elif version < VERSION:
                _migrate(connection, version)
                log.info("%s was of version %d and is now of version %d", self.file, version, VERSION)

    def _version(self, connection: sa.Connection) -> int:
        """Return the version of a database, 0 for a new one; raises `errors.HistoryFailed` for one that is
        newer than this program."""
        known = sa.inspect(connection).has_table(schema.name)
        version = connection.scalar(sa.select(sa.func.max(schema.c.version))) if known else None
        if version is not None and version > VERSION:
            raise HistoryFailed(NEWER, file=self.file, version=version, known=VERSION)
        return version or 0

    def _set_aside(self, generation: int, words: str) -> HistoryFailed:
        """Move a damaged file away, unless another thread has done so already."""
        with self._lock:
            if self.generation != generation:
                return HistoryFailed(BROKEN, file=self.file, reason=words)
            self.close()
            url = self._url()
            if (
                url.get_backend_name() != "sqlite" or not url.database
            ):  # a server's files are not ours to move
                return HistoryFailed(BROKEN, file=self.file, reason=words)
            path = Path(url.database)
            aside = _free(path)
            for ending in ("", "-wal", "-shm"):
                part = path.with_name(path.name + ending)
                if part.exists():
                    part.rename(aside.with_name(aside.name + ending))
            self.generation += 1
        log.error("%s was damaged (%s) and was set aside as %s", path, words, aside)
        damaged = HistoryDamaged(SET_ASIDE, file=self.file, aside=aside.name)
        self.notices.append(damaged)
        return damaged

    def _url(self) -> sa.URL:
        named = self._address or settings.database()
        return sa.make_url(named) if named else sa.URL.create("sqlite", database=str(settings.home() / FILE))


def _begin(connection: sa.Connection, alone: str) -> None:
    """Begin to write, so that what is read first is still true when it is written."""
    if connection.dialect.name == postgresql.NAME:
        postgresql.begin(connection, alone)
    elif connection.dialect.name == "sqlite":  # all that write come one after the other
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _migrate(connection: sa.Connection, version: int) -> None:
    from engine.history.migrations import migrate  # it brings Alembic, which few starts need

    migrate(connection, version)


def _set_options(connection: Any, _: ConnectionPoolEntry) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            new = connection.execute("PRAGMA page_count").fetchone() == (0,)
            for pragma in (PRAGMA_OF_A_NEW_FILE, *PRAGMAS) if new else PRAGMAS:
                connection.execute(f"PRAGMA {pragma}").fetchall()
            return
        except sqlite3.OperationalError as error:
            # Of a new file's journal SQLite does not wait until another process has made it.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _words(error: SQLAlchemyError | OSError) -> str:
    """Return what went wrong in the system's or the database's own words, without paths and statements."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(getattr(error, "orig", None) or error)


def _free(path: Path) -> Path:
    """Return the first name ``PATH.damaged-N`` that is not taken."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside
