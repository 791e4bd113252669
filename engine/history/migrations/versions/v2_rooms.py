"""Rooms, their members, and all that they do there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "2", "1"


def upgrade() -> None:
    """Make the tables of rooms."""
    _people()
    _begun()
    _competition()
    _answers()


def _people() -> None:
    op.create_table(
        "rooms",
        sa.Column("code", sa.String(8), primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("title", sa.String(100), nullable=False),
        sa.Column("opened", sa.Double, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("frozen", sa.Boolean, nullable=False),
        sa.Column("hide_names", sa.Boolean, nullable=False),
        sa.Column("judging", sa.Boolean, nullable=False),
        sa.Column("broadcast", sa.JSON),
        sa.Column("question", sa.String(64), nullable=False),
        sa.Column("revealed", sa.JSON, nullable=False),
    )
    op.create_table(
        "room_teachers",
        sa.Column("room", sa.String(8), sa.ForeignKey("rooms.code"), primary_key=True),
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.String(64), nullable=False),
    )
    op.create_table(
        "room_members",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("room", sa.String(8), sa.ForeignKey("rooms.code"), nullable=False, index=True),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False, unique=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("joined", sa.Double, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
    )


def _begun() -> None:
    op.create_table(
        "room_runs",
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("room", sa.String(8), sa.ForeignKey("rooms.code"), nullable=False, index=True),
        sa.Column("member", sa.String(32), sa.ForeignKey("room_members.id"), nullable=False, index=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("broadcast", sa.Integer, nullable=False),
    )
    op.create_table(
        "room_uploads",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("room", sa.String(8), sa.ForeignKey("rooms.code"), nullable=False, index=True),
        sa.Column("member", sa.String(32), sa.ForeignKey("room_members.id"), nullable=False, index=True),
    )
    op.create_table(
        "room_files",
        sa.Column("pixels", sa.String(64), primary_key=True),
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("room", sa.String(8), sa.ForeignKey("rooms.code"), nullable=False, index=True),
        sa.Column("member", sa.String(32), sa.ForeignKey("room_members.id"), nullable=False, index=True),
        sa.Column("finished", sa.Boolean, primary_key=True),
    )


def _competition() -> None:
    op.create_table(
        "room_challenges",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("room", sa.String(8), sa.ForeignKey("rooms.code"), nullable=False, index=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("title", sa.String(100), nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
    )
    op.create_table(
        "room_submissions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("room", sa.String(8), sa.ForeignKey("rooms.code"), nullable=False, index=True),
        sa.Column(
            "challenge", sa.String(32), sa.ForeignKey("room_challenges.id"), nullable=False, index=True
        ),
        sa.Column("member", sa.String(32), sa.ForeignKey("room_members.id"), nullable=False, index=True),
        sa.Column("run", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("pixels", sa.String(64), nullable=False, index=True),
        sa.Column("png", sa.LargeBinary, nullable=False),
        sa.Column("counts", sa.Boolean, nullable=False),
        sa.Column("score", sa.Double),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )


def _answers() -> None:
    op.create_table(
        "room_votes",
        sa.Column("submission", sa.String(32), sa.ForeignKey("room_submissions.id"), primary_key=True),
        sa.Column("member", sa.String(32), sa.ForeignKey("room_members.id"), primary_key=True),
        sa.Column("room", sa.String(8), sa.ForeignKey("rooms.code"), nullable=False, index=True),
        sa.Column("choice", sa.String(200), nullable=False),
        sa.Column("right", sa.Boolean, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "room_bets",
        sa.Column("room", sa.String(8), sa.ForeignKey("rooms.code"), primary_key=True),
        sa.Column("question", sa.String(64), primary_key=True),
        sa.Column("member", sa.String(32), sa.ForeignKey("room_members.id"), primary_key=True),
        sa.Column("answer", sa.String(100), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
