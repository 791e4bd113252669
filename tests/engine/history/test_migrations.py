"""Databases that earlier versions wrote become the newest; ``versions/`` holds dumps of what they left."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from engine.history.database import Database
from engine.history.tables import VERSION, metadata
from engine.rooms import tables as rooms
from engine.rooms.competition import Competition
from engine.rooms.rooms import Rooms
from settings import ROOT
from tests.engine.history.test_history import home
from tests.support import small_model
from tests.support.postgresql import SQLITE, both

__all__ = ["home"]
DUMPS = Path(__file__).parent / "versions"
OLD = pytest.mark.parametrize("version", range(1, VERSION))
Rows = dict[str, list[dict[str, Any]]]


def write(address: str, version: int) -> None:
    """Put what a program of an earlier version wrote into an empty database."""
    kind = sa.make_url(address).get_backend_name()
    dump = (DUMPS / f"{kind}-{version}.sql").read_text(encoding="utf-8")
    if kind == SQLITE:
        file = sqlite3.connect(sa.make_url(address).database or "")
        file.executescript(dump)
        file.close()
        return
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.connection.cursor().execute(dump)
    engine.dispose()


def read(address: str) -> Rows:
    """Return all rows of all tables by the table's name."""
    engine, known = sa.create_engine(address), sa.MetaData()
    with engine.connect() as connection:
        known.reflect(connection)
        rows = {
            table.name: [dict(row._mapping) for row in connection.execute(sa.select(table))]
            for table in known.sorted_tables
        }
    engine.dispose()
    return {name: sorted(table, key=str) for name, table in rows.items()}


@both
@OLD
def test_an_earlier_version_becomes_the_newest_with_all_its_rows(address, version) -> None:
    write(address, version)
    before = read(address)
    assert before["foolscope_schema"] == [{"version": version}] and len(before["runs"]) == 2 * version
    database = Database(address)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        tables = metadata.tables.values()
        wanted = [change for change in compare_metadata(context, metadata) if _about(change, tables)]
        assert not wanted, "as a new database has them"
    database.close()
    after = read(address)
    assert max(row["version"] for row in after["foolscope_schema"]) == VERSION
    for name, rows_before in before.items():
        if name != "foolscope_schema":
            columns = rows_before[0] if rows_before else {}
            assert [{key: row[key] for key in columns} for row in after[name]] == rows_before, name


def _about(change: Any, tables: Any) -> bool:
    """Say whether a difference is about our tables, not those by which Alembic counts."""
    return not (isinstance(change, tuple) and change[0] == "remove_table" and change[1] not in tables)


@both
@OLD
def test_old_runs_open(home, address, version) -> None:
    write(address, version)
    with small_model.engine(small_model.Gate()) as engine:
        mine = engine.own_runs("me", 9)
        assert {record.name for record in mine} == {"", "named"} and engine.history.problems() == []
        for record in mine:
            run = engine.run(record.id)
            assert len(run) == 5 and run.over and run.status == "finished"
            assert run.top(4, 1)[0].label == record.last_label
            if record.name:
                assert engine.picture(run.recipe.image).size == (24, 18)


@both
def test_numbers_of_what_is_handed_in_go_on(address) -> None:
    write(address, 2)
    kept = Rooms(Database(address))
    with kept.database.reading() as connection:
        codes = {row.title: row.code for row in connection.execute(sa.select(rooms.rooms))}
    competition = Competition(kept)
    friday = kept.room(codes["Friday"])
    assert [one.number for one in competition.submissions(friday.code)] == [1, 2, 5]
    assert [competition.number(friday) for _ in range(2)] == [6, 7]
    assert competition.number(kept.room(codes["Empty"])) == 1
    assert {member.name for member in kept.members(friday.code)} == {"Anna", "Ben"}
    kept.database.close()


@both
@pytest.mark.parametrize("version", [0, 1])
def test_many_servers_that_start_at_once_do_it_once(address, version) -> None:
    if version:
        write(address, version)
    databases, faults = [Database(address) for _ in range(6)], list[BaseException]()

    def start(database: Database) -> None:
        try:
            Rooms(database).open("Friday")
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=start, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.close()
    after = read(address)
    assert not faults and len(after["rooms"]) == 6
    assert [row["version"] for row in after["foolscope_schema"]].count(VERSION) == 1


def test_a_start_with_the_newest_tables_does_not_wait_for_alembic(tmp_path: Path) -> None:
    program = (
        "import sys; from engine.history.database import Database\n"
        f"for _ in range(2):\n"
        f"    base = Database('sqlite:///{tmp_path / 'runs.sqlite'}')\n"
        "    with base.writing(): pass\n"
        "    base.close()\n"
        "assert 'alembic' not in sys.modules and 'psycopg' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
