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
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from torch import Tensor

from errors import BadSetting

Objective = Callable[[Tensor], Tensor]
Access = Literal["white-box", "score-based", "decision-based", "control"]
Kind = Literal["budget", "minimal", "free"]


class Query(NamedTuple):
    """A question to the network.

    ``x``: pictures ``(n, c, h, w)`` in [0, 1]. ``objective`` maps logits ``(n, classes)``
    to one value per row ``(n,)``, whose gradient in ``x`` is wanted; None asks for the
    logits alone (no backward pass).
    """

    x: Tensor
    objective: Objective | None


class Evaluation(NamedTuple):
    """The network's answer: logits ``(n, classes)``, and, when an objective was given,
    its values ``(n,)`` and its gradient, of the shape of ``x``."""

    logits: Tensor
    loss: Tensor | None
    grad: Tensor | None


class Step(NamedTuple):
    """One point of a trajectory: step 0 is the untouched picture. Never changed or reused."""

    index: int
    x: Tensor
    evaluation: Evaluation


Search = Generator[Query, Evaluation, None]


@dataclass(frozen=True)
class Criterion:
    """What counts as success, kept apart from the loss that leads there.

    ``label``: int64 ``(n,)``. Targeted: the class to reach. Untargeted: the class to leave.
    """

    label: Tensor
    targeted: bool

    def loss(self, logits: Tensor) -> Tensor:
        """Return ``(n,)`` values that the attack *minimises*: cross-entropy towards the
        target, or the log-probability of the class to leave (Goodfellow et al. 2014)."""
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

    def confidence(self, logits: Tensor) -> Tensor:
        """Return ``(n,)``: the target's probability, or that of any class but the one to leave."""
        own = self._own(torch.softmax(logits, 1))
        return own if self.targeted else 1 - own

    def _own(self, values: Tensor) -> Tensor:
        return values.gather(1, self.label[:, None].to(values.device))[:, 0]


@dataclass(frozen=True)
class Stop:
    """When to stop before the attack's own end.

    ``rule``: "steps" (never early), "success" (the criterion is met), "probability"
    (`Criterion.confidence` at or above ``at``, in (0, 1)).
    Raises `errors.BadSetting` for anything else.
    """

    rule: str = "steps"
    at: float = 0.95

    def __post_init__(self) -> None:
        if self.rule not in ("steps", "success", "probability"):
            raise BadSetting(f"Expected a stop rule of steps, success or probability, got “{self.rule}”.")
        if not 0 < self.at < 1:
            raise BadSetting(f"Expected a stopping probability between 0 and 1, got {self.at}.")

    def reached(self, criterion: Criterion, logits: Tensor) -> bool:
        """Say whether every row of ``logits`` satisfies the rule."""
        if self.rule == "success":
            return bool(criterion.met(logits).all())
        if self.rule == "probability":
            return bool((criterion.confidence(logits) >= self.at).all())
        return False


@dataclass(frozen=True)
class Setting:
    """One field of an attack: what a slider, a URL, a table and a test need to know.

    ``unit`` "level": a distance on the [0, 1] pixel scale, shown as k/255 and %.
    ``label`` is a person's word, ``name`` the field's term. ``main``: shown at first sight.
    """

    name: str
    type: str
    default: Any
    label: str
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    main: bool = False

    def check(self, value: Any) -> Any:
        """Return ``value`` as this field's type, or raise `errors.BadSetting`."""
        if self.choices:
            if value not in self.choices:
                raise BadSetting(f"Expected {self.name} to be one of {', '.join(self.choices)}, got “{value}”.")
            return value
        if self.type == "bool":
            if not isinstance(value, bool):
                raise BadSetting(f"Expected {self.name} to be true or false, got “{value}”.")
            return value
        return self._number(value)

    def _number(self, value: Any) -> int | float:
        whole = self.type == "int"
        right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        low, high = cast(float, self.low), cast(float, self.high)
        if not right or not low <= value <= high or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            raise BadSetting(f"Expected {self.name} to be {kind} from {low:,g} to {high:,g}, got {value}.")
        return int(value) if whole else float(value)


def setting(default: Any, label: str, help: str, **facts: Any) -> Any:
    """Declare a field of an attack; ``facts`` are those of `Setting` (low, high, choices, unit, main)."""
    return dataclasses.field(default=default, metadata={"label": label, "help": help, **facts})


@dataclass(frozen=True)
class AttackCard:
    """Facts of a published attack, shown on its page and in the README's table."""

    name: str
    title: str
    summary: str
    paper: str
    url: str
    year: int
    access: Access
    kind: Kind


@dataclass(frozen=True)
class Attack(ABC):
    """A published attack; its dataclass fields are its settings.

    Raises `errors.BadSetting` when built with a value outside a field's range.
    """

    card: ClassVar[AttackCard]

    def __post_init__(self) -> None:
        for each in self.settings():
            object.__setattr__(self, each.name, each.check(getattr(self, each.name)))

    @classmethod
    def settings(cls) -> list[Setting]:
        """Return the fields in the order in which they were declared."""
        return [
            Setting(name=f.name, type=str(f.type), default=f.default, **f.metadata)
            for f in dataclasses.fields(cls)
        ]

    @abstractmethod
    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Look for an adversarial picture near ``x`` ``(n, c, h, w)`` in [0, 1].

        The first query is ``x`` itself, the last one is the picture found, and each is
        evaluated. ``rng`` (a CPU generator) is the only source of chance.
        """

    @abstractmethod
    def updates(self) -> int:
        """Return how many queries follow the first one when nothing stops the search early."""

    def bound(self) -> tuple[str, float] | None:
        """Return (norm, epsilon) when the attack promises to stay within a budget, else None."""
        return None


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
    search: Search, model: Callable[[Tensor], Tensor], criterion: Criterion, stop: Stop | None = None
) -> Iterator[Step]:
    """Drive ``search`` on ``model`` and yield its steps: an attack in a script, with no engine."""
    rule, index = stop or Stop(), 0
    try:
        query = next(search)
        while True:
            step = Step(index, query.x, answer(model, query))
            yield step
            if index and rule.reached(criterion, step.evaluation.logits):
                return
            query, index = search.send(step.evaluation), index + 1
    except StopIteration:
        return
    finally:
        search.close()
