"""The runs that can be asked for: in memory, in the database, going on on another server, or shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine import saved
from engine.history.history import History
from engine.history.loading import load
from engine.recipe import Recipe
from engine.run import Floats, Run
from engine.store import Store
from errors import FoolscopeError, NotAllowed, UnknownName

ELSEWHERE = "This run goes on on another server: it can be paused, stepped and stopped there alone."


class Runs:
    """Finds runs by id and forgets them. ``preprocess`` returns what the model of a recipe sees of its image;
    ``cancel`` ends a run; ``forget`` lets go of the files of runs with these ids."""

    def __init__(
        self,
        store: Store,
        history: History,
        preprocess: Callable[[Recipe], Floats],
        cancel: Callable[[Run], None],
        forget: Callable[[Sequence[str]], None],
    ) -> None:
        self._store, self._history = store, history
        self._preprocess, self._cancel, self._forget_files = preprocess, cancel, forget

    def get(self, key: str) -> Run:
        """Return the run with this id, which is a use of it, or raise `errors.UnknownName`."""
        followed = self._history.followed(key)
        if followed is not None and not followed.over:
            followed.touch()
            return followed
        if not self._store.holds(key):
            run = self._read(key)
            if run is not None and self._goes_on_elsewhere(run):
                return self._history.follow(run)
            if run is not None:
                self._store.add(run)
                self._store.release(key)  # what is read can be read again
        return self._store.get(key)

    def look_up(self, key: str) -> Run | None:
        """Return the run with this id without remembering it, None where it is gone; raises
        `errors.UnknownName` when it cannot be read."""
        run = self._store.peek(key)
        return self._read(key) if run is None else run  # one without a step yet is false

    def check_here(self, run: Run) -> None:
        """Raise `errors.NotAllowed` for a run that goes on on another server."""
        if self._history.followed(run.id) is run:
            raise NotAllowed(ELSEWHERE)

    def forget(self, keys: Sequence[str]) -> None:
        """Forget runs that were deleted, and their files; those that go on end."""
        for key in keys:
            if self._store.holds(key):
                self._cancel(self._store.get(key))
                self._store.drop(key)
        self._forget_files(keys)

    def _goes_on_elsewhere(self, run: Run) -> bool:
        """Say whether another server with this database goes on with a run."""
        return not run.over and self._history.going_on(run.id) is not run

    def _read(self, key: str) -> Run | None:
        """Return a run that memory has no more; raises `errors.UnknownName` when it cannot be read."""
        if key.startswith(saved.PREFIX):
            return saved.read(key.removeprefix(saved.PREFIX))
        waiting = self._history.going_on(key)
        if waiting:
            return waiting
        try:
            stored = self._history.stored(key)
            return load(stored, self._preprocess) if stored else None
        except UnknownName:
            raise
        except FoolscopeError as error:  # the database's, or the run's image is no longer there
            raise UnknownName(error.sentence, **error.facts) from error
