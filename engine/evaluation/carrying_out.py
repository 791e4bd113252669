"""An evaluation's runs, several at a time on the one engine, whose batches they fill together."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import models
from engine.base import EngineBase
from engine.evaluation.planning import Setup, Work
from engine.evaluation.record import Picture, Row
from engine.images.handwriting import dark_on_light
from engine.images.sources import PREPARED, read_bytes
from engine.recipe import Recipe
from engine.run import Prediction, Run
from engine.targets import class_by_rank, ranked_target
from errors import EngineClosed, FoolscopeError

Keep = Callable[[Row, Run | None], None]
"""Takes a row as it is finished, and its run where there is one; called by several threads at a time."""


def in_flight(engine: EngineBase) -> int:
    """Return how many runs of an evaluation go on at a time: what fills a batch, and leaves others room."""
    return engine.at_once


def carry_out(
    engine: EngineBase,
    coming: Iterable[Work],
    keep: Keep,
    stop: threading.Event,
    *,
    as_is: bool,
    at_once: int,
) -> None:
    """Do all that is ``coming``, ``at_once`` at a time, and hand each row to ``keep``, until ``stop`` is set.

    What cannot be done is a row with a sentence. Raises `errors.EngineClosed` when the engine closes.
    """
    one, left = _Worker(engine, keep, stop, as_is), iter(coming)
    with ThreadPoolExecutor(at_once, "foolscope-evaluation") as pool:
        try:
            going = {pool.submit(one, work) for work in islice(left, at_once)}
            while going:
                done, going = wait(going, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                if not stop.is_set():
                    going |= {pool.submit(one, work) for work in islice(left, len(done))}
        except BaseException:
            stop.set()
            raise


@dataclass
class _Holding:
    token: str
    users: int = 0


class Pictures:
    """The pictures that are being attacked, in the engine's memory as long as somebody attacks them."""

    def __init__(self, engine: EngineBase) -> None:
        self._engine, self._lock = engine, threading.Lock()
        self._held: dict[str, _Holding] = {}

    @contextmanager
    def named(self, picture: Picture) -> Iterator[str]:
        """Give the name under which the engine knows a picture; raises `errors.BadImage`."""
        if picture.path is None:
            yield picture.file
            return
        with self._lock:
            if picture.file not in self._held:
                token = self._engine.uploads.add(read_bytes(picture.path), picture.path.name)
                self._held[picture.file] = _Holding(token)
            holding = self._held[picture.file]
            holding.users += 1
        try:
            yield holding.token
        finally:
            with self._lock:
                holding.users -= 1
                if not holding.users:
                    del self._held[picture.file]
                    self._engine.uploads.drop(holding.token)


class _Worker:
    """Does one thing at a time for each thread that calls it."""

    def __init__(self, engine: EngineBase, keep: Keep, stop: threading.Event, as_is: bool) -> None:
        self._engine, self._keep, self._stop, self._as_is = engine, keep, stop, as_is
        self._pictures = Pictures(engine)

    def __call__(self, work: Work) -> None:
        """Attack a picture and hand on its row, with the run while its picture is still there."""
        with ExitStack() as held:
            try:
                token = held.enter_context(self._pictures.named(work.picture))
                finished = self._attacked(work, token)
            except EngineClosed:
                raise
            except FoolscopeError as error:
                finished = replace(_begun(work), error=str(error)), None
            if finished is None:
                return
            row, run = finished
            self._keep(row, run)
            if run is not None:
                self._engine.store.drop(run.id)

    def _attacked(self, work: Work, token: str) -> tuple[Row, Run | None] | None:
        """Return the row of a picture that the engine knows by ``token``, and its run, which is over; None
        when it was stopped."""
        engine, setup, recipe = self._engine, work.setup, work.setup.recipe
        reads_digits = models.card(recipe.model).reads_digits and not self._as_is
        prepared = reads_digits and dark_on_light(engine.picture(token))
        recipe = replace(recipe, image=PREPARED * prepared + token)
        ranking = engine.classify(recipe.model, recipe.image, recipe.crop)
        recipe = _aimed(recipe, setup, ranking)
        row = _clean(_begun(work), recipe, ranking[0])
        if setup.epsilon == 0:
            return _untouched(row, ranking[0]), None
        run = _follow(engine, recipe, self._stop)
        return None if run is None else (_finished(row, run), run)


def _begun(work: Work) -> Row:
    """Return a row of which nothing is known but what it is about."""
    recipe, setup = work.setup.recipe, work.setup
    label = _label(recipe, work.picture)
    return Row(work.picture.file, recipe.model, recipe.attack, setup.norm, setup.epsilon, label)


def _label(recipe: Recipe, picture: Picture) -> str | None:
    """Return what the picture shows, as the network calls it."""
    card = models.card(recipe.model)
    return None if picture.label is None else card.labels[card.label_index(picture.label)]


def _aimed(recipe: Recipe, setup: Setup, ranking: list[Prediction]) -> Recipe:
    """Return the recipe with the class that the target names by its rank, if it does."""
    target = ranked_target(setup.target or "")
    if target is None:
        return recipe
    return replace(recipe, target=class_by_rank(target, ranking, random.Random(recipe.seed)))


def _follow(engine: EngineBase, recipe: Recipe, stop: threading.Event) -> Run | None:
    """Return the finished run of a recipe, None when it was stopped; raises what it failed of."""
    if stop.is_set():
        return None
    run = engine.submit(recipe)
    for _ in engine.follow(run):
        if stop.is_set():
            engine.cancel(run)
    if stop.is_set() and run.status != "finished":
        return None
    if run.status != "finished":
        raise FoolscopeError(run.sentence())
    return run


def _clean(row: Row, recipe: Recipe, first: Prediction) -> Row:
    labels = models.card(recipe.model).labels
    return replace(
        row,
        clean_prediction=first.label,
        clean_probability=first.probability,
        correct=None if row.label is None else first.label == row.label,
        target=None if recipe.target is None else labels[recipe.target],
    )


def _untouched(row: Row, first: Prediction) -> Row:
    """Return the row of a picture that may not be changed: one query, as it is."""
    return replace(
        row,
        success=False,
        final_label=first.label,
        final_probability=first.probability,
        linf=0.0,
        l2=0.0,
        l1=0.0,
        l0=0.0,
        steps=0,
        queries=1,
        gradient_evaluations=0,
        seconds=0.0,
    )


def _finished(row: Row, run: Run) -> Row:
    last = len(run) - 1
    final, figures = run.top(last, 1)[0], run.figures(last)
    return replace(
        row,
        success=run.succeeded(last),
        final_label=final.label,
        final_probability=final.probability,
        linf=figures.get("linf"),
        l2=figures.get("l2"),
        l1=figures.get("l1"),
        l0=figures.get("l0"),
        steps=last,
        queries=run.queries,
        gradient_evaluations=run.gradient_evaluations,
        seconds=round(run.seconds, 3),
        stopped_because=run.reason,
    )
