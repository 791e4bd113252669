"""The tables of the database of runs; nothing in them is peculiar to one kind of database."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

VERSION = 3
"""Of the tables; a database of a greater one was written by a newer program, one of a smaller one is brought
to this by `engine.history.migrations`."""
metadata = MetaData()

schema = Table(
    "foolscope_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False)
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),  # sha256 of the browser's cookie
    Column("name", String(100), nullable=False),
    Column("recipe", JSON, nullable=False),
    Column("upload", String(64), index=True),  # the name of the upload in the recipe, if it is one
    Column("status", String(16), nullable=False),
    Column("reason", String(32)),
    Column("error", Text),
    Column("dead_end", Text),
    Column("template", Text, nullable=False),  # where the run stands, as `engine.sentences.said` has it
    Column("facts", JSON, nullable=False),
    Column("started", Double, nullable=False),  # these three in seconds since 1970
    Column("seen", Double, nullable=False, index=True),
    Column("ended", Double),
    Column("steps", Integer, nullable=False),  # that are recorded, the untouched picture included
    Column("total", Integer, nullable=False),
    Column("original", Integer, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("first_label", Text, nullable=False),
    Column("last_label", Text),
    Column("probability", Double),
    Column("success", Boolean),
    Column("again", LargeBinary),  # `engine.run.Run.answers_again` as float32
    Column("before", LargeBinary),  # thumbnails: JPEG, or PNG where the picture is as small
    Column("after", LargeBinary),
    Column("bytes", BigInteger, nullable=False),
)

chunks = Table(
    "chunks",
    metadata,
    Column("run", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("first_step", Integer, primary_key=True, autoincrement=False),
    Column("rows", LargeBinary, nullable=False),
)

pictures = Table(
    "pictures",
    metadata,
    Column("run", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("array", LargeBinary, nullable=False),
)

originals = Table(
    "originals",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("png", LargeBinary, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("hash", String(64), ForeignKey("originals.hash"), nullable=False, index=True),
    Column("notes", JSON, nullable=False),
)
