"""Szegedy et al.: Intriguing Properties of Neural Networks, section 4. https://arxiv.org/abs/1312.6199."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

import models
from attacks.contract import Attack, Criterion, walk
from attacks.lbfgs import LBFGS
from attacks.random_noise import reach
from attacks.settings import setting
from engine import intervals
from engine.intervals import Estimate
from engine.networks import shared
from errors import BadSetting
from experiments.cache import Store
from experiments.core import ExperimentCard, Stage
from experiments.datasets.digit_sets import digits
from experiments.datasets.images import origin, pictures
from experiments.szegedy2013 import paper
from experiments.toolkit.bases import OfNetworks
from experiments.toolkit.chance import seeded
from models.core import Card, Classifier

CHUNK = 10
CURVE = [round(0.1 * i, 1) for i in range(31)] + [4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 40.0]
"""Where the true class's probability is read, in lengths of the picture's own adversarial change."""
FARTHEST = 256.0
LINEAR = 1 / 0.674489750196
"""Along a random line a flat boundary is, in the median, this times sqrt(d) as far as it is straight ahead:
d^-1/2 times the median of a standard normal's size is what the line has in common with the normal."""


@dataclass(frozen=True)
class Kinds:
    """How random changes are drawn, in words."""

    clipped: str = "drawn evenly from the sphere, then clipped to [0, 1], which shortens them"
    full: str = "drawn evenly from the sphere and followed inside [0, 1] until they are as long"


@dataclass(frozen=True)
class AttackAnswer:
    """What L-BFGS does to ``tried`` pictures of ``d`` values each.

    ``length``: of each change that fools, in Euclidean length. ``nearest``: how far each such example lies
    from the nearest training digit; None for networks of photos.
    """

    tried: int
    length: list[float]
    nearest: list[float] | None
    d: int


@dataclass(frozen=True)
class DrawnPicture:
    """How many of the draws ``clipped`` and ``full`` (`Kinds`) flip the answer for one picture, and how long
    a clipped one is on average, in lengths of the adversarial change."""

    clipped: int
    full: int
    clipped_length: float


@dataclass(frozen=True)
class Drawn:
    """What the draws do to some pictures."""

    pictures: list[DrawnPicture]


@dataclass(frozen=True)
class FollowedPicture:
    """Lines from one picture.

    ``adversarial`` and ``random``: probability of the true class, from 0 to 1, at the distances of `CURVE`;
    the random one is the mean over lines. ``open`` and ``boxed``: how far the answer flips along each line,
    as `farther` says, outside [0, 1] too or clipped to it.
    """

    adversarial: list[float]
    random: list[float]
    open: list[float | None]
    boxed: list[float | None]


@dataclass(frozen=True)
class Followed:
    """Lines from some pictures."""

    pictures: list[FollowedPicture]


@dataclass(frozen=True)
class FlipCounts:
    """How often random changes flip the answer.

    ``share``: among all draws, for these pictures; ``pictures``: the share that any draw flips at all;
    ``count``: flips in all; ``counts``: by picture, the most first.
    """

    share: Estimate
    pictures: Estimate
    count: int
    counts: list[int]


@dataclass(frozen=True)
class Flips:
    """Flips by kind of random changes (`Kinds`)."""

    clipped: FlipCounts
    full: FlipCounts


@dataclass(frozen=True)
class Curve:
    """Quartiles over ``n`` pictures of the true class's probability, from 0 to 1, at the distances of
    `RarityFigures.curve`."""

    low: list[float]
    median: list[float]
    high: list[float]
    n: int


@dataclass(frozen=True)
class Probability:
    """Curves towards the adversarial example and along random lines."""

    adversarial: Curve
    random: Curve


@dataclass(frozen=True)
class LineDistances:
    """How far the answer flips along random lines.

    ``ratio``: median over pictures of each one's median line, in lengths of the adversarial change;
    ``never``: along how many of all ``lines`` it does not within `FARTHEST`.
    """

    ratio: Estimate
    never: int
    lines: int


@dataclass(frozen=True)
class Farther:
    """Distances along lines that may leave [0, 1], and along those that are clipped to it."""

    open: LineDistances
    boxed: LineDistances


@dataclass(frozen=True)
class NearestTraining:
    """Distance of ``n`` adversarial examples to the nearest training digit, in Euclidean length; ``nearer``:
    how many have one that is as near as the picture they were made from."""

    nearest: Estimate
    nearer: int
    n: int


@dataclass(frozen=True)
class NetworkRarity:
    """What is rare for one network.

    ``origin``: where the pictures are from. ``success``: share of them that L-BFGS makes an example of.
    ``length``: median of its changes, in Euclidean length; ``rms``: their mean over the root of ``d``, the
    number of values of a picture. ``clipped_length``: mean length of clipped draws, in lengths of the
    adversarial change. ``flat``: the median of `LineDistances.ratio` were the boundary flat. ``training``:
    None for networks of photos.
    """

    origin: str = field(metadata={"json": "from"})
    success: Estimate = field(metadata={"json": "found"})
    length: Estimate
    rms: Estimate
    d: int
    flips: Flips
    clipped_length: Estimate = field(metadata={"json": "clipped length"})
    probability: Probability
    farther: Farther
    sqrt_d: float = field(metadata={"json": "sqrt d"})
    flat: float
    training: NearestTraining | None


@dataclass(frozen=True)
class RarityFigures:
    """Figures by network. ``curve``: the distances at which probabilities are read, in lengths of the
    adversarial change; ``draws`` and ``lines``: how many of them each picture has."""

    curve: list[float]
    draws: int
    lines: int
    kinds: Kinds
    farthest: float
    networks: dict[str, NetworkRarity]


@dataclass(frozen=True)
class AttackStage(Stage):
    """L-BFGS on the pictures of a network; stores them, the examples and the classes as tensors."""

    answer: ClassVar[type] = AttackAnswer

    network: str

    @property
    def name(self) -> str:
        """Return the network and "attack 0"."""
        return f"{self.network} attack 0"


@dataclass(frozen=True)
class DrawStage(Stage):
    """Random changes of the `CHUNK` pictures from number ``start`` on."""

    answer: ClassVar[type] = Drawn

    network: str
    start: int

    @property
    def name(self) -> str:
        """Return the network, "draws" and the number of the first picture."""
        return f"{self.network} draws {self.start}"


@dataclass(frozen=True)
class LineStage(Stage):
    """Lines from the `CHUNK` pictures from number ``start`` on."""

    answer: ClassVar[type] = Followed

    network: str
    start: int

    @property
    def name(self) -> str:
        """Return the network, "lines" and the number of the first picture."""
        return f"{self.network} lines {self.start}"


RarityStage = AttackStage | DrawStage | LineStage
RarityAnswer = AttackAnswer | Drawn | Followed


@dataclass(frozen=True)
class Rarity(OfNetworks[RarityAnswer, RarityFigures]):
    """Random changes as large as the adversarial one, counted, and followed until they flip the answer.

    The adversarial change is that of L-BFGS for pictures that the network gets right. "As far as" is the
    Euclidean length. Along a random line both directions count, as in https://arxiv.org/abs/1608.08967.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="rarity",
        title="Pockets that chance does not find",
        question="Would a random change as large as the adversarial one fool the network?",
        paper=paper.TITLE,
        url=paper.URL,
        source="Section 4: adversarial examples are hard to find by sampling around an example",
        needs="photos, for a network that reads photos",
    )

    result: ClassVar[type] = RarityFigures
    version: ClassVar[int] = 2

    n: int = setting(80, "Pictures", "How many pictures per network.", low=10, high=10_000)
    draws: int = setting(
        1000, "Draws", "How many random changes of each kind per picture.", low=10, high=1_000_000
    )
    lines: int = setting(
        5, "Lines", "Along how many random lines each picture is followed.", low=1, high=1000
    )

    def stages(self) -> list[RarityStage]:
        """Return, for each network, the attack, then the draws and lines of ten pictures at a time."""
        stages: list[RarityStage] = []
        for name in self.named():
            stages.append(AttackStage(name))
            for start in range(0, self.n, CHUNK):
                stages += [DrawStage(name, start), LineStage(name, start)]
        return stages

    def carry_out(self, stage: RarityStage, store: Store) -> RarityAnswer:
        """Attack the pictures of a network, or draw around some of them, or follow lines from them."""
        model = shared(stage.network)
        if isinstance(stage, AttackStage):
            return self._attack(stage, model, store)
        lines = isinstance(stage, LineStage)
        rng = seeded(self.seed, stage.start, int(lines))
        attacked = _attacked(stage, store)
        if lines:
            return Followed([self._follow(model, *picture, rng) for picture in attacked])
        return Drawn([self._draw(model, *picture, rng) for picture in attacked])

    def _attack(self, stage: AttackStage, model: Classifier, store: Store) -> AttackAnswer:
        x, label = right(model, self.data, self.n)
        met, adv = fooled(LBFGS(), model, x, label, "take more of them")
        adv = adv[met]
        store.put_tensors(stage.name, {"x": x[met], "adv": adv, "label": label[met]})
        length = (adv - x[met]).flatten(1).norm(dim=1)
        return AttackAnswer(
            tried=len(x),
            length=length.tolist(),
            nearest=nearest_training(model.card, self.data, adv),
            d=x[0].numel(),
        )

    def _draw(
        self, model: Classifier, x: Tensor, adv: Tensor, label: Tensor, rng: torch.Generator
    ) -> DrawnPicture:
        """Return how many draws of each kind flip the answer, and how long the clipped ones are."""
        clipped_flips, full_flips = 0, 0
        length, clipped_length = float((adv - x).norm()), 0.0
        for size in chunks(self.draws, 500):
            many = x.expand(size, *x.shape)
            direction = sphere(size, x, rng)
            clipped, full = (many + length * direction).clamp(0, 1), reach(many, direction, length)
            clipped_length += float((clipped - many).flatten(1).norm(dim=1).sum())
            clipped_flips += int((answers(model, clipped).argmax(1) != label).sum())
            full_flips += int((answers(model, full).argmax(1) != label).sum())
        return DrawnPicture(clipped_flips, full_flips, clipped_length / self.draws / length)

    def _follow(
        self, model: Classifier, x: Tensor, adv: Tensor, label: Tensor, rng: torch.Generator
    ) -> FollowedPicture:
        """Return the probabilities along the adversarial and random lines, and how far the answer flips."""
        r = adv - x
        direction = sphere(self.lines, x, rng)
        steps = torch.tensor(CURVE)[:, None, None, None]
        adversarial = (x + steps * r).clamp(0, 1)
        random = (x + (steps * r.norm())[None] * direction[:, None]).clamp(0, 1).flatten(0, 1)
        p = torch.softmax(answers(model, torch.cat([adversarial, random])).double(), 1)[:, label]
        p = p.view(1 + self.lines, len(CURVE))
        return FollowedPicture(
            adversarial=[round(v, 5) for v in p[0].tolist()],
            random=[round(v, 5) for v in p[1:].mean(0).tolist()],
            open=farther(model, x, label, direction, float(r.norm()), boxed=False),
            boxed=farther(model, x, label, direction, float(r.norm()), boxed=True),
        )

    def summarise(self, answers: Sequence[RarityAnswer]) -> RarityFigures:
        """Return, for each network, flips among random changes, curves, and how much farther chance goes."""
        return RarityFigures(
            curve=CURVE,
            draws=self.draws,
            lines=self.lines,
            kinds=Kinds(),
            farthest=FARTHEST,
            networks={name: self._network(name, answers) for name in self.named()},
        )

    def _network(self, name: str, answers: Sequence[RarityAnswer]) -> NetworkRarity:
        pairs = zip(self.stages(), answers, strict=True)
        mine = [answer for stage, answer in pairs if stage.network == name]
        attack = next(answer for answer in mine if isinstance(answer, AttackAnswer))
        drawn = [picture for answer in mine if isinstance(answer, Drawn) for picture in answer.pictures]
        lines = [picture for answer in mine if isinstance(answer, Followed) for picture in answer.pictures]
        root = math.sqrt(attack.d)
        return NetworkRarity(
            origin=origin(models.card(name), self.data),
            success=intervals.share(len(attack.length), attack.tried),
            length=intervals.median(attack.length),
            rms=intervals.mean([length / root for length in attack.length]),
            d=attack.d,
            flips=_flips(drawn, self.draws),
            clipped_length=intervals.mean([picture.clipped_length for picture in drawn]),
            probability=Probability(
                adversarial=_curve([picture.adversarial for picture in lines]),
                random=_curve([picture.random for picture in lines]),
            ),
            farther=Farther(
                open=_distances([picture.open for picture in lines]),
                boxed=_distances([picture.boxed for picture in lines]),
            ),
            sqrt_d=root,
            flat=LINEAR * root,
            training=_training(attack),
        )

    def claims(self, figures: RarityFigures) -> dict[str, bool]:
        """Return what the paper says of pockets, and what Fawzi et al. say of random directions."""
        nets = list(figures.networks.values())
        at = figures.curve.index(1.0)
        shares = [flips.share.high for net in nets for flips in (net.flips.clipped, net.flips.full)]
        ratios = [net.farther.open.ratio for net in nets]
        square = [ratio.value / net.sqrt_d for net, ratio in zip(nets, ratios, strict=True)]
        claims = {
            "Optimisation finds an adversarial change for every picture.": (
                all(net.success.value == 1 for net in nets)
            ),
            "Fewer than one in a hundred random changes as large as the adversarial one fool the network.": (
                all(share is not None and share < 0.01 for share in shares)
            ),
            "As far along a random direction the true class keeps nine tenths of the probability or more.": (
                all(net.probability.random.median[at] >= 0.9 for net in nets)
            ),
            "A random direction must be followed more than twice as far before the answer changes.": (
                all((ratio.low or 0) > 2 for ratio in ratios)
            ),
            "How much farther is the square root of the number of pixels, to within a factor of three.": (
                all(1 / 3 <= value <= 3 for value in square)
            ),
        }
        training = [net.training for net in nets if net.training]
        if not training:
            return claims
        return claims | {
            "No training picture is nearer to an adversarial one than the picture it was made from.": all(
                distances.nearer == 0 for distances in training
            )
        }


def _attacked(stage: DrawStage | LineStage, store: Store) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield the pictures of a stage, each with its adversarial example and its class."""
    tensors = store.tensors(AttackStage(stage.network).name)
    columns = (tensors[key][stage.start : stage.start + CHUNK] for key in ("x", "adv", "label"))
    yield from zip(*columns, strict=True)


def right(model: Classifier, folder: str, n: int) -> tuple[Tensor, Tensor]:
    """Return the first ``n`` pictures (fewer where there are no more) that ``model`` gets right, and their
    classes; photos count as right, and their class is what the network says.

    Raises `errors.BadSetting` where there are none.
    """
    x, y, _ = pictures(model.card, folder, 0, 2 * n if model.card.channels == 1 else n)
    answer = answers(model, x).argmax(1)
    if model.card.channels == 1 and y is not None:
        x, answer = x[answer == y], answer[answer == y]
    if not len(answer):
        raise BadSetting(f"{model.card.title} gets none of the pictures right.")
    return x[:n], answer[:n]


def fooled(
    attack: Attack, model: Classifier, x: Tensor, label: Tensor, otherwise: str
) -> tuple[Tensor, Tensor]:
    """Return which rows of ``x`` ``(n, c, h, w)`` an untargeted attack takes from their classes ``label``
    ``(n,)``, and the adversarial pictures of all rows.

    Raises `errors.BadSetting` where there are none, which says to do ``otherwise``.
    """
    criterion = Criterion(label, targeted=False)
    *_, last = walk(attack.search(x, criterion, torch.Generator()), model, criterion)
    met = criterion.met(last.evaluation.logits)
    if not met.any():
        raise BadSetting(f"{attack.card.title} fooled {model.card.title} on no picture: {otherwise}.")
    return met, last.x


def nearest_training(card: Card, folder: str, adv: Tensor) -> list[float] | None:
    """Return how far each picture is from the nearest training digit; None for networks of photos."""
    if card.channels != 1:
        return None
    parts = digits(folder).train_x.flatten(1).split(5000)
    nearest = [torch.cdist(adv.flatten(1), part).amin(1) for part in parts]
    values: list[float] = torch.stack(nearest).amin(0).tolist()
    return values


def sphere(n: int, x: Tensor, rng: torch.Generator) -> Tensor:
    """Return ``n`` directions of length 1 and of the shape of the picture ``x``, drawn evenly from all."""
    drawn = torch.randn((n, *x.shape), generator=rng)
    unit: Tensor = drawn / drawn.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return unit


def chunks(total: int, most: int) -> list[int]:
    """Return numbers of at most ``most`` that add up to ``total``."""
    return [min(most, total - start) for start in range(0, total, most)]


def answers(model: Classifier, x: Tensor) -> Tensor:
    """Return the logits ``(n, classes)``, a few hundred pictures at a time."""
    rows = max(1, 500 * 784 // x[0].numel())
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(rows)])


def farther(
    model: Classifier, x: Tensor, label: Tensor, direction: Tensor, length: float, boxed: bool
) -> list[float | None]:
    """Return for each line ``direction`` ``(m, c, h, w)`` through ``x`` how far, in units of ``length``, the
    answer first changes, the nearer of both ends; None where it does not within `FARTHEST`.

    ``boxed``: pictures are clipped to [0, 1], and it is the change after that whose length counts. Flips
    are sought at lengths that grow by a quarter, then by bisection.
    """

    def place(times: Tensor, directions: Tensor) -> Tensor:
        there = x + (times * length).view(-1, 1, 1, 1) * directions
        return there.clamp(0, 1) if boxed else there

    grid = 1.25 ** torch.arange(-7, math.floor(math.log(FARTHEST, 1.25)) + 1)
    both = torch.cat([direction, -direction])
    times = grid.repeat(len(both))
    directions = both.repeat_interleave(len(grid), 0)
    flipped = (answers(model, place(times, directions)).argmax(1) != label).view(len(both), len(grid))
    first = flipped.float().argmax(1)
    high, low = grid[first], grid[first] / 1.25
    for _ in range(6):
        middle = (low * high).sqrt()
        there = answers(model, place(middle, both)).argmax(1) != label
        high, low = torch.where(there, middle, high), torch.where(there, low, middle)
    apart = (place(high, both) - x).flatten(1).norm(dim=1) / length
    apart = torch.where(flipped.any(1), apart, torch.inf).view(2, -1).amin(0)
    return [v if math.isfinite(v) else None for v in apart.tolist()]


def _flips(drawn: list[DrawnPicture], draws: int) -> Flips:
    return Flips(
        clipped=_flip_counts([picture.clipped for picture in drawn], draws),
        full=_flip_counts([picture.full for picture in drawn], draws),
    )


def _flip_counts(counts: list[int], draws: int) -> FlipCounts:
    return FlipCounts(
        share=intervals.share(sum(counts), len(counts) * draws),
        pictures=intervals.share(sum(count > 0 for count in counts), len(counts)),
        count=sum(counts),
        counts=sorted(counts, reverse=True),
    )


def _curve(rows: list[list[float]]) -> Curve:
    low, middle, high = np.quantile(np.array(rows), [0.25, 0.5, 0.75], axis=0)
    return Curve(
        low=np.round(low, 5).tolist(),
        median=np.round(middle, 5).tolist(),
        high=np.round(high, 5).tolist(),
        n=len(rows),
    )


def _distances(rows: list[list[float | None]]) -> LineDistances:
    """Return the distances along lines; `FARTHEST` stands for "never"."""
    values = [[FARTHEST if v is None else v for v in row] for row in rows]
    ratio = intervals.median([float(np.quantile(row, 0.5, method="lower")) for row in values])
    return LineDistances(ratio, never=sum(v is None for row in rows for v in row), lines=sum(map(len, rows)))


def _training(attack: AttackAnswer) -> NearestTraining | None:
    if attack.nearest is None:
        return None
    pairs = list(zip(attack.nearest, attack.length, strict=True))
    nearer = sum(distance <= length for distance, length in pairs)
    return NearestTraining(intervals.median(attack.nearest), nearer, len(pairs))
