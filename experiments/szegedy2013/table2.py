"""Szegedy et al., table 2: do pictures made for one network fool the others? https://arxiv.org/abs/1312.6199.

Each cell stands beside the victim's error on the same pictures untouched, and beside its error on
Gaussian noise of exactly the same size, picture by picture: without both, an error is no transfer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch

import models
from experiments.cache import Store
from experiments.core import ExperimentCard, Published
from experiments.methods.lbfgs_examples import (
    NEAREST,
    NETS,
    RANDOM,
    VARIANTS,
    Sample,
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
from experiments.toolkit.intervals import share

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
UNCUT, CUT = "uncut", "cut"
GAUSSIAN = (
    "The paper does not say whether pixels beyond black and white were cut off. Noise that is cut brightens "
    "the dark paper on which the digits stand. Both were measured."
)


@dataclass(frozen=True)
class Table2(OfDistorted):
    """Errors of seven networks on training pictures distorted for each of them, and on noise."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="table2",
        title="From one network to another",
        question="Do pictures that were distorted to fool one network fool others too?",
        paper="Intriguing Properties of Neural Networks",
        url="https://arxiv.org/abs/1312.6199",
        source="Table 2",
    )

    def pieces(self) -> list[str]:
        """Return a piece for each part of each attack, for each row of the table, and for clean errors."""
        bounds = parts(len(self.sample().y))
        made = [f"made {way} {name} {a}-{b}" for way in MADE for name in NETS for a, b in bounds]
        rows = [f"row {way} {name}" for way in MADE for name in NETS]
        noises = [f"{way} {deviation}" for way in (UNCUT, CUT) for deviation in NOISES]
        return [*made, *rows, "clean", *noises]

    def piece(self, name: str, store: Store) -> Any:
        """Distort a part of the sample, or count the errors of every network in one row of the table."""
        what, *rest = name.split()
        pictures = self.sample()
        if what == "made":
            start, stop = map(int, rest[2].split("-"))
            return int(keep(store, rest[1], pictures, rest[0], (start, stop)).met.sum())
        if what == "row":
            return self._row(store, pictures, *rest)
        chance = self._chance(" ".join(rest))
        x = pictures.x if what == "clean" else noisy(pictures.x, float(rest[0]), chance, what == CUT)
        return {victim: wrong(victim, x, pictures.y) for victim in NETS}

    def figures(self, done: Mapping[str, Any]) -> dict[str, Any]:
        """Return shares of errors by row and column, each with clean errors, noise and the paper's."""
        clean, n = done["clean"], len(self.sample().y)
        blocks = {way: {row: _block(row, done[f"row {way} {row}"], clean, n) for row in NETS} for way in MADE}
        figures = {
            "nets": {name: models.card(name).title for name in NETS},
            "variants": {way: VARIANTS[way] for way in MADE},
            "variant": RANDOM,
            "clean": {name: share(clean[name], n) for name in NETS},
            "rows": blocks,
            "gaussian": {way: _noises(way, done, n) for way in (UNCUT, CUT)},
            "gaussian_why": GAUSSIAN,
            "published_accuracy_under_noise_of_1": asdict(ACCURACY),
        }
        return dict(rounded(figures))

    def claims(self, figures: Mapping[str, Any]) -> dict[str, bool]:
        """Return what the table says, of targets drawn at random."""
        rows = figures["rows"][RANDOM]
        noise = figures["gaussian"][UNCUT]
        return {
            "Each network errs on all pictures made for it.": all(
                rows[name]["cells"][name]["value"] == 1 for name in NETS
            ),
            "Pictures made for another network fool more often than noise of exactly the same size.": all(
                _average(rows[row]["cells"], row) > _average(rows[row]["noise"], row) for row in NETS
            ),
            "Pictures made for other networks fool the autoencoder less than the networks with two hidden "
            "layers.": all(
                _excess(rows, SHALLOW, ["ae400"]) < _excess(rows, SHALLOW, [deep]) for deep in DEEP
            ),
            "Pictures made for networks with hidden layers add fewer errors to linear networks than pictures "
            "made for linear networks add to those.": _excess(rows, DEEP, SHALLOW)
            < _excess(rows, SHALLOW, DEEP),
            "Uncut noise of deviation 0.1 adds less than two points of errors to any network.": all(
                noise["0.1"][name]["excess"] < 0.02 for name in NETS
            ),
            "Noise that is not cut to [0, 1] has errors nearer to the paper's rows than noise that is.": _off(
                noise
            )
            < _off(figures["gaussian"][CUT]),
        }

    def _row(self, store: Store, pictures: Sample, way: str, name: str) -> dict[str, Any]:
        after = kept(store, name, pictures, way).x
        size = distortion(pictures.x, after)
        noise = as_noisy(pictures.x, size, self._chance(f"{way} {name}"))
        return {
            "distortion": float(size.mean()),
            "wrong": {victim: wrong(victim, after, pictures.y) for victim in NETS},
            "noise": {victim: wrong(victim, noise, pictures.y) for victim in NETS},
            "examples": examples(name, pictures, after),
        }

    def _chance(self, name: str) -> torch.Generator:
        """Return what the noise of a piece is drawn from."""
        place = sum(map(ord, name))
        return torch.Generator().manual_seed(self.seed * 100_003 + place)


def cells(row: str, counts: Mapping[str, int], clean: Mapping[str, int], n: int) -> dict[str, Any]:
    """Return for each column the share of errors, what it has above the clean error, and the paper's."""
    return {
        name: share(count, n) | {"excess": (count - clean[name]) / n, "published": _published(row, name)}
        for name, count in counts.items()
    }


def _published(row: str, column: str) -> dict[str, Any] | None:
    if row not in PAPER or column not in COLUMNS:
        return None
    place = COLUMNS.index(column)
    return asdict(Published(PAPER[row][place], recalled=place not in READ[row]))


def _noises(way: str, done: Mapping[str, Any], n: int) -> dict[str, Any]:
    return {str(each): cells(str(each), done[f"{way} {each}"], done["clean"], n) for each in NOISES}


def _off(rows: Mapping[str, Any]) -> float:
    """Return the mean distance of rows of noise from the paper's, where it has them."""
    found = [cell for row in rows.values() for cell in row.values() if cell["published"]]
    away = [abs(float(cell["value"]) - float(cell["published"]["value"]) / 100) for cell in found]
    return sum(away) / len(away)


def _block(row: str, done: Mapping[str, Any], clean: Mapping[str, int], n: int) -> dict[str, Any]:
    noise = cells("", done["noise"], clean, n)
    return {
        "distortion": done["distortion"],
        "cells": cells(row, done["wrong"], clean, n),
        "noise": {name: {key: cell[key] for key in ("value", "low", "high")} for name, cell in noise.items()},
        "examples": done["examples"],
    }


def _average(found: Mapping[str, Any], but: str) -> float:
    """Return the mean error of every column but one."""
    return sum(float(cell["value"]) for name, cell in found.items() if name != but) / (len(found) - 1)


def _excess(rows: Mapping[str, Any], made_for: Any, victims: Any) -> float:
    """Return the mean error above the clean one, over pairs of a row and a column."""
    pairs = [(row, victim) for row in made_for for victim in victims]
    return sum(float(rows[row]["cells"][victim]["excess"]) for row, victim in pairs) / len(pairs)
