"""Szegedy et al., table 2: do pictures made for one network fool the others? https://arxiv.org/abs/1312.6199.

Each cell stands beside the victim's error on the same pictures untouched, and beside its error on
Gaussian noise of exactly the same size, picture by picture: without both, an error is no transfer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch

import models
from engine.intervals import Estimate, share
from experiments.cache import Store
from experiments.core import ExperimentCard, Published, Stage
from experiments.methods.lbfgs_examples import (
    NEAREST,
    NETS,
    RANDOM,
    VARIANTS,
    Examples,
    batches,
    distorted,
    distorted_part,
    distortion,
    examples,
    noisy,
    noisy_at,
    rounded,
)
from experiments.szegedy2013 import paper
from experiments.szegedy2013.transfer import (
    CUT,
    UNCUT,
    Cell,
    Clean,
    Met,
    Noise,
    Wrong,
    cells,
    gaussian,
    noise_stages,
    wrong_by_network,
    wrong_in,
)
from experiments.toolkit.bases import OfDistorted

COLUMNS = ("fc10_1e-4", "fc10_1e-2", "fc10_1", "fc100_100", "fc200_200", "ae400")
PAPER = {
    "fc10_1e-4": (100, 11.7, 22.7, 2, 3.9, 2.7),
    "fc10_1e-2": (87.1, 100, 35.2, 35.9, 27.3, 9.8),
    "fc10_1": (71.9, 76.2, 100, 48.1, 47, 34.4),
    "fc100_100": (28.9, 13.7, 21.1, 100, 6.6, 2),
    "fc200_200": (38.2, 14, 23.8, 20.3, 100, 2.7),
    "ae400": (23.4, 16, 24.8, 9.4, 6.6, 100),
    "0.1": (5.0, 10.1, 18.3, 0, 0, 0.8),
    "0.3": (15.6, 11.3, 22.7, 5, 4.3, 3.1),
}
"""Errors in percent of the networks of `COLUMNS`, by the network distorted for or the noise's deviation."""
READ = {
    "fc10_1e-4": (0, 3, 5),
    "fc10_1e-2": (0, 3, 5),
    "fc10_1": (0, 1, 2, 3, 4, 5),
    "fc100_100": (0, 3, 5),
    "fc200_200": (0, 3, 5),
    "ae400": (),
    "0.1": (0, 3, 5),
    "0.3": (0, 3, 5),
}
"""Which columns of `PAPER` were read in a source; the others are recalled."""
NOISES = (0.1, 0.3, 1.0)
ACCURACY = Published(51)
"""Percent that one network (the text does not say which) gets right under noise of deviation 1."""
SHALLOW, DEEP = ("fc10_1e-4", "fc10_1e-2", "fc10_1"), ("fc100_100", "fc200_200")
MADE = (RANDOM, NEAREST)
GAUSSIAN = (
    "The paper does not say whether pixels beyond black and white were cut off. Noise that is cut brightens "
    "the dark paper on which the digits stand. Both were measured."
)


@dataclass(frozen=True)
class Counts:
    """A row of the table: the mean ``distortion`` of the images made for its network (pixels in [0, 1]), how
    many of them each network gets ``wrong``, by name, and how many under ``noise`` of exactly the same size;
    ``examples``: what a page can open."""

    distortion: float
    wrong: dict[str, int]
    noise: dict[str, int]
    examples: Examples


@dataclass(frozen=True)
class Interval:
    """A share, from 0 to 1, and its 95 % interval, None where there is none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """A row of the table: as `Counts`, in shares from 0 to 1."""

    distortion: float
    cells: dict[str, Cell]
    noise: dict[str, Interval]
    examples: Examples


@dataclass(frozen=True)
class Table2Figures:
    """The table: titles of the networks by name, and their share of errors on ``clean`` images; ``rows`` by
    variant of the attack and by the network that was distorted for; errors under ``gaussian`` noise by
    whether it is `CUT` or `UNCUT`, by its standard deviation, and by network.

    ``variants``: of the attack, in words; ``variant``: the one to compare with the paper;
    ``published_accuracy_under_noise_of_1``: in percent.
    """

    nets: dict[str, str]
    variants: dict[str, str]
    variant: str
    clean: dict[str, Estimate]
    rows: dict[str, dict[str, Row]]
    gaussian: dict[str, dict[str, dict[str, Cell]]]
    gaussian_why: str
    published_accuracy_under_noise_of_1: Published


@dataclass(frozen=True)
class Make(Stage):
    """A ``variant`` of the attack on a ``network``, for the rows from ``start`` to before ``stop``."""

    answer: ClassVar[type] = Met

    variant: str
    network: str
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Return that images are made: by which variant, for which network, from which rows."""
        return f"made {self.variant} {self.network} {self.start}-{self.stop}"


@dataclass(frozen=True)
class CountRow(Stage):
    """The errors of every network on what a ``variant`` of the attack made for one ``network``."""

    answer: ClassVar[type] = Counts

    variant: str
    network: str

    @property
    def name(self) -> str:
        """Return that it is a row: of which variant, for which network."""
        return f"row {self.variant} {self.network}"


Answer = Met | Counts | Wrong


@dataclass(frozen=True)
class Table2(OfDistorted[Answer, Table2Figures]):
    """Errors of seven networks on training pictures distorted for each of them, and on noise."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="table2",
        title="From one network to another",
        question="Do pictures that were distorted to fool one network fool others too?",
        paper=paper.TITLE,
        url=paper.URL,
        source="Table 2",
    )
    result: ClassVar[type] = Table2Figures
    version: ClassVar[int] = 2

    def stages(self) -> list[Stage]:
        """Return each batch of each attack, each row of the table, clean errors, and noise."""
        bounds = batches(len(self.sample().y))
        attacks = [
            Make(variant, name, start, stop) for variant in MADE for name in NETS for start, stop in bounds
        ]
        rows = [CountRow(variant, name) for variant in MADE for name in NETS]
        return [*attacks, *rows, Clean(), *noise_stages(NOISES)]

    def carry_out(self, stage: Make | CountRow | Clean | Noise, store: Store) -> Answer:
        """Distort a batch of the sample, or count the errors of every network in one row of the table."""
        sample = self.sample()
        if isinstance(stage, Make):
            bounds = (stage.start, stage.stop)
            return Met(int(distorted_part(store, stage.network, sample, stage.variant, bounds).met.sum()))
        if isinstance(stage, CountRow):
            return self._row(stage, store)
        x = sample.x
        if isinstance(stage, Noise):
            x = noisy(x, stage.deviation, self._generator(str(stage.deviation)), stage.cut)
        return Wrong(wrong_by_network(NETS, x, sample.y))

    def summarise(self, answers: Sequence[Answer]) -> Table2Figures:
        """Return shares of errors by row and column, each with clean errors, noise and the paper's."""
        done, n = dict(zip(self.stages(), answers, strict=True)), len(self.sample().y)
        clean = wrong_in(done, Clean())
        figures = Table2Figures(
            nets={name: models.card(name).title for name in NETS},
            variants={variant: VARIANTS[variant] for variant in MADE},
            variant=RANDOM,
            clean={name: share(clean[name], n) for name in NETS},
            rows={variant: _rows(variant, done, clean, n) for variant in MADE},
            gaussian=gaussian(done, NOISES, n, _published),
            gaussian_why=GAUSSIAN,
            published_accuracy_under_noise_of_1=ACCURACY,
        )
        return rounded(figures)

    def claims(self, figures: Table2Figures) -> dict[str, bool]:
        """Return what the table says, of targets drawn at random."""
        rows, noise = figures.rows[RANDOM], figures.gaussian[UNCUT]
        return {
            "Each network errs on all pictures made for it.": all(
                rows[name].cells[name].value == 1 for name in NETS
            ),
            "Pictures made for another network fool more often than noise of exactly the same size.": all(
                _average(_errors(rows[row].cells), row) > _average(_errors(rows[row].noise), row)
                for row in NETS
            ),
            "Pictures made for other networks fool the autoencoder less than the networks with two hidden "
            "layers.": all(
                _excess(rows, SHALLOW, ["ae400"]) < _excess(rows, SHALLOW, [deep]) for deep in DEEP
            ),
            "Pictures made for networks with hidden layers add fewer errors to linear networks than pictures "
            "made for linear networks add to those.": _excess(rows, DEEP, SHALLOW)
            < _excess(rows, SHALLOW, DEEP),
            "Uncut noise of deviation 0.1 adds less than two points of errors to any network.": all(
                noise["0.1"][name].excess < 0.02 for name in NETS
            ),
            "Noise that is not cut to [0, 1] has errors nearer to the paper's rows than noise that is.": _off(
                noise
            )
            < _off(figures.gaussian[CUT]),
        }

    def _row(self, stage: CountRow, store: Store) -> Counts:
        sample = self.sample()
        after = distorted(store, stage.network, sample, stage.variant).x
        size = distortion(sample.x, after)
        noise = noisy_at(sample.x, size, self._generator(f"{stage.variant} {stage.network}"))
        return Counts(
            distortion=float(size.mean()),
            wrong=wrong_by_network(NETS, after, sample.y),
            noise=wrong_by_network(NETS, noise, sample.y),
            examples=examples(stage.network, sample, after),
        )

    def _generator(self, name: str) -> torch.Generator:
        """Return what the noise of a stage is drawn from."""
        place = sum(map(ord, name))
        return torch.Generator().manual_seed(self.seed * 100_003 + place)


def _published(row: str, column: str) -> Published | None:
    if row not in PAPER or column not in COLUMNS:
        return None
    place = COLUMNS.index(column)
    return Published(PAPER[row][place], recalled=place not in READ[row])


def _rows(variant: str, done: Mapping[Stage, Answer], clean: Mapping[str, int], n: int) -> dict[str, Row]:
    counts = {name: done[CountRow(variant, name)] for name in NETS}
    return {name: _row(name, row, clean, n) for name, row in counts.items() if isinstance(row, Counts)}


def _row(name: str, counts: Counts, clean: Mapping[str, int], n: int) -> Row:
    noise = cells(counts.noise, clean, n)
    return Row(
        distortion=counts.distortion,
        cells=cells(counts.wrong, clean, n, partial(_published, name)),
        noise={victim: Interval(cell.value, cell.low, cell.high) for victim, cell in noise.items()},
        examples=counts.examples,
    )


def _off(rows: Mapping[str, Mapping[str, Cell]]) -> float:
    """Return the mean distance of rows of noise from the paper's, where it has them."""
    away = [
        abs(cell.value - cell.published.value / 100)
        for row in rows.values()
        for cell in row.values()
        if cell.published
    ]
    return sum(away) / len(away)


def _errors(row: Mapping[str, Cell] | Mapping[str, Interval]) -> dict[str, float]:
    return {name: cell.value for name, cell in row.items()}


def _average(errors: Mapping[str, float], but: str) -> float:
    """Return the mean error of every column but one."""
    return sum(error for name, error in errors.items() if name != but) / (len(errors) - 1)


def _excess(rows: Mapping[str, Row], made_for: Sequence[str], victims: Sequence[str]) -> float:
    """Return the mean error above the clean one, over pairs of a row and a column."""
    pairs = [(row, victim) for row in made_for for victim in victims]
    return sum(rows[row].cells[victim].excess for row, victim in pairs) / len(pairs)
