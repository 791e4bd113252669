"""Every attack in the folder keeps the contract, and the contract catches those that do not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

import attacks
from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.fgsm import FGSM
from attacks.pgd import PGD
from attacks.settings import setting
from errors import UnknownName
from tests.support import attack_contract as contract

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", attacks.registry())
def test_keeps_the_contract(name: str, check: contract.Check) -> None:
    check(attacks.get(name))


@dataclass(frozen=True)
class _Counted(Attack):
    """What the broken attacks share: settings, a count and a promise."""

    card: ClassVar[AttackCard] = replace(FGSM.card, name="broken")
    epsilon: float = setting(8 / 255, "Largest change", "How far.", low=0, high=1, unit="level")
    steps: int = setting(3, "Steps", "How often.", low=0, high=100)

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        adv = x
        reply = yield Query(adv, criterion.loss if self.steps else None)
        for left in reversed(range(self.steps)):
            adv = self.move(x, adv, reply.gradient)
            reply = yield Query(adv, criterion.loss if left else None)

    def move(self, x: Tensor, adv: Tensor, grad: Tensor) -> Tensor:
        return (x - self.epsilon * grad.sign()).clamp(0, 1)

    def updates(self) -> int:
        return self.steps

    def bound(self) -> tuple[str, float]:
        return "linf", self.epsilon


class Sound(_Counted):
    """Keeps every promise: what fails below fails for the broken part alone."""


class DoesNothing(_Counted):
    def move(self, x: Tensor, adv: Tensor, grad: Tensor) -> Tensor:
        return adv.clone()


class GoesUphill(_Counted):
    def move(self, x: Tensor, adv: Tensor, grad: Tensor) -> Tensor:
        return (x + self.epsilon * grad.sign()).clamp(0, 1)


class AimsLikeUntargeted(_Counted):
    """Ignores what was asked: the pitfall of giving the true label as the target."""

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        return super().search(x, Criterion(criterion.label, False), rng)


class BreaksTheBudget(_Counted):
    def move(self, x: Tensor, adv: Tensor, grad: Tensor) -> Tensor:
        return (adv - 1.001 * self.epsilon * grad.sign()).clamp(0, 1)


class LeavesTheBox(_Counted):
    def move(self, x: Tensor, adv: Tensor, grad: Tensor) -> Tensor:
        return x - self.epsilon * grad.sign()


class WritesIntoTheInput(_Counted):
    def move(self, x: Tensor, adv: Tensor, grad: Tensor) -> Tensor:
        return x.sub_(self.epsilon * grad.sign()).clamp_(0, 1)


class ReusesAStep(_Counted):
    def move(self, x: Tensor, adv: Tensor, grad: Tensor) -> Tensor:
        fresh = adv.clone() if adv is x else adv
        return fresh.sub_(self.epsilon / self.steps * grad.sign()).clamp_(0, 1)


class RollsGlobalDice(_Counted):
    def move(self, x: Tensor, adv: Tensor, grad: Tensor) -> Tensor:
        return (x - self.epsilon * torch.rand_like(x) * grad.sign()).clamp(0, 1)


class MixesRows(_Counted):
    def move(self, x: Tensor, adv: Tensor, grad: Tensor) -> Tensor:
        return (x - self.epsilon * grad / grad.abs().max().clamp(min=1e-9)).clamp(0, 1)


class SaysThatItsRowsShare(_Counted):
    joint = True


class DividesByZero(_Counted):
    def move(self, x: Tensor, adv: Tensor, grad: Tensor) -> Tensor:
        return (x - self.epsilon * grad / grad.abs().amax((1, 2, 3), keepdim=True)).clamp(0, 1)


class Miscounts(_Counted):
    def updates(self) -> int:
        return self.steps + 1


class SkipsTheOriginal(_Counted):
    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        return super().search((x - 0.01).clamp(0, 1), criterion, rng)


class WillNotClose(_Counted):
    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        try:
            yield from super().search(x, criterion, rng)
        except GeneratorExit:
            yield Query(x, None)


def test_a_sound_attack_keeps_the_contract() -> None:
    for check in contract.CHECKS:
        check(Sound)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (DoesNothing, contract.raises_margin),
        (DoesNothing, contract.last_is_evaluated),
        (GoesUphill, contract.raises_margin),
        (AimsLikeUntargeted, contract.raises_margin),
        (BreaksTheBudget, contract.budget),
        (LeavesTheBox, contract.box),
        (WritesIntoTheInput, contract.leaves_input_alone),
        (ReusesAStep, contract.first_and_last),
        (RollsGlobalDice, contract.leaves_input_alone),
        (RollsGlobalDice, contract.seeds),
        (MixesRows, contract.rows_are_independent),
        (SaysThatItsRowsShare, contract.rows_are_independent),
        (DividesByZero, contract.flat_network),
        (Miscounts, contract.first_and_last),
        (SkipsTheOriginal, contract.first_and_last),
        (SkipsTheOriginal, contract.zero_epsilon),
        (SkipsTheOriginal, contract.few_steps),
        (WillNotClose, contract.closes_anywhere),
    ],
)
def test_a_broken_promise_is_caught(broken: type[Attack], check: contract.Check) -> None:
    with pytest.raises((AssertionError, RuntimeError)):
        check(broken)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files the registry scans too."""
    monkeypatch.setattr(attacks, "__path__", [*attacks.__path__, str(tmp_path)])
    before = set(sys.modules)
    attacks.registry.cache_clear()
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]
    attacks.registry.cache_clear()


NEW = """
from dataclasses import dataclass, replace
from attacks.fgsm import FGSM

@dataclass(frozen=True)
class New(FGSM):
    card = replace(FGSM.card, name="{name}", year=1999)
"""


def test_a_new_file_is_a_new_attack(folder: Path) -> None:
    (folder / "new.py").write_text(NEW.format(name="new"))
    found = attacks.registry()
    assert list(found)[0] == "new" and found["fgsm"] is FGSM and found["pgd"] is PGD
    contract.raises_margin(attacks.get("new"))


def test_two_attacks_of_one_name_are_refused(folder: Path) -> None:
    (folder / "new.py").write_text(NEW.format(name="pgd"))
    with pytest.raises(ImportError, match="two attacks are called 'pgd'"):
        attacks.registry()


def test_a_file_that_does_not_import_is_loud(folder: Path) -> None:
    (folder / "new.py").write_text("import nothing_of_that_name")
    with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
        attacks.registry()


def test_an_unknown_name_comes_with_a_hint() -> None:
    with pytest.raises(UnknownName, match="pgd"):
        attacks.get("PDG")
