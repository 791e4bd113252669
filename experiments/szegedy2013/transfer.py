"""What tables 2 and 4 of Szegedy et al. have in common: errors of several networks on the same images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from engine.intervals import Estimate, share
from experiments.core import Published, Stage
from experiments.methods.lbfgs_examples import count_wrong

UNCUT, CUT = "uncut", "cut"
"""Whether noise stays as it is (nearer to the paper's rows) or is cut to [0, 1]."""


@dataclass(frozen=True)
class Met:
    """Of how many images of a batch the attack reached the class that was asked for."""

    met: int


@dataclass(frozen=True)
class Wrong:
    """How many images of the sample are misclassified, by the name of the network."""

    wrong: dict[str, int]


@dataclass(frozen=True)
class Clean(Stage):
    """The errors of every network on the images as they are."""

    answer: ClassVar[type] = Wrong

    @property
    def name(self) -> str:
        """Return that they are clean."""
        return "clean"


@dataclass(frozen=True)
class Noise(Stage):
    """The errors of every network under Gaussian noise of a standard ``deviation``, pixels in [0, 1];
    ``cut``: to [0, 1] afterwards."""

    answer: ClassVar[type] = Wrong

    deviation: float
    cut: bool

    @property
    def name(self) -> str:
        """Return whether it is cut, and its deviation."""
        return f"{CUT if self.cut else UNCUT} {self.deviation}"


@dataclass(frozen=True)
class Cell(Estimate):
    """The share of images, from 0 to 1, that a network gets wrong; ``excess``: how much more than of clean
    ones, from -1 to 1; ``published``: the paper's, in percent, None where it has none."""

    excess: float
    published: Published | None


def noise_stages(deviations: Sequence[float]) -> list[Noise]:
    """Return the stages of noise of each standard deviation, uncut and cut."""
    return [Noise(deviation, cut) for cut in (False, True) for deviation in deviations]


def wrong_by_network(networks: Sequence[str], x: Tensor, y: Tensor) -> dict[str, int]:
    """Return how many of the images ``x`` ``(n, 1, 28, 28)`` of classes ``y`` each network gets wrong."""
    return {name: count_wrong(name, x, y) for name in networks}


def wrong_in(answers: Mapping[Stage, object], stage: Clean | Noise) -> dict[str, int]:
    """Return how many images each network got wrong in a stage that was carried out."""
    answer = answers[stage]
    assert isinstance(answer, Wrong)
    return answer.wrong


def gaussian(
    answers: Mapping[Stage, object],
    deviations: Sequence[float],
    n: int,
    published: Callable[[str, str], Published | None],
) -> dict[str, dict[str, dict[str, Cell]]]:
    """Return the errors of ``n`` images under noise by whether it is `CUT` or `UNCUT`, by its standard
    deviation as text, and by network; ``published``: the paper's number, by deviation and network."""
    clean = wrong_in(answers, Clean())
    return {
        kind: {
            str(size): cells(wrong_in(answers, Noise(size, cut)), clean, n, partial(published, str(size)))
            for size in deviations
        }
        for kind, cut in ((UNCUT, False), (CUT, True))
    }


def cells(
    wrong: Mapping[str, int],
    clean: Mapping[str, int],
    n: int,
    published: Callable[[str], Published | None] = lambda network: None,
) -> dict[str, Cell]:
    """Return the cell of each network, by its name, from how many of ``n`` images it gets ``wrong`` and how
    many of the ``clean`` ones; ``published``: the paper's number for a network's name."""
    return {name: _cell(count, clean[name], n, published(name)) for name, count in wrong.items()}


def _cell(wrong: int, clean: int, n: int, published: Published | None) -> Cell:
    error = share(wrong, n)
    return Cell(error.value, error.low, error.high, n, (wrong - clean) / n, published)
