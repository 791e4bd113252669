"""What brings a database of an earlier version to the newest one, by Alembic: a file for each version.

A new version is a file in ``versions`` and the next number in `engine.history.tables.VERSION`. By then the
tables of today are others, so a file names what it changes itself. Databases are brought up to date when they
are opened; ``alembic`` on the command line is not needed.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from engine.history.tables import VERSION, schema

FOLDER = Path(__file__).parent
CONNECTION = "connection"
"""Under which `migrate` hands its connection to ``env.py``."""


def migrate(connection: sa.Connection, version: int) -> None:
    """Bring a database from ``version`` to the newest one, inside the connection's transaction."""
    config = Config(attributes={CONNECTION: connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    command.stamp(config, str(version))
    command.upgrade(config, str(VERSION))
    connection.execute(sa.insert(schema).values(version=VERSION))
