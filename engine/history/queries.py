"""What is asked of the database of runs, and how what is to be written gets there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from engine.history.recording import INTERRUPTED, Changes, interrupted
from engine.history.records import RunRecord, Upload
from engine.history.tables import chunks, originals, pictures, runs, uploads
from engine.recipe import Recipe
from engine.rooms import tables as room_tables
from engine.run import OVER
from engine.sentences import Said

AT_ONCE = 500
"""Ids in one statement: databases limit how many values it may have."""
UPLOADS = "uploads"
"""What is written and deleted by one at a time (`engine.history.database.Database.writing`): whoever needs an
upload that is there must be sure that nobody deletes it as one that no run needs."""
STALE = 5.0
"""Seconds without a sign of life after which a run that is not over counts as interrupted."""


@dataclass(frozen=True)
class StoredRun:
    """A run as it is in the database: its row, its steps in order, and its pictures by step, still packed.
    ``elsewhere``: another server goes on with it; ``interrupted``: none does."""

    row: Row[Any]
    rows: Sequence[bytes]
    pictures: dict[int, bytes]
    elsewhere: bool
    interrupted: bool


def write(connection: Connection, key: str, changes: Changes, inserted: bool) -> bool:
    """Write what is new of the run ``key``, and return whether it is still there: somebody may have deleted
    it on another server. ``inserted``: whether it was written before.

    To write the same once more changes nothing: whether the last time came through nobody may know, where
    the connection broke at its end.
    """
    written = connection.execute(update(runs).where(runs.c.id == key).values(**changes.row)).rowcount
    if not written and inserted:
        return False
    if not written:
        connection.execute(insert(runs).values(**changes.row))
    _make_way(connection, key, changes)
    if changes.rows is not None:
        values = {"run": key, "first_step": changes.first_step, "rows": changes.rows}
        connection.execute(insert(chunks).values(**values))
    for step, blob in changes.pictures.items():
        connection.execute(insert(pictures).values(run=key, step=step, array=blob))
    return True


def _make_way(connection: Connection, key: str, changes: Changes) -> None:
    """Delete what ``changes`` replaces: the steps from its first one on, pictures that are no longer kept."""
    if changes.over or changes.rows is not None:
        later = chunks.c.first_step >= changes.first_step
        connection.execute(delete(chunks).where(chunks.c.run == key, later))
    old = pictures.c.run == key
    if changes.over:
        old &= pictures.c.step.not_in(changes.staying)
    else:
        old &= pictures.c.step.in_([*changes.dropped, *changes.pictures])
    if changes.over or changes.dropped or changes.pictures:
        connection.execute(delete(pictures).where(old))


def digest(png: bytes) -> str:
    """Return the name of an upload's pixels."""
    return hashlib.sha256(png).hexdigest()


def write_upload(
    connection: Connection, token: str, upload: Upload, put: Callable[[Upload], bytes] = attrgetter("png")
) -> None:
    """Write an upload, unless it is there; equal pixels are stored once. Alone with `UPLOADS`.

    ``put`` returns what stands in the row for its pixels.
    """
    if connection.scalar(select(uploads.c.token).where(uploads.c.token == token)):
        return
    name = digest(upload.png)
    if not connection.scalar(select(originals.c.hash).where(originals.c.hash == name)):
        values = {"hash": name, "png": put(upload), "bytes": len(upload.png)}
        connection.execute(insert(originals).values(**values))
    notes = [[template, dict(facts)] for template, facts in upload.notes]
    connection.execute(insert(uploads).values(token=token, hash=name, notes=notes))


def read_upload(connection: Connection, token: str) -> tuple[str, Upload] | None:
    """Return the name of an upload's pixels (`digest`) and the upload, None where there is none of that
    name."""
    joined = uploads.join(originals, uploads.c.hash == originals.c.hash)
    query = select(originals.c.hash, originals.c.png, uploads.c.notes)
    row = connection.execute(query.select_from(joined).where(uploads.c.token == token)).one_or_none()
    if row is None:
        return None
    return row.hash, Upload(row.png, tuple((template, facts) for template, facts in row.notes))


def count(connection: Connection, owner: str) -> int:
    """Return how many runs an owner has."""
    return int(connection.scalar(select(func.count()).where(runs.c.owner == owner)) or 0)


def listed(connection: Connection, owner: str, number: int, live: Set[str], now: float) -> list[RunRecord]:
    """Return an owner's newest runs, ``number`` at most, the newest first. ``live``: those that go on
    here."""
    query = select(runs).where(runs.c.owner == owner)
    query = query.order_by(runs.c.started.desc(), runs.c.id).limit(number)
    return [_record(row, row.id not in live and _stopped(row, now)) for row in connection.execute(query)]


def _stopped(row: Row[Any], now: float) -> bool:
    return row.status not in OVER and now - row.seen > STALE


def _record(row: Row[Any], stopped: bool) -> RunRecord:
    standing: Said = interrupted(row.steps) if stopped else (row.template, row.facts)
    return RunRecord(
        id=row.id,
        name=row.name,
        recipe=Recipe.from_json(row.recipe),
        standing=standing,
        started=row.started,
        steps=max(row.steps - 1, 0),
        first_label=row.first_label,
        last_label=row.last_label,
        probability=row.probability,
        success=row.success,
        before=row.before,
        after=row.after,
        over=stopped or row.status in OVER,
        opens=row.before is not None,
    )


def read(connection: Connection, key: str, now: float) -> StoredRun | None:
    """Return all that there is of a run that does not go on here, None where there is none of that id."""
    row = connection.execute(select(runs).where(runs.c.id == key)).one_or_none()
    if row is None:
        return None
    blobs = select(chunks.c.rows).where(chunks.c.run == key).order_by(chunks.c.first_step)
    arrays = select(pictures.c.step, pictures.c.array).where(pictures.c.run == key)
    return StoredRun(
        row=row,
        rows=list(connection.scalars(blobs)),
        pictures={step: array for step, array in connection.execute(arrays)},
        elsewhere=row.status not in OVER and not _stopped(row, now),
        interrupted=_stopped(row, now) or row.reason == INTERRUPTED,
    )


def rename(connection: Connection, owner: str, key: str, name: str) -> bool:
    """Call a run ``name``; return whether its owner has such a run."""
    mine = (runs.c.id == key) & (runs.c.owner == owner)
    return bool(connection.execute(update(runs).where(mine).values(name=name)).rowcount)


def owned(connection: Connection, owners: Sequence[str], keys: Sequence[str] | None) -> list[str]:
    """Return those of ``keys`` that are runs of one of ``owners``, None for all of theirs."""
    own: list[str] = []
    for start in range(0, len(owners), AT_ONCE):
        query = select(runs.c.id).where(runs.c.owner.in_(owners[start : start + AT_ONCE]))
        own += connection.scalars(query if keys is None else query.where(runs.c.id.in_(keys)))
    return own


def picture_steps(connection: Connection, keys: Sequence[str]) -> list[tuple[str, int]]:
    """Return of which steps of runs there are pictures, as (run, step)."""
    steps: list[tuple[str, int]] = []
    for start in range(0, len(keys), AT_ONCE):
        query = select(pictures.c.run, pictures.c.step)
        rows = connection.execute(query.where(pictures.c.run.in_(keys[start : start + AT_ONCE])))
        steps += [(row.run, row.step) for row in rows]
    return steps


def there(connection: Connection, keys: Sequence[str], digests: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the ids of those runs that are there, and the names of those uploads' pixels; `AT_ONCE` of both
    at most."""
    some = connection.scalars(select(runs.c.id).where(runs.c.id.in_(keys)))
    pixels = connection.scalars(select(originals.c.hash).where(originals.c.hash.in_(digests)))
    return list(some), list(pixels)


def handed_in(connection: Connection, keys: Sequence[str]) -> list[str]:
    """Return the ids of those submissions in rooms that are there; `AT_ONCE` at most."""
    column = room_tables.submissions.c.id
    return list(connection.scalars(select(column).where(column.in_(keys))))


def remove(connection: Connection, keys: Sequence[str]) -> list[str]:
    """Delete runs with their steps and pictures, and the uploads that no other run needs, whose names it
    returns (`digest`); alone with `UPLOADS`."""
    parts = [sorted(keys)[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE)]
    for part in parts:  # in the order in which `engine.history.history` writes them
        connection.execute(select(runs.c.id).where(runs.c.id.in_(part)).order_by(runs.c.id).with_for_update())
    for table, column in ((chunks, chunks.c.run), (pictures, pictures.c.run), (runs, runs.c.id)):
        for part in parts:
            connection.execute(delete(table).where(column.in_(part)))
    needed = select(runs.c.upload).where(runs.c.upload.is_not(None))
    connection.execute(delete(uploads).where(uploads.c.token.not_in(needed)))
    unneeded = originals.c.hash.not_in(select(uploads.c.hash))
    gone = list(connection.scalars(select(originals.c.hash).where(unneeded)))
    connection.execute(delete(originals).where(unneeded))
    return gone


def size(connection: Connection) -> int:
    """Return how many bytes the runs and their uploads take."""
    total = select(func.coalesce(func.sum(runs.c.bytes), 0))
    shared = select(func.coalesce(func.sum(originals.c.bytes), 0))
    return int(connection.scalar(total) or 0) + int(connection.scalar(shared) or 0)


def oldest(connection: Connection, live: Set[str], number: int, before: float | None = None) -> list[str]:
    """Return the runs that were written longest ago, ``number`` at most, none that goes on here; with
    ``before``, in seconds since 1970, only those last written by then."""
    over: sa.ColumnElement[bool] = runs.c.id.not_in(live)
    if before is not None:
        over = over & (runs.c.seen < before)
    return list(connection.scalars(select(runs.c.id).where(over).order_by(runs.c.seen).limit(number)))
