"""The whole contract between an attack and the world.

An attack is a coroutine: it yields a `Query` (pictures in [0, 1] and what to
differentiate) and receives an `Evaluation` (logits, loss, gradient). It holds no
model, device, thread or widget, so the same file serves a page, a script and a
batch of a thousand pictures.

Shapes: a batch of pictures is ``(n, channels, height, width)``; one objective value
and one criterion label per row.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from attacks.settings import NO_SETTING, Setting
from errors import BadSetting

Objective = Callable[[Tensor], Tensor]
Access = Literal["white-box", "score-based", "decision-based", "control"]
Kind = Literal["budget", "minimal", "free"]


class Query(NamedTuple):
    """A question to the network.

    ``x``: pictures ``(n, c, h, w)`` in [0, 1]. ``objective`` maps logits ``(n, classes)``
    to one value per row ``(n,)``, whose gradient in ``x`` is wanted; None asks for the
    logits alone (no backward pass).

    A search over a batch of ``n`` may ask about ``k * n`` rows at once: the first ``n`` are the
    step's pictures, the others are probes, answered and counted but not shown. Row ``i + j * n``
    belongs to picture ``i`` (so `Criterion.repeat` fits).

    ``memory``: what a search that `Attack.resumes` would need beside the step's pictures to go on from here;
    never changed afterwards.
    """

    x: Tensor
    objective: Objective | None
    memory: tuple[Tensor, ...] = ()


class Evaluation(NamedTuple):
    """The network's answer: logits ``(n, classes)``, and, when an objective was given,
    its values ``(n,)`` and its gradient, of the shape of ``x``.
    """

    logits: Tensor
    loss: Tensor | None
    grad: Tensor | None

    def head(self, n: int) -> Evaluation:
        """Return the answers to the first ``n`` rows."""
        return Evaluation(*(None if part is None else part[:n] for part in self))  # type: ignore[arg-type]

    @property
    def gradient(self) -> Tensor:
        """The gradient, which was asked for; raises RuntimeError when the query had no objective."""
        if self.grad is None:
            raise RuntimeError("Expected a gradient, got an answer to a query without an objective.")
        return self.grad


class Step(NamedTuple):
    """One point of a trajectory: step 0 is the untouched picture. Never changed or reused."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants of a step
    x: Tensor
    evaluation: Evaluation


Search = Generator[Query, Evaluation, None]
ReasonedSearch = Generator[Query, Evaluation, str | None]
"""A search that may return why nothing could change any more, a key of the attack's `Attack.dead_ends`."""


@dataclass(frozen=True)
class Criterion:
    """What counts as success, kept apart from the loss that leads there.

    ``label``: int64 ``(n,)``. Targeted: the class to reach. Untargeted: the class to leave.
    """

    label: Tensor
    targeted: bool

    def repeat(self, times: int) -> Criterion:
        """Return the criterion of a query that asks about each picture ``times`` times."""
        return Criterion(self.label.repeat(times), self.targeted)

    def loss(self, logits: Tensor) -> Tensor:
        """Return ``(n,)`` values that the attack *minimises*: cross-entropy towards the
        target, or the log-probability of the class to leave (Goodfellow et al. 2014).
        """
        log_p = self._own(torch.log_softmax(logits, 1))
        return -log_p if self.targeted else log_p

    def margin(self, logits: Tensor) -> Tensor:
        """Return ``(n,)`` logit margins, positive once the criterion is met."""
        own = self._own(logits)
        others = logits.scatter(1, self.label[:, None].to(logits.device), -math.inf).amax(1)
        return own - others if self.targeted else others - own

    def met(self, logits: Tensor) -> Tensor:
        """Return ``(n,)`` booleans: fooled as asked."""
        return self.margin(logits) > 0

    def success_probability(self, logits: Tensor) -> Tensor:
        """Return ``(n,)``: the target's probability, or that of any class but the one to leave."""
        own = self._own(torch.softmax(logits, 1))
        return own if self.targeted else 1 - own

    def _own(self, values: Tensor) -> Tensor:
        return values.gather(1, self.label[:, None].to(values.device))[:, 0]


@dataclass(frozen=True)
class Stop:
    """When to stop before the attack's own end.

    ``rule``: "steps" (never early), "success" (the criterion is met), "probability"
    (`Criterion.success_probability` at or above ``at``, in (0, 1)), "row" (the criterion is met ``times``
    steps in a row). Raises `errors.BadSetting` for anything else.
    """

    rule: str = "steps"
    at: float = 0.95
    times: int = 5

    def __post_init__(self) -> None:
        if self.rule not in ("steps", "success", "probability", "row"):
            raise BadSetting(
                f"Expected a stop rule of steps, success, probability or row, got “{self.rule}”."
            )
        if not 0 < self.at < 1:
            raise BadSetting("Expected a stopping probability between 0 and 1, got {got}.", got=self.at)
        if not isinstance(self.times, int) or not 1 <= self.times <= 10_000:
            raise BadSetting("Expected 1 to 10,000 successes in a row, got {got}.", got=self.times)

    def watch(self, criterion: Criterion) -> Callable[[Tensor], bool]:
        """Return what is to be told the logits of each step after the untouched picture, in order;
        it says whether the rule is satisfied for every row.
        """
        streak = 0

        def reached(logits: Tensor) -> bool:
            nonlocal streak
            if self.rule == "steps":
                return False
            if self.rule == "probability":
                return bool((criterion.success_probability(logits) >= self.at).all())
            streak = streak + 1 if bool(criterion.met(logits).all()) else 0
            return streak >= (self.times if self.rule == "row" else 1)

        return reached


@dataclass(frozen=True)
class AttackCard:
    """Facts of a published attack, shown on its card and in the README's table.

    ``rule``: the update in LaTeX. ``use``: what it is good for, in a sentence.
    """

    name: str
    title: str
    summary: str
    paper: str
    url: str
    year: int
    access: Access
    kind: Kind
    rule: str = ""
    use: str = ""


@dataclass(frozen=True)
class Attack(ABC):
    """A published attack; its dataclass fields are its settings.

    Raises `errors.BadSetting` when built with a value outside a field's range.
    """

    card: ClassVar[AttackCard]
    ends: ClassVar[str] = ""
    """When the attack may end of itself before its last update ("every picture is fooled"); "" for never."""
    dead_ends: ClassVar[Mapping[str, str]] = {}
    """Why nothing can change any more, in the words that `search` returns, and what would help then."""
    joint: ClassVar[bool] = False
    """Whether the rows of a batch are one problem (they share one perturbation) instead of one each."""

    def __post_init__(self) -> None:
        for item in self.settings(getattr(self, "norm", None)):
            value = getattr(self, item.name)
            value = item.default if value is None and item.by else value
            object.__setattr__(self, item.name, item.check(value))

    @classmethod
    def settings(cls, norm: str | None = None) -> list[Setting]:
        """Return the fields in the order in which they were declared, with the ranges and defaults
        that hold under ``norm`` (None, or no norm of this attack: under its default norm).
        """
        every = [
            Setting(name=f.name, type=str(f.type), default=f.default, **f.metadata)
            for f in dataclasses.fields(cls)
        ]
        for item in every:
            if item.name == "norm":
                norm = norm if norm in item.choices else item.default
        return [item.under(norm or "") for item in every]

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return the values that ``texts`` (from a URL or a command line) write, by field.

        Raises `errors.BadSetting` for a text out of range or a field that is not there.
        """
        known = {item.name: item for item in cls.settings(texts.get("norm", "").strip())}
        for name in texts:
            if name not in known:
                raise BadSetting(NO_SETTING, attack=cls.card.title, name=name[:40], known=", ".join(known))
        return {name: known[name].parse(text) for name, text in texts.items()}

    @abstractmethod
    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> ReasonedSearch:
        """Look for an adversarial picture near ``x`` ``(n, c, h, w)`` in [0, 1].

        The first query is ``x`` itself, the last one is the picture found, and each is
        evaluated. ``rng`` (a CPU generator) is the only source of chance. Rows never influence
        each other, except through how much chance is used up. It may return why it came to a dead end
        (`dead_ends`), when that holds for every row.
        """

    def resumes(self) -> bool:
        """Say whether all that follows depends on the newest query alone, so that `resume` can go on."""
        return False

    def resume(self, x: Tensor, newest: Query, criterion: Criterion, taken: int) -> ReasonedSearch:
        """Go on with a search whose query number ``taken`` (the first is 0) was ``newest``, of which the
        step's pictures ``(n, c, h, w)`` and the memory suffice; the pictures are asked about again. Where it
        `resumes` and neither that query is the first nor the last. See `search`."""
        raise NotImplementedError

    @abstractmethod
    def updates(self) -> int:
        """Return how many queries follow the first one when nothing stops the search early (at most
        so many where the attack `ends` of itself)."""

    def images(self) -> int:
        """Return how many images all queries together ask about for each picture, at most."""
        return self.updates() + 1

    def images_towards(self, targeted: bool) -> int:
        """Return how many of `images` that is where a target is named, or none is."""
        return self.images()

    def looks(self) -> int:
        """Return how many queries of an attack that uses gradients ask for none, about one image each; those
        of an attack that could stop earlier in one step than in another need not count."""
        return 0

    def bound(self) -> tuple[str, float] | None:
        """Return (norm, epsilon) when the attack promises to stay within a budget, else None."""
        return None

    def stochastic(self) -> bool:
        """Say whether the seed makes a difference."""
        return bool(getattr(self, "random_start", False))

    def boxed(self) -> bool:
        """Say whether every picture asked about is promised to stay in [0, 1]."""
        return True


def answer(model: Callable[[Tensor], Tensor], query: Query) -> Evaluation:
    """Evaluate one query on one model, alone: the definition that the engine batches."""
    if query.objective is None:
        with torch.no_grad():
            return Evaluation(model(query.x), None, None)
    x = query.x.detach().requires_grad_()
    logits = model(x)
    loss = query.objective(logits)
    (grad,) = torch.autograd.grad(loss.sum(), x)
    return Evaluation(logits.detach(), loss.detach(), grad)


def walk(
    search: ReasonedSearch,
    model: Callable[[Tensor], Tensor],
    criterion: Criterion,
    stop: Stop | None = None,
) -> Generator[Step]:
    """Drive ``search`` on ``model`` and yield its steps: an attack in a script, with no engine."""
    reached, index = (stop or Stop()).watch(criterion), 0
    try:
        query = next(search)
        n = len(criterion.label)
        while True:
            evaluation = answer(model, query)
            yield Step(index, query.x[:n], evaluation.head(n))
            if index and reached(evaluation.logits[:n]):
                return
            query, index = search.send(evaluation), index + 1
    except StopIteration:
        return
    finally:
        search.close()
