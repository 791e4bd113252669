"""What concerns PostgreSQL alone: how it is reached, its locks, and its words for what went wrong."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

NAME = "postgresql"
DRIVER = "postgresql+psycopg"
PATIENCE = 15
"""Seconds for which a statement waits for a lock."""
REACHED = {"connect_timeout": 5, "keepalives_idle": 15, "keepalives_interval": 5, "tcp_user_timeout": 15_000}
"""So long a server may take to answer, in seconds (the last in milliseconds), before it counts as away."""
CONNECTIONS, MORE = 5, 15
"""Connections that are kept open, and so many more at the same time."""
AWAY = (
    "Expected the server of the database {file} to answer, but it cannot be reached: runs go on, and are "
    "kept once it is back."
)
NO_DRIVER = (
    "Expected psycopg, by which FOOLSCOPE_DATABASE is reached, but it is not installed: "
    "pip install -r requirements-postgresql.txt."
)
SIGNS = ("connection", "the database system is", "consuming input failed", "could not translate host name")
"""What its words contain where it cannot be reached."""


def create(url: sa.URL) -> sa.Engine:
    """Return what connects to a server; raises `ModuleNotFoundError` without its driver."""
    if url.drivername == NAME:
        url = url.set(drivername=DRIVER)
    given = {name: value for name, value in REACHED.items() if name not in url.query}
    return sa.create_engine(
        url, pool_pre_ping=True, pool_size=CONNECTIONS, max_overflow=MORE, connect_args=given
    )


def begin(connection: sa.Connection, alone: str) -> None:
    """Begin to write: wait for locks no longer than `PATIENCE`, and until the end of the transaction let
    nobody else write who gives the same name ``alone``, "" for no such name."""
    connection.execute(sa.select(sa.func.set_config("lock_timeout", f"{PATIENCE}s", True)))
    if alone:
        key = int.from_bytes(hashlib.sha256(alone.encode()).digest()[:8], signed=True)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def reader(engine: sa.Engine) -> sa.Engine:
    """Return what connects in order to read: all statements of a transaction see the same moment."""
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
