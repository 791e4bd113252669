"""The first tables: runs with their steps, pictures and uploads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None


def upgrade() -> None:
    """Make the tables of runs."""
    _runs()
    _contents()


def _runs() -> None:
    op.create_table(
        "foolscope_schema", sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False, index=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("recipe", sa.JSON, nullable=False),
        sa.Column("upload", sa.String(64), index=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32)),
        sa.Column("error", sa.Text),
        sa.Column("dead_end", sa.Text),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("seen", sa.Double, nullable=False, index=True),
        sa.Column("ended", sa.Double),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("original", sa.Integer, nullable=False),
        sa.Column("classes", sa.JSON, nullable=False),
        sa.Column("first_label", sa.Text, nullable=False),
        sa.Column("last_label", sa.Text),
        sa.Column("probability", sa.Double),
        sa.Column("success", sa.Boolean),
        sa.Column("again", sa.LargeBinary),
        sa.Column("before", sa.LargeBinary),
        sa.Column("after", sa.LargeBinary),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )


def _contents() -> None:
    op.create_table(
        "chunks",
        sa.Column("run", sa.String(64), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("first_step", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("rows", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "pictures",
        sa.Column("run", sa.String(64), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("array", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "originals",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("png", sa.LargeBinary, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "uploads",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("hash", sa.String(64), sa.ForeignKey("originals.hash"), nullable=False, index=True),
        sa.Column("notes", sa.JSON, nullable=False),
    )
