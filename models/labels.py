"""What the classes of the networks are called: in Chinese, and in other words that people use for them.

``assets/labels/classes.tsv`` has a row for each label of ImageNet (as `models.imagenet.labels` returns it)
and of the everyday photos. A label that is in no row, such as a digit, has no other name.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from settings import ASSETS

TABLE = ASSETS / "labels" / "classes.tsv"


class Names(NamedTuple):
    """The names of a class beside its label: one in Chinese, and synonyms in English and in Chinese."""

    chinese: str
    synonyms: tuple[str, ...] = ()
    chinese_synonyms: tuple[str, ...] = ()


@cache
def table(path: Path = TABLE) -> Mapping[str, Names]:
    """Return the names of every class in ``path`` by label."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {
        row["label"]: Names(row["chinese"], _split(row["synonyms"]), _split(row["chinese_synonyms"]))
        for row in rows
    }


def names(label: str) -> Names:
    """Return the names of the class ``label``; one that is not in the table is called by its label."""
    return table().get(label, Names(label))


def search(text: str, labels: Iterable[str]) -> list[str]:
    """Return those of ``labels`` whose Chinese name is ``text``, else those that have it as a synonym, in any
    case."""
    wanted, known = text.strip().casefold(), list(labels)
    exact = [label for label in known if label in table() and names(label).chinese.casefold() == wanted]
    return exact or [label for label in known if wanted in _synonyms(names(label))]


def _synonyms(of: Names) -> set[str]:
    return {text.casefold() for text in (*of.synonyms, *of.chinese_synonyms)}


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("; ")) if text else ()
