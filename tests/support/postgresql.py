"""A PostgreSQL server of the tests' own, from Debian's package, in a temporary folder and behind a socket
there; and the database of a test's runs and rooms: a SQLite file, or one of that server."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

USER = "postgres"
"""Who runs it where the tests are root's, which PostgreSQL refuses."""
QUICK = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=60"
SQLITE, POSTGRESQL = "sqlite", "postgresql"


class Server:
    """A server. ``folder``: of its files and its socket."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self._programs = folder, programs
        self._numbers = itertools.count()
        self._run("initdb", "--auth=trust", "--no-sync", f"--username={USER}", "--encoding=UTF8")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} {QUICK}"
        self._run("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def stop(self) -> None:
        """Stop it as a machine that fails does: connections break, what goes on is lost."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def database(self) -> str:
        """Return the address of a new, empty database."""
        name = f"test_{next(self._numbers)}"
        engine = sa.create_engine(self.address("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self.address(name)

    def address(self, name: str) -> str:
        """Return the address of a database."""
        return f"postgresql+psycopg://{USER}@/{name}?host={self.folder}"

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), "-D", str(self.folder / "data"), *words]
        who = {"user": USER, "group": USER} if os.geteuid() == 0 else {}
        # Its output goes to a file: a pipe would stay open for as long as the server runs.
        with (self.folder / "output").open("ab") as output:
            subprocess.run(command, check=True, stdout=output, stderr=output, cwd=self.folder, **who)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """Start a server, and remove it at the end."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        pytest.skip("needs PostgreSQL (on Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="foolscope-postgresql-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, USER, USER)
    server = Server(folder, found[-1])
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty database: of the kind that a test names by an indirect parameter."""
    if getattr(request, "param", SQLITE) == POSTGRESQL:
        server: Server = request.getfixturevalue("postgresql_server")
        return server.database()
    return f"sqlite:///{tmp_path / 'runs.sqlite'}"


both = pytest.mark.parametrize("address", [SQLITE, POSTGRESQL], indirect=True)
"""Marks a test that takes `address` as one for both kinds of database."""
