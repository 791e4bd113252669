"""A search that goes on from its newest query is the rest of the whole one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import attacks
from attacks.contract import Attack, Criterion, Evaluation, Query, ReasonedSearch, answer
from attacks.eot_pgd import EOTPGD
from attacks.fmn import FMN
from attacks.mi_fgsm import MIFGSM
from attacks.ni_fgsm import NIFGSM
from attacks.pgd import PGD
from attacks.square import Square
from models.core import Classifier
from tests.support import small_model
from tests.support.small_model import SIZE, SmallNet

OTHERS = [
    PGD(steps=6, random_start=True),
    PGD(steps=6, norm="l2"),
    MIFGSM(steps=6, norm="l2"),
    NIFGSM(steps=6, norm="l2"),
    FMN(steps=6, norm="l0"),
    Square(steps=6, norm="l2"),
    EOTPGD(steps=6, samples=3),
]
"""Beside each attack that resumes, with six steps."""
ABLE = {"bim", "ddn", "eot_pgd", "fmn", "mi_fgsm", "ni_fgsm", "pgd", "square", "towards"}
SIX: dict[str, Any] = {"steps": 6}
WHOLE = [attacks.registry()[name](**SIX) for name in sorted(ABLE)] + OTHERS
Asked = list[tuple[Query, Evaluation]]


def asked(search: ReasonedSearch, model: Classifier) -> Asked:
    queries = list[tuple[Query, Evaluation]]()
    try:
        query = next(search)
        while True:
            queries.append((query, answer(model, query)))
            query = search.send(queries[-1][1])
    except StopIteration:
        return queries


@pytest.mark.parametrize("attack", WHOLE, ids=repr)
@pytest.mark.parametrize("taken", [1, 2, 5])
@pytest.mark.parametrize("targeted", [True, False])
def test_the_rest_of_a_search_is_that_of_the_whole(attack: Attack, taken: int, targeted: bool) -> None:
    model = Classifier(small_model.card(), SmallNet())
    x = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    criterion = Criterion(torch.tensor([1, 3]) if targeted else model(x).argmax(1), targeted)
    whole = asked(attack.search(x, criterion, torch.Generator().manual_seed(0)), model)
    assert attack.resumes()
    newest = Query(whole[taken][0].x[:2], None, whole[taken][0].memory)
    rest = asked(attack.resume(x, newest, criterion, taken), model)
    assert len(rest) == len(whole) - taken > 1
    for (ours, our_answer), (theirs, their_answer) in zip(rest, whole[taken:], strict=True):
        assert torch.equal(ours.x, theirs.x)
        assert torch.equal(our_answer.logits, their_answer.logits)
        assert all(map(torch.equal, ours.memory, theirs.memory))


def test_attacks_that_keep_what_they_remember_to_themselves_say_so() -> None:
    assert {name for name, attack in attacks.registry().items() if attack().resumes()} == ABLE
    assert not PGD(restarts=2).resumes()
