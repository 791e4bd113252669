"""The pictures that members hand in: in the store of pictures, where the database has none in its rows.

A picture is written before its row and deleted before its row is, as those of runs are
(`engine.history.pictures`, which also deletes what no row names).
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from engine.history.database import Database
from engine.history.picture_store import PictureStore
from engine.history.pictures import HANDED_IN, OUT, stored_in
from engine.rooms import tables
from errors import UnknownName

NO_PICTURE = "Expected a picture of this room."


class HandedIn:
    """Pictures by the ids of their submissions, whose rows are in ``database``; ``store`` None: in the rows,
    too."""

    def __init__(self, database: Database, store: PictureStore | None) -> None:
        self._database, self._store = database, store

    def put(self, submission: str, png: bytes) -> bytes:
        """Write a picture, b"" for none; return what stands for it in its row. Raises
        `errors.HistoryFailed`."""
        if self._store is None or not png:
            return png
        self._store.put({_name(submission): png})
        return OUT

    def get(self, submission: str) -> bytes:
        """Return the picture of a submission that counts.

        Raises `errors.UnknownName` where there is none, or it is gone from the store, and
        `errors.HistoryFailed`.
        """
        column = tables.submissions.c
        query = sa.select(column.png, column.counts).where(column.id == submission)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        if row is None or not row.counts:
            raise UnknownName(NO_PICTURE)
        if row.png != OUT:
            return bytes(row.png)
        name = _name(submission)
        png = stored_in(self._store).get([name]).get(name)
        if png is None:
            raise UnknownName(NO_PICTURE)
        return png

    def delete(self, submissions: Iterable[str]) -> None:
        """Delete the pictures of submissions; raises `errors.HistoryFailed`."""
        if self._store is not None:
            self._store.delete(list(map(_name, submissions)))


def _name(submission: str) -> str:
    return f"{HANDED_IN}/{submission}"
