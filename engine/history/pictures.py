"""The pictures of runs that a store keeps beside the database: in the rows stands b"" for them.

A picture is written before its row and deleted before its row is: what is in a row is in the store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from sqlalchemy import Connection

from engine.history import queries
from engine.history.packing import DAMAGED
from engine.history.picture_store import Entry, PictureStore
from engine.history.queries import StoredRun, digest
from engine.history.recording import Changes
from engine.history.records import RunRecord, Upload
from errors import HistoryFailed, UnknownName

RUNS, ORIGINALS, HANDED_IN = "runs", "originals", "handed_in"
THUMBNAILS = ("before", "after")
OUT = b""
"""Stands in a row for a picture that is in the store."""
NOWHERE = "Expected FOOLSCOPE_PICTURES to name the store in which that picture is, but it names none."
TOO_NEW = 3600.0
"""Seconds for which a picture of a known run may be in the store without its row, which is yet to come."""
AT_ONCE = 500
"""Pictures of the store that are compared with the rows at a time."""


class Pictures:
    """Moves pictures between rows and ``store``; None leaves them in the rows.

    ``dropped``: names of pictures that no row names any more, and that are to be deleted; ``failure``: why
    the pictures of a list could not be read the last time, or None.
    """

    def __init__(self, store: PictureStore | None) -> None:
        self._store = store
        self.dropped: list[str] = []
        self.failure: HistoryFailed | None = None

    def put(self, key: str, changes: Changes) -> Changes:
        """Write the new pictures of the run ``key``; return the changes that are left for its rows.

        Raises `errors.HistoryFailed`.
        """
        if self._store is None:
            return changes
        row = changes.row
        small = {name: data for name in THUMBNAILS if isinstance(data := row.get(name), bytes)}
        pictures = {_name(key, step): data for step, data in changes.pictures.items()}
        self._store.put(pictures | {_name(key, name): data for name, data in small.items()})
        out = dict.fromkeys(changes.pictures, OUT)
        return replace(changes, row={**row, **dict.fromkeys(small, OUT)}, pictures=out)

    def written_down(self, key: str, changes: Changes, there: bool) -> None:
        """Note that ``changes`` are in the database, or, if not ``there``, that the run was deleted."""
        if self._store is None:
            return
        gone = (step for step in changes.dropped if step not in changes.pictures)
        self.dropped += [_name(key, part) for part in (gone if there else (*changes.pictures, *THUMBNAILS))]

    def delete_dropped(self) -> None:
        """Delete what the rows have named no more since the last call, when a reader may still have used it.

        Raises `errors.HistoryFailed`.
        """
        if self._store is not None and self.dropped:
            self._store.delete(self.dropped)
            self.dropped = []

    def put_original(self, upload: Upload) -> bytes:
        """Write an upload; return what stands for it in its row. Raises `errors.HistoryFailed`."""
        if self._store is None:
            return upload.png
        self._store.put({_original(digest(upload.png)): upload.png})
        return OUT

    def run(self, stored: StoredRun) -> StoredRun:
        """Return a run with its pictures.

        Raises `errors.HistoryFailed`, and `errors.UnknownName` where pictures are gone; of one that goes on
        elsewhere, whose pictures come and go, those that are there do.
        """
        steps = {_name(stored.row.id, step): step for step, data in stored.pictures.items() if data == OUT}
        if not steps:
            return stored
        got = self._get(steps)
        if len(got) < len(steps) and not (got and stored.elsewhere):
            raise UnknownName(DAMAGED)
        inside = {step: data for step, data in stored.pictures.items() if data != OUT}
        return replace(stored, pictures=inside | {steps[name]: data for name, data in got.items()})

    def records(self, records: Sequence[RunRecord]) -> list[RunRecord]:
        """Return runs of a list with their thumbnails, without those that cannot be read (`failure`)."""
        out = [_name(record.id, name) for record in records for name in THUMBNAILS]
        out = out if any(OUT in (record.before, record.after) for record in records) else []
        try:
            got, self.failure = self._get(out) if out else {}, None
        except HistoryFailed as failure:
            got, self.failure = {}, failure
        return [_with_thumbnails(record, got) for record in records]

    def original(self, digest: str, upload: Upload) -> Upload | None:
        """Return an upload with its pixels, None where they are gone; raises `errors.HistoryFailed`."""
        if upload.png != OUT:
            return upload
        name = _original(digest)
        png = self._get([name]).get(name)
        return None if png is None else replace(upload, png=png)

    def remove(self, connection: Connection, keys: Sequence[str]) -> None:
        """Delete runs with all that is theirs, in the store before the database; alone with
        `queries.UPLOADS`. Raises `errors.HistoryFailed`."""
        names: list[str] = []
        if self._store is not None:
            names = [_name(key, step) for key, step in queries.picture_steps(connection, keys)]
            names += [_name(key, name) for key in keys for name in THUMBNAILS]
        originals = queries.remove(connection, keys)
        if self._store is not None:
            self._store.delete(names + list(map(_original, originals)))

    def sweep(self, connection: Connection, now: float, keep: float) -> None:
        """Delete what no row names, as a server leaves it that ends between two writes.

        ``now``: in seconds since 1970; ``keep``: seconds after which that of unknown runs goes, too: another
        database may have them. Raises `errors.HistoryFailed`.
        """
        if self._store is None:
            return
        for entries in _groups(self._store.entries()):
            runs, known = _known(connection, [entry.name for entry in entries])
            left = [entry for entry in entries if entry.name not in known]
            age = {entry.name: TOO_NEW if _owner(entry.name) in runs else keep for entry in left}
            self._store.delete([entry.name for entry in left if now - entry.written > age[entry.name]])

    def _get(self, names: Collection[str]) -> dict[str, bytes]:
        return stored_in(self._store).get(names)


def stored_in(store: PictureStore | None) -> PictureStore:
    """Return the store of a picture whose row says that it is in one; raises `errors.HistoryFailed` where
    there is none."""
    if store is None:
        raise HistoryFailed(NOWHERE)
    return store


def _name(key: str, part: object) -> str:
    return f"{RUNS}/{key}/{part}"


def _original(digest: str) -> str:
    return f"{ORIGINALS}/{digest}"


def _with_thumbnails(record: RunRecord, got: Mapping[str, bytes]) -> RunRecord:
    before, after = (got.get(_name(record.id, name)) for name in THUMBNAILS)
    return replace(
        record,
        before=before if record.before == OUT else record.before,
        after=after if record.after == OUT else record.after,
    )


def _groups(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield entries in lists of `AT_ONCE` at most."""
    rest = iter(entries)
    while group := list(islice(rest, AT_ONCE)):
        yield group


def _owner(name: str) -> str:
    """Return the id of the run that a name belongs to, "" for that of something else."""
    first, _, rest = name.partition("/")
    return rest.rpartition("/")[0] if first == RUNS else ""


def _known(connection: Connection, names: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return which of the runs that names belong to are there, and the names that rows may ask for."""
    keys = {_owner(name) for name in names}
    runs, originals = queries.there(connection, sorted(keys), _of_kind(names, ORIGINALS))
    known = {_name(key, name) for key in runs for name in THUMBNAILS}
    known |= {_name(key, step) for key, step in queries.picture_steps(connection, runs)}
    known |= {f"{HANDED_IN}/{key}" for key in queries.handed_in(connection, _of_kind(names, HANDED_IN))}
    return set(runs), known | set(map(_original, originals))


def _of_kind(names: Iterable[str], kind: str) -> list[str]:
    """Return what comes after ``kind`` in the names that begin with it."""
    return [rest for first, _, rest in (name.partition("/") for name in names) if first == kind]
