"""What pages, routes and scripts ask of an engine.

`engine.engine.Engine` computes in this process, `engine.remote.remote_engine.RemoteEngine` has replicas that
do; `engine.chosen` makes the one that `settings.engine` names. Images are named by
strings, recipes and predictions are plain data, and a `Run` is a record that whoever follows the run fills.
An objective is the one argument that is code: as it depends on the logits alone, a remote engine needs
only its slope in them, so it answers in two rounds (`engine.batch`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from PIL import Image
from torch import Tensor

from attacks.contract import Criterion, Evaluation, Objective
from engine.export.making import Export, Wanted
from engine.history.records import RunRecord
from engine.layouts import Choice
from engine.loop import Health
from engine.places import Place
from engine.prices import Price
from engine.probes import Probe
from engine.recipe import Recipe
from engine.run import Prediction, Run
from engine.sentences import Said
from engine.work import Work
from errors import FoolscopeError
from models.core import Crop
from models.download import Progress

T = TypeVar("T")


class EngineInterface(Protocol):
    """Runs recipes and answers questions about images ``(n, c, h, w)`` in [0, 1].

    Every method raises `errors.FoolscopeError`, of which `errors.EngineClosed` and `errors.EngineFailed` say
    that the engine itself is gone.
    """

    def submit(self, recipe: Recipe, paused: bool = False, owner: str = "") -> Run:
        """Start a run and return it at once; it is kept for ``owner``, "" for nobody."""

    def enqueue(
        self,
        recipe: Recipe,
        person: str,
        allowance: float | None = None,
        owner: str = "",
        most: int | None = None,
    ) -> Run:
        """Return a run that waits in the queue and begins by itself; it is refused when ``person`` has
        ``most`` already, or when it costs more than ``allowance`` seconds of the device's time."""

    def place(self, key: str) -> Place | None:
        """Return where a run stands in the queue, None unless it waits there."""

    def price(self, recipe: Recipe) -> Price:
        """Return what a recipe costs before it begins."""

    def run(self, key: str) -> Run:
        """Return the run with this id, one that ships included."""

    def own_runs(self, owner: str, number: int) -> list[RunRecord]:
        """Return an owner's newest runs that are kept, ``number`` at most."""

    def rename_run(self, owner: str, key: str, name: str) -> None:
        """Call an owner's run ``name``."""

    def delete_runs(self, owner: str, keys: Sequence[str] | None = None) -> None:
        """Delete an owner's runs, by default all."""

    def delete_all_runs(self, owners: Sequence[str]) -> None:
        """Delete all runs of several owners."""

    def look_up(self, key: str) -> Run | None:
        """Return the run with this id without remembering it, None where it is gone."""

    def follow(self, run: Run, start: int = 0) -> Iterator[int]:
        """Yield the index of each step from ``start`` on, as they come, until the run is over."""

    def pause(self, run: Run) -> None:
        """Stop answering: the run keeps its place and takes no device time."""

    def resume(self, run: Run) -> None:
        """Go on where the run was paused."""

    def step(self, run: Run) -> None:
        """Take exactly one more step, then pause."""

    def cancel(self, run: Run, reason: str = "cancelled") -> None:
        """End the run now; an answer that is under way is thrown away."""

    def logits(self, model: str, x: Tensor) -> Tensor:
        """Return the logits ``(n, classes)``, on the CPU."""

    def evaluate(
        self, model: str, x: Tensor, objective: Objective | None = None, goal: Criterion | None = None
    ) -> Evaluation:
        """Return the answer to one query, on the CPU: with an ``objective`` also its values and gradient."""

    def probe(self, model: str, question: Probe[T]) -> Generator[T]:
        """Yield the answers to a question that looks into a model, as they come, computed beside the runs;
        closing the iterator cancels what is left."""

    def carry_out(self, work: Work[T]) -> Generator[T]:
        """Yield what a piece of work comes to, as it comes, computed where the networks are; closing the
        iterator ends it."""

    def classify(self, model: str, image: str, crop: Crop | None = None) -> list[Prediction]:
        """Return every class of the model with its probability, the most probable first."""

    def classify_many(
        self,
        model: str,
        pictures: Iterable[Callable[[], Image.Image]],
        crop: Crop | None = None,
        k: int = 5,
        rows: int = 0,
        prepare: Callable[[Image.Image], bool] | None = None,
    ) -> Iterator[list[Prediction] | FoolscopeError]:
        """Yield, for each image in order, its ``k`` most probable classes, or why it could not be read."""

    def picture(self, image: str) -> Image.Image:
        """Return the image of that name (8-bit RGB)."""

    def preprocess(self, recipe: Recipe) -> Tensor:
        """Return what the recipe's model sees of its image: ``(c, size, size)`` in [0, 1]."""

    def notes(self, image: str) -> tuple[Said, ...]:
        """Return what was noted when an upload was read."""

    def export(self, run: Run, wanted: Wanted) -> Export:
        """Return a file of a run, read back and classified."""

    def exported(self, run: Run, wanted: Wanted) -> Export | None:
        """Return a file of a run if it was made before."""

    def load(self, name: str, progress: Progress | None = None) -> None:
        """Have a model in memory, downloaded if need be."""

    def loaded(self, name: str) -> bool:
        """Say whether a model is in memory already."""

    def layout(self, model: str) -> Choice | None:
        """Return what was chosen of the layouts of a model, None where that is not known here."""

    def health(self) -> Health:
        """Return how the engine is."""

    def close(self) -> None:
        """End every run and take no more."""
