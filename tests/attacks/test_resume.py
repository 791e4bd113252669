"""A search that goes on from its newest picture is the rest of the whole one."""

from __future__ import annotations

import pytest
import torch

import attacks
from attacks.bim import BIM
from attacks.contract import Attack, Criterion, Step, walk
from attacks.pgd import PGD
from attacks.towards import TowardsClass
from models.core import Classifier
from tests.support import small_model
from tests.support.small_model import SIZE, SmallNet

WHOLE = [
    BIM(steps=6),
    BIM(steps=6, norm="l2"),
    PGD(steps=6),
    PGD(steps=6, random_start=True),
    TowardsClass(steps=6),
]


def steps(attack: Attack) -> tuple[list[Step], Classifier, torch.Tensor, Criterion]:
    model = Classifier(small_model.card(), SmallNet())
    x = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    criterion = Criterion(torch.tensor([1, 3]), targeted=True)
    whole = list(walk(attack.search(x, criterion, torch.Generator().manual_seed(0)), model, criterion))
    return whole, model, x, criterion


@pytest.mark.parametrize("attack", WHOLE)
@pytest.mark.parametrize("taken", [1, 2, 5])
def test_the_rest_of_a_search_is_that_of_the_whole(attack: Attack, taken: int) -> None:
    whole, model, x, criterion = steps(attack)
    assert attack.resumes()
    rest = list(walk(attack.resume(x, whole[taken].x, criterion, taken), model, criterion))
    assert len(rest) == len(whole) - taken > 1
    for ours, theirs in zip(rest, whole[taken:], strict=True):
        assert torch.equal(ours.x, theirs.x)
        assert torch.equal(ours.evaluation.logits, theirs.evaluation.logits)


def test_attacks_that_remember_more_say_so() -> None:
    able = {name for name, attack in attacks.registry().items() if attack().resumes()}
    assert able == {"bim", "pgd", "towards"} and not PGD(restarts=2).resumes()
