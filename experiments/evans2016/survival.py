"""Is it just noise? An attack beside chance of the same size, after rough handling, before other networks.

Evans, *How to trick a neural network into thinking a panda is a vulture*, has a change that looks like noise;
what a picture survives is the question of Kurakin et al. (https://arxiv.org/abs/1607.02533), and to which
networks it transfers that of Szegedy et al. (https://arxiv.org/abs/1312.6199).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

import models
from attacks.contract import Criterion, walk
from attacks.pgd import PGD
from attacks.random_noise import reach
from attacks.settings import setting
from engine.networks import shared
from errors import BadSetting
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Stage, stored
from experiments.datasets.photos import Open, open_named
from experiments.evans2016 import article
from experiments.methods.corruptions import CORRUPTIONS, corrupted, picture
from experiments.toolkit.codec import key
from models import weights
from models.core import Card, Classifier, fitted

CHANCES = ("noise", "coin")
"""Noise drawn evenly, as long as the attack's change; and that change with its signs thrown by a coin."""
ROWS = 10


class Pair(NamedTuple):
    """A picture ``x`` and its adversarial twin ``adv`` ``(c, h, w)``, and the first one's class ``label``."""

    x: Tensor
    adv: Tensor
    label: int


@dataclass(frozen=True)
class Answer:
    """What a network says of a picture: the ``label`` put first with its ``probability``, that of the
    ``original`` label (both from 0 to 1), and whether the first is another than the original."""

    label: str
    probability: float
    original: float
    fooled: bool


@dataclass(frozen=True)
class Size:
    """How large a change is: its largest value and its length, for pixels in [0, 1]."""

    linf: float
    l2: float


@dataclass(frozen=True)
class Both:
    """What a network says of the picture, ``clean`` and after the ``attack``."""

    clean: Answer
    attack: Answer


@dataclass(frozen=True)
class Attacked:
    """The attack: the picture's class ``label`` by index, the answers, and the ``size`` of the change.

    As JPEG in base64: ``picture`` and, attacked, ``adversarial``, and the ``change``, enlarged ``gain``
    times, on grey.
    """

    label: int
    answers: Both
    size: Size
    gain: int
    picture: str
    adversarial: str
    change: str


@dataclass(frozen=True)
class Drawn:
    """The answers to some random changes; the ``size`` of the first one, and as JPEG in base64 the
    ``picture`` with it and the ``change`` itself, enlarged, on grey."""

    answers: list[Answer]
    size: Size
    picture: str
    change: str


@dataclass(frozen=True)
class Corrupted:
    """The answers after each of `CORRUPTIONS`, by its name."""

    answers: dict[str, Both]


@dataclass(frozen=True)
class Transfer:
    """What another network says of both; how many of ``drawn`` random changes move it to another answer
    (``noise``), and whether it has the ``same`` weights, fed in another way."""

    clean: Answer
    attack: Answer
    noise: int
    drawn: int
    same: bool


@dataclass(frozen=True)
class Chance:
    """``n`` random changes of one kind: the ``first`` one's answer, how many ``fooled`` the network, and the
    mean probability, from 0 to 1, of the ``original`` label."""

    first: Answer
    fooled: int
    n: int
    original: float


@dataclass(frozen=True)
class SurvivalFigures:
    """What each picture was called, by which change, after which corruption, by which network.

    By kind of picture ("clean", "attack" and `CHANCES`): ``sizes`` of the changes, ``pictures`` and
    ``changes``, enlarged ``gain`` times, as JPEG in base64. ``corruptions``: by name of `CORRUPTIONS`;
    ``transfer``: by name of the network.
    """

    clean: Answer
    attack: Answer
    gain: int
    sizes: dict[str, Size]
    pictures: dict[str, str]
    changes: dict[str, str]
    noise: Chance
    coin: Chance
    corruptions: dict[str, Both] = field(metadata=key("handling"))
    transfer: dict[str, Transfer]


@dataclass(frozen=True)
class Attack(Stage):
    """The attack, whose pictures all others take."""

    answer: ClassVar[type] = Attacked

    @property
    def name(self) -> str:
        """Return "attack"."""
        return "attack"


@dataclass(frozen=True)
class Draw(Stage):
    """At most `ROWS` random changes of a ``kind`` (`CHANCES`), from number ``first`` on."""

    answer: ClassVar[type] = Drawn

    kind: str
    first: int

    @property
    def name(self) -> str:
        """Return the kind and the first number."""
        return f"{self.kind} {self.first}"


@dataclass(frozen=True)
class Corrupt(Stage):
    """All corruptions, of both pictures."""

    answer: ClassVar[type] = Corrupted

    @property
    def name(self) -> str:
        """Return "handling"."""
        return "handling"


@dataclass(frozen=True)
class Ask(Stage):
    """Another ``network`` is shown the pictures."""

    answer: ClassVar[type] = Transfer

    network: str

    @property
    def name(self) -> str:
        """Return the network's name after a word."""
        return f"transfer {self.network}"


SurvivalStage = Attack | Draw | Corrupt | Ask
SurvivalAnswer = Attacked | Drawn | Corrupted | Transfer


@dataclass(frozen=True)
class Survival(Experiment[SurvivalAnswer, SurvivalFigures]):
    """One picture, one network: attack, chance of the same size, rough handling, other networks.

    The attack is PGD under linf with steps of an eighth of the budget. ``open`` returns the picture of a
    name. Raises `errors.UnknownName` for a network, picture or class that is not there.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="survival",
        title="Is it just noise?",
        question="Is an adversarial change noise, does it survive handling, and whom else does it fool?",
        paper=article.TITLE,
        url=article.URL,
        source="The perturbation that looks like noise; Kurakin et al. 2016 on what survives",
        digits=False,
    )
    result: ClassVar[type] = SurvivalFigures
    version: ClassVar[int] = 2

    n: int = setting(20, "Draws", "How many random changes of each kind.", low=10, high=10_000)
    network: str = setting(models.FIRST, "Network", "The network that is attacked.")
    picture: str = setting("panda", "Picture", "The picture: a sample, or photo:FILE of the data folder.")
    target: str = setting("", "Target", "The class to reach; empty: any other than the picture's.")
    epsilon: float = setting(
        4 / 255, "Largest change", "How far any value may move.", low=0, high=1, unit="level"
    )
    steps: int = setting(20, "Steps", "How often the gradient is followed.", low=1, high=1000)
    open: Open = field(default=open_named, compare=False, repr=False)

    def depends(self) -> object:
        """Return the digests of the network and of those that are asked too."""
        names = [self.network, *others(models.card(self.network))]
        return {name: models.card(name).weights.sha256 for name in names}

    def stages(self) -> list[SurvivalStage]:
        """Return the attack, draws of chance, the corruptions, and one stage for each other network."""
        draws = [Draw(kind, first) for first in range(0, self.n, ROWS) for kind in CHANCES]
        asked = [Ask(name) for name in others(models.card(self.network))]
        return [Attack(), *draws, Corrupt(), *asked]

    def carry_out(self, stage: SurvivalStage, store: Store) -> SurvivalAnswer:
        """Carry out one stage; all after the attack take its pictures from ``store``."""
        if isinstance(stage, Attack):
            return self._attack(store)
        tensors, attacked = store.tensors(Attack().name), stored(store, Attack())
        pair = Pair(tensors["x"], tensors["adv"], attacked.label)
        if isinstance(stage, Ask):
            return self._asked(shared(stage.network), pair)
        model = shared(self.network)
        if isinstance(stage, Corrupt):
            return Corrupted({name: _corrupted(model, pair, name) for name in CORRUPTIONS})
        drawn = self._drawn(pair, stage.kind, stage.first, min(ROWS, self.n - stage.first))
        return self._answers(model, pair, drawn)

    @property
    def _gain(self) -> int:
        return round(0.4 / self.epsilon) if self.epsilon else 1

    def _attack(self, store: Store) -> Attacked:
        model = shared(self.network)
        x = model.card.preprocess(self.open(self.picture))[None]
        with torch.no_grad():
            clean = model(x)[0].softmax(0)
        label = int(clean.argmax())
        goal = model.card.label_index(self.target) if self.target else None
        if goal == label:
            raise BadSetting(f"The network already says {self.target}; expected another target.")
        criterion = Criterion(torch.tensor([label if goal is None else goal]), goal is not None)
        attack = PGD(epsilon=self.epsilon, step_size=self.epsilon / 8, steps=self.steps)
        *_, last = walk(attack.search(x, criterion, torch.Generator()), model, criterion)
        store.put_tensors(Attack().name, {"x": x[0], "adv": last.x[0]})
        p, change = last.evaluation.logits[0].softmax(0), last.x[0] - x[0]
        return Attacked(
            label=label,
            answers=Both(answer(model.card, clean, label), answer(model.card, p, label)),
            size=size(change),
            gain=self._gain,
            picture=jpeg(x[0]),
            adversarial=jpeg(last.x[0]),
            change=jpeg(0.5 + self._gain * change),
        )

    def _drawn(self, pair: Pair, kind: str, start: int, count: int) -> Tensor:
        """Return ``count`` pictures changed by chance, by as much as ``pair``."""
        rng = torch.Generator().manual_seed(self.seed * 1_000_003 + 2 * start + CHANCES.index(kind))
        many, change = pair.x.expand(count, *pair.x.shape), pair.adv - pair.x
        drawn = torch.rand(many.shape, generator=rng) * 2 - 1
        if kind == "coin":
            return (many + change.abs() * drawn.sign()).clamp(0, 1)
        return reach(many, drawn, float(change.norm()))

    def _answers(self, model: Classifier, pair: Pair, drawn: Tensor) -> Drawn:
        with torch.no_grad():
            p = model(drawn).softmax(1)
        change = drawn[0] - pair.x
        return Drawn(
            answers=[answer(model.card, row, pair.label) for row in p],
            size=size(change),
            picture=jpeg(drawn[0]),
            change=jpeg(0.5 + self._gain * change),
        )

    def _asked(self, model: Classifier, pair: Pair) -> Transfer:
        """Return what another network says of both, and how often chance changes its mind."""
        drawn = self._drawn(pair, "noise", 0, min(ROWS, self.n))
        with torch.no_grad():
            p = model(fitted(torch.cat([pair.x[None], pair.adv[None], drawn]), model.card.size)).softmax(1)
        label = int(p[0].argmax())
        return Transfer(
            clean=answer(model.card, p[0], label),
            attack=answer(model.card, p[1], label),
            noise=int((p[2:].argmax(1) != label).sum()),
            drawn=len(drawn),
            same=model.card.weights.sha256 == models.card(self.network).weights.sha256,
        )

    def summarise(self, answers: Sequence[SurvivalAnswer]) -> SurvivalFigures:
        """Return what each picture was called, by which change, after which corruption, by which network."""
        pairs = list(zip(self.stages(), answers, strict=True))
        (attacked,) = [part for part in answers if isinstance(part, Attacked)]
        (after,) = [part for part in answers if isinstance(part, Corrupted)]
        draws: dict[str, list[Drawn]] = {kind: [] for kind in CHANCES}
        for stage, part in pairs:
            if isinstance(stage, Draw) and isinstance(part, Drawn):
                draws[stage.kind].append(part)
        firsts = {kind: parts[0] for kind, parts in draws.items()}
        return SurvivalFigures(
            clean=attacked.answers.clean,
            attack=attacked.answers.attack,
            gain=attacked.gain,
            sizes={"attack": attacked.size} | {kind: first.size for kind, first in firsts.items()},
            pictures={"clean": attacked.picture, "attack": attacked.adversarial}
            | {kind: first.picture for kind, first in firsts.items()},
            changes={"attack": attacked.change} | {kind: first.change for kind, first in firsts.items()},
            noise=_chance(draws["noise"]),
            coin=_chance(draws["coin"]),
            corruptions=after.answers,
            transfer={
                stage.network: part
                for stage, part in pairs
                if isinstance(stage, Ask) and isinstance(part, Transfer)
            },
        )

    def claims(self, figures: SurvivalFigures) -> dict[str, bool]:
        """Return what people ask of an adversarial picture."""
        after = figures.corruptions
        claims = {
            "The attack fools the network.": figures.attack.fooled,
            "No random change of the same size does.": not (figures.noise.fooled or figures.coin.fooled),
            "It still fools as an 8-bit PNG file.": after["PNG, 8 bits"].attack.fooled,
            "It still fools as a JPEG file of quality 75.": after["JPEG 75"].attack.fooled,
            "It still fools from a screenshot.": after["screenshot"].attack.fooled,
        }
        foreign = [transfer for transfer in figures.transfer.values() if not transfer.same]
        if foreign:
            claims["It fools a network with other weights that noise does not."] = any(
                transfer.attack.fooled and 2 * transfer.noise < transfer.drawn for transfer in foreign
            )
        return claims


def _corrupted(model: Classifier, pair: Pair, name: str) -> Both:
    both = torch.stack([corrupted(pair.x, name), corrupted(pair.adv, name)])
    with torch.no_grad():
        clean, attack = model(both).softmax(1)
    return Both(answer(model.card, clean, pair.label), answer(model.card, attack, pair.label))


def _chance(draws: Sequence[Drawn]) -> Chance:
    answers = [answer for drawn in draws for answer in drawn.answers]
    return Chance(
        first=answers[0],
        fooled=sum(answer.fooled for answer in answers),
        n=len(answers),
        original=sum(answer.original for answer in answers) / len(answers),
    )


def others(card: Card) -> list[str]:
    """Return the networks whose weights are here that take the same kind of picture as ``card``'s."""
    near = [c for c in models.cards() if c.channels == card.channels and not c.lab and c.name != card.name]
    return [c.name for c in near if weights.locate(c)]


def answer(card: Card, p: Tensor, label: int) -> Answer:
    """Return the answer in probabilities ``p`` ``(classes,)``, where ``label`` is the original class."""
    top = int(p.argmax())
    return Answer(card.labels[top], round(float(p[top]), 6), round(float(p[label]), 6), top != label)


def size(change: Tensor) -> Size:
    """Return how large a change is."""
    return Size(linf=round(float(change.abs().max()), 6), l2=round(float(change.norm()), 5))


def jpeg(x: Tensor) -> str:
    """Return a picture ``(c, h, w)`` in [0, 1] for the page: JPEG in base64. Nothing is computed from it."""
    out = io.BytesIO()
    picture(x).save(out, "JPEG", quality=85)
    return base64.b64encode(out.getvalue()).decode()
