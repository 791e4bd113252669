"""The tables of rooms, in the database of runs; nothing in them is peculiar to one kind of database."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from engine.history.tables import metadata

rooms = Table(
    "rooms",
    metadata,
    Column("code", String(8), primary_key=True),
    Column("key", String(64), nullable=False),  # sha256 of what only the teacher holds
    Column("title", String(100), nullable=False),
    Column("opened", Double, nullable=False),  # seconds since 1970, as all times here
    Column("settings", JSON, nullable=False),
    Column("frozen", Boolean, nullable=False),
    Column("hide_names", Boolean, nullable=False),
    Column("judging", Boolean, nullable=False),  # whether people are asked what they see
    Column("broadcast", JSON),  # what everybody is asked to run: `records.Broadcast`
    Column("question", String(64), nullable=False),  # that everybody is asked now, "" for none
    Column("revealed", JSON, nullable=False),  # right answers by question: `records.Revealed`
    Column("received", Integer, nullable=False, server_default="0"),  # how much was handed in so far
)

teachers = Table(
    "room_teachers",
    metadata,
    Column("room", String(8), ForeignKey("rooms.code"), primary_key=True),
    Column("owner", String(64), primary_key=True),  # sha256 of the cookie of a browser that has the key
    Column("sealed", String(64), nullable=False),  # the key, which only that cookie opens
)

members = Table(
    "room_members",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("room", String(8), ForeignKey("rooms.code"), nullable=False, index=True),
    Column("name", String(40), nullable=False),
    Column("owner", String(64), nullable=False, unique=True),  # sha256 of the member's token; owns its runs
    Column("number", Integer, nullable=False),  # in the order of joining, from 1 on
    Column("joined", Double, nullable=False),
    Column("removed", Boolean, nullable=False),
)

runs = Table(
    "room_runs",
    metadata,
    Column("run", String(64), primary_key=True),
    Column("room", String(8), ForeignKey("rooms.code"), nullable=False, index=True),
    Column("member", String(32), ForeignKey("room_members.id"), nullable=False, index=True),
    Column("number", Integer, nullable=False),  # of the member's runs, from 1 on
    Column("started", Double, nullable=False),
    Column("broadcast", Integer, nullable=False),  # the number of the broadcast that it answers, 0 for none
)

uploads = Table(
    "room_uploads",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("room", String(8), ForeignKey("rooms.code"), nullable=False, index=True),
    Column("member", String(32), ForeignKey("room_members.id"), nullable=False, index=True),
)

challenges = Table(
    "room_challenges",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("room", String(8), ForeignKey("rooms.code"), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("title", String(100), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("number", Integer, nullable=False),  # in the order in which they were set
    Column("open", Boolean, nullable=False),  # whether pictures are taken
)

files = Table(  # the pictures that were saved of a room's runs
    "room_files",
    metadata,
    Column("pixels", String(64), primary_key=True),  # sha256 of the decoded pixels
    Column("run", String(64), primary_key=True),
    Column("room", String(8), ForeignKey("rooms.code"), nullable=False, index=True),
    Column("member", String(32), ForeignKey("room_members.id"), nullable=False, index=True),
    Column("finished", Boolean, primary_key=True),  # on the grid of 8 bits, which takes gradients
)

submissions = Table(
    "room_submissions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("room", String(8), ForeignKey("rooms.code"), nullable=False, index=True),
    Column("challenge", String(32), ForeignKey("room_challenges.id"), nullable=False, index=True),
    Column("member", String(32), ForeignKey("room_members.id"), nullable=False, index=True),
    Column("run", String(64), nullable=False),  # of which it is a picture, "" where it is of none
    Column("number", Integer, nullable=False),  # `rooms.received` when it came
    Column("at", Double, nullable=False),
    Column("pixels", String(64), nullable=False, index=True),  # sha256 of the decoded pixels
    Column(
        "png", LargeBinary, nullable=False
    ),  # without what the file carried; empty where it does not count
    Column("counts", Boolean, nullable=False),
    Column("score", Double),
    Column("label", String(200), nullable=False),  # what the fooled network says, "" where it does not count
    Column("template", Text, nullable=False),  # the verdict in words, as `engine.sentences.said` has it
    Column("facts", JSON, nullable=False),
)

votes = Table(
    "room_votes",
    metadata,
    Column("submission", String(32), ForeignKey("room_submissions.id"), primary_key=True),
    Column("member", String(32), ForeignKey("room_members.id"), primary_key=True),
    Column("room", String(8), ForeignKey("rooms.code"), nullable=False, index=True),
    Column("choice", String(200), nullable=False),
    Column("right", Boolean, nullable=False),
    Column("at", Double, nullable=False),
)

bets = Table(
    "room_bets",
    metadata,
    Column("room", String(8), ForeignKey("rooms.code"), primary_key=True),
    Column("question", String(64), primary_key=True),
    Column("member", String(32), ForeignKey("room_members.id"), primary_key=True),
    Column("answer", String(100), nullable=False),
    Column("at", Double, nullable=False),
)

DEPENDENT = (bets, votes, submissions, files, challenges, uploads, runs, members, teachers, rooms)
"""All tables, those that refer to others before these."""
