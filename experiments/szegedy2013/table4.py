"""Szegedy et al., tables 3 and 4: do pictures made for a network fool one that learnt from other pictures?
https://arxiv.org/abs/1312.6199.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch

import models
from experiments.cache import Store
from experiments.core import ExperimentCard, Published
from experiments.datasets.digit_sets import Digits, digits
from experiments.methods.lbfgs_examples import (
    RANDOM,
    VARIANTS,
    Sample,
    amplified,
    as_noisy,
    distortion,
    examples,
    keep,
    kept,
    noisy,
    parts,
    rounded,
    wrong,
)
from experiments.toolkit.bases import OfDistorted
from experiments.toolkit.intervals import mean, share
from models.train.digit_nets import part

NETS = ("fc100_p1", "fc123_p1", "fc100_p2")
TABLE3 = {
    "fc100_p1": (0, 2.4, 2.0, 0.062),
    "fc123_p1": (0, 2.5, 2.1, 0.059),
    "fc100_p2": (2.3, 0, 2.1, 0.058),
}
"""Errors in percent on the first half, the second and the test set, and the average minimum distortion;
all recalled."""
MEASURES = ("first half", "second half", "test")
TABLE4 = {
    "fc100_p1": (100, 26.2, 5.9),
    "fc123_p1": (6.25, 100, 5.1),
    "fc100_p2": (8.2, 8.2, 100),
    "noise 0.06": (2.2, 2.6, 2.4),
    "amplified fc100_p1": (100, 98, 43),
    "amplified fc123_p1": (96, 100, 22),
    "amplified fc100_p2": (27, 50, 100),
    "noise 0.1": (2.6, 2.8, 2.7),
}
"""Errors in percent of `NETS` on test pictures distorted for one of them, at their own size and amplified."""
RECALLED = {
    ("fc100_p1", 0), ("fc123_p1", 0), ("fc123_p1", 1), ("fc100_p2", 1), ("fc100_p2", 2), ("noise 0.06", 2),
    ("amplified fc100_p1", 0), ("amplified fc123_p1", 0), ("amplified fc123_p1", 1),
    ("amplified fc100_p2", 1), ("amplified fc100_p2", 2), ("noise 0.1", 2),
}  # fmt: skip
"""The cells of `TABLE4` that were not read in a source."""
SIZE = 0.1
"""To which distortion the second half of table 4 amplifies."""
NOISES = (0.06, 0.1)
UNCUT, CUT = "uncut", "cut"
"""Whether noise stays as it is (nearer to the paper, see `table2`) or is cut to [0, 1]."""


@dataclass(frozen=True)
class Table4(OfDistorted):
    """Three networks that learnt from two halves, and what test pictures made for one do to the others."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="table4",
        title="From one training set to another",
        question="Do pictures made for one network fool one that learnt from entirely other digits?",
        paper="Intriguing Properties of Neural Networks",
        url="https://arxiv.org/abs/1312.6199",
        source="Tables 3 and 4",
    )
    nets: ClassVar[tuple[str, ...]] = NETS
    part: ClassVar[str] = "test"

    def pieces(self) -> list[str]:
        """Return a piece for the errors of each network, each part of each attack, each row of the table."""
        bounds = parts(len(self.sample().y))
        errors = [f"errors {name}" for name in NETS]
        made = [f"made {name} {start}-{stop}" for name in NETS for start, stop in bounds]
        rows = [f"row {name}" for name in NETS]
        return [*errors, *made, *rows, "clean", *(f"{way} {each}" for way in (UNCUT, CUT) for each in NOISES)]

    def piece(self, name: str, store: Store) -> Any:
        """Count errors, distort a part of the sample, or count the errors of a row of the table."""
        what, *rest = name.split()
        pictures = self.sample()
        if what == "errors":
            return _errors(rest[0], digits(self.data))
        if what == "made":
            start, stop = map(int, rest[1].split("-"))
            return int(keep(store, rest[0], pictures, RANDOM, (start, stop)).met.sum())
        if what == "row":
            return self._row(store, pictures, rest[0])
        x = pictures.x
        if what in (UNCUT, CUT):
            x = noisy(x, float(rest[0]), self._chance(), what == CUT)
        return {victim: wrong(victim, x, pictures.y) for victim in NETS}

    def figures(self, done: Mapping[str, Any]) -> dict[str, Any]:
        """Return table 3, and the two blocks of table 4 with noise of the same size, beside the paper's."""
        clean, n = done["clean"], len(self.sample().y)
        figures = {
            "nets": {name: models.card(name).title for name in NETS},
            "variant": VARIANTS[RANDOM],
            "table3": {name: _table3(name, done) for name in NETS},
            "clean": {name: share(clean[name], n) for name in NETS},
            "rows": {name: _block(name, done[f"row {name}"], clean, n) for name in NETS},
            "gaussian": {
                way: {str(each): cells(f"noise {each}", done[f"{way} {each}"], clean, n) for each in NOISES}
                for way in (UNCUT, CUT)
            },
            "size": SIZE,
            "formula": "The paper prints the amplified change as 0.1 (x' - x) / |x' - x|, which would be a "
            "deviation of 0.1 / 28 = 0.0036 a pixel; its text speaks of 0.1. Measured here: 0.1 sqrt(784) "
            "(x' - x) / |x' - x|, then cut to [0, 1].",
        }
        return dict(rounded(figures))

    def claims(self, figures: Mapping[str, Any]) -> dict[str, bool]:
        """Return what the tables say."""
        rows = figures["rows"]
        others = [(row, victim) for row in NETS for victim in NETS if row != victim]

        def average(block: str) -> float:
            return sum(float(rows[row][block][victim]["value"]) for row, victim in others) / len(others)

        apart = [(row, victim) for row, victim in others if (row[-2:] != victim[-2:])]
        return {
            "Each network errs on every test picture made for it.": all(
                rows[name]["own size"][name]["value"] == 1 for name in NETS
            ),
            "Pictures made for another network fool more often than noise of exactly the same size.": average(
                "own size"
            )
            > average("own noise"),
            "Pictures made for a network fool those that learnt from the other half, above their clean "
            "error.": all(rows[row]["own size"][victim]["excess"] > 0 for row, victim in apart),
            "Amplified to 0.1, the same changes fool the others more often.": all(
                rows[row]["amplified"][victim]["value"] > rows[row]["own size"][victim]["value"]
                for row, victim in others
            ),
            "Amplified changes fool the others far more often than noise of the same size, at least "
            "fourfold.": average("amplified") > 4 * average("amplified noise"),
        }

    def _row(self, store: Store, pictures: Sample, name: str) -> dict[str, Any]:
        after, chance = kept(store, name, pictures, RANDOM).x, self._chance()
        large = amplified(pictures.x, after, SIZE)
        sets = {
            "own size": after,
            "own noise": as_noisy(pictures.x, distortion(pictures.x, after), chance),
            "amplified": large,
            "amplified noise": as_noisy(pictures.x, distortion(pictures.x, large), chance),
        }
        counts = {what: {each: wrong(each, x, pictures.y) for each in NETS} for what, x in sets.items()}
        return {
            "sizes": distortion(pictures.x, after).tolist(),
            "cut": float(distortion(pictures.x, large).mean()),
            "wrong": counts,
            "examples": examples(name, pictures, after),
        }

    def _chance(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)


def cells(row: str, counts: Mapping[str, int], clean: Mapping[str, int], n: int) -> dict[str, Any]:
    """Return for each column the share of errors, what it has above the clean error, and the paper's."""
    return {
        name: share(count, n) | {"excess": (count - clean[name]) / n, "published": _published(row, name)}
        for name, count in counts.items()
    }


def _published(row: str, column: str) -> dict[str, Any] | None:
    place = NETS.index(column)
    return asdict(Published(TABLE4[row][place], (row, place) in RECALLED)) if row in TABLE4 else None


def _block(row: str, done: Mapping[str, Any], clean: Mapping[str, int], n: int) -> dict[str, Any]:
    titles = {"own size": row, "amplified": f"amplified {row}"}
    blocks = {what: cells(titles.get(what, ""), counts, clean, n) for what, counts in done["wrong"].items()}
    return {**blocks, "amplified distortion after cutting": done["cut"], "examples": done["examples"]}


def _errors(name: str, found: Digits) -> dict[str, list[int]]:
    """Return counts of errors and pictures of both halves of the training set and of the test set."""
    first, second = part(1, len(found.train_y)), part(2, len(found.train_y))
    sets = {
        "first half": (found.train_x[first], found.train_y[first]),
        "second half": (found.train_x[second], found.train_y[second]),
        "test": (found.test_x, found.test_y),
    }
    return {what: [wrong(name, x, y), len(y)] for what, (x, y) in sets.items()}


def _table3(name: str, done: Mapping[str, Any]) -> dict[str, Any]:
    errors, paper = done[f"errors {name}"], TABLE3[name]
    row: dict[str, Any] = {
        what: share(*errors[what]) | {"published": asdict(Published(paper[place], recalled=True))}
        for place, what in enumerate(MEASURES)
    }
    sizes = done[f"row {name}"]["sizes"]
    return row | {"distortion": mean(sizes) | {"published": asdict(Published(paper[3], recalled=True))}}
