"""How much was handed in in a room is counted by the database, so that servers who share it agree."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "3", "2"


def upgrade() -> None:
    """Add the count, and set it to the newest number that was given."""
    op.add_column("rooms", sa.Column("received", sa.Integer, nullable=False, server_default="0"))
    rooms = sa.table("rooms", sa.column("code"), sa.column("received"))
    submissions = sa.table("room_submissions", sa.column("room"), sa.column("number"))
    newest = sa.select(sa.func.coalesce(sa.func.max(submissions.c.number), 0))
    own = newest.where(submissions.c.room == rooms.c.code).scalar_subquery()
    op.execute(sa.update(rooms).values(received=own))
