"""Every digit into every other: a 10 x 10 grid of sources and targets (Szegedy et al. 2013, section 4)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

import models
from attacks.contract import Criterion, walk
from attacks.lbfgs import LBFGS
from attacks.settings import setting
from engine.intervals import Estimate, mean
from engine.networks import shared
from engine.run import Floats
from engine.work import Evaluates
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Stage
from experiments.datasets.digit_sets import digits, source
from experiments.szegedy2013 import paper
from experiments.toolkit.image_sheets import png, signed

DIGIT_NETWORKS = tuple(card.name for card in models.cards() if card.channels == 1)
GAIN = 0.25
"""The change of a value that is shown black or white in the pictures of changes."""


@dataclass(frozen=True)
class Cell:
    """A digit taken to one class: whether that was ``reached``, the ``distortion`` (root mean square of the
    change over the pixels, in [0, 1], 0 where nothing had to change), the ``probability`` of the class, from
    0 to 1, and the ``picture`` and its ``change`` as 28 x 28 PNGs in base64 (middle grey: unchanged)."""

    reached: bool
    distortion: float
    probability: float
    picture: str
    change: str


@dataclass(frozen=True)
class Row:
    """A test digit, by its ``index`` in the set, taken to each of the ten classes, 0 to 9."""

    index: int
    cells: list[Cell]


@dataclass(frozen=True)
class GridFigures:
    """The ten rows, by the class of the digit, 0 to 9; how many of the hundred classes were ``reached``; and
    the mean and the ``largest`` distortion where something had to change (unit: see `Cell`)."""

    rows: list[Row]
    reached: int
    distortion: Estimate
    largest: float


@dataclass(frozen=True)
class Source(Stage):
    """A digit of the class ``label``, 0 to 9, taken to each of the ten."""

    answer: ClassVar[type] = Row

    label: int

    @property
    def name(self) -> str:
        """Return the class."""
        return str(self.label)


@dataclass(frozen=True)
class Grid(Experiment[Row, GridFigures]):
    """One test digit of each class, which the network reads rightly if it does any of fifty, taken to each of
    the nine others by the box-constrained L-BFGS attack; ``n`` is the number of pictures that come of it."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="grid",
        title="Every digit into every other",
        question="Can any digit be made into any other without a change that one would notice?",
        paper="Szegedy et al. 2013",
        url=paper.URL,
        source="section 4 (the perturbation can change the prediction arbitrarily)",
    )
    result: ClassVar[type] = GridFigures

    n: int = setting(100, "Pictures", "Ten sources by ten targets.", low=100, high=100)
    model: str = setting("fc100", "Network", "Which network is attacked.", choices=DIGIT_NETWORKS)

    def depends(self) -> object:
        """Return where the digits are from and which weights are attacked."""
        return {"digits": source(self.data), "weights": models.card(self.model).weights.sha256}

    def stages(self) -> list[Source]:
        """Return one stage for each source class."""
        return [Source(digit) for digit in range(10)]

    def carry_out(self, stage: Source, store: Store) -> Row:
        """Return the row of the grid of one digit of the class."""
        data, network = digits(self.data), shared(self.model)
        of_class = (data.test_y == stage.label).nonzero()[:, 0]
        start = torch.randperm(len(of_class), generator=torch.Generator().manual_seed(self.seed))
        tried = of_class[start[:50]]
        right = network(data.test_x[tried]).argmax(1) == stage.label
        index = int((tried[right] if right.any() else tried)[0])
        return Row(index, row(self.model, data.test_x[index : index + 1]))

    def summarise(self, answers: Sequence[Row]) -> GridFigures:
        """Return the rows in order, the mean distortion off the diagonal, and how many were reached."""
        cells = [cell for answer in answers for cell in answer.cells]
        moved = [cell.distortion for cell in cells if cell.distortion]
        return GridFigures(
            rows=list(answers),
            reached=sum(cell.reached for cell in cells),
            distortion=mean(moved),
            largest=max(moved),
        )

    def claims(self, figures: GridFigures) -> dict[str, bool]:
        """Return whether all hundred were reached, and by how little."""
        return {
            "Each of the ten digits can be made into each of the nine others.": figures.reached == 100,
            "The largest of these changes is below a tenth of the full scale, as the root mean square over "
            "the pixels.": figures.largest < 0.1,
        }


@dataclass(frozen=True, eq=False)
class ToEveryClass:
    """Takes the digit ``x`` ``(1, 28, 28)`` in [0, 1] to each of the ten classes of the network ``model``. A
    piece of `engine.work`."""

    model: str
    x: Floats

    def carry_out(self, engine: Evaluates) -> Iterator[list[Cell]]:
        """Yield the ten cells."""
        yield row(self.model, torch.from_numpy(self.x)[None])


def row(model: str, x: Tensor) -> list[Cell]:
    """Return the digit ``x`` ``(1, 1, 28, 28)`` in [0, 1] taken to each of the ten classes of the network
    ``model``."""
    network, target = shared(model), torch.arange(10)
    start, criterion = x.expand(10, -1, -1, -1), Criterion(target, targeted=True)
    *_, last = walk(LBFGS().search(start, criterion, torch.Generator().manual_seed(0)), network, criterion)
    logits = last.evaluation.logits
    met, probability = criterion.met(logits), logits.softmax(1).diagonal()
    change = last.x - start
    rms = change.flatten(1).norm(dim=1) / math.sqrt(x[0].numel())
    return [
        Cell(
            reached=bool(met[i]),
            distortion=round(float(rms[i]), 5),
            probability=round(float(probability[i]), 4),
            picture=png(last.x[i, 0]),
            change=png(signed(change[i, 0], GAIN)),
        )
        for i in range(10)
    ]
