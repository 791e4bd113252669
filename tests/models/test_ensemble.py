"""Several networks as one: what it computes, what is refused, and that one picture fools all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import models
from attacks.contract import Criterion, walk
from attacks.mi_fgsm import MIFGSM
from engine import links
from engine.images.sources import open_sample
from errors import BadSetting, FoolscopeError
from models import ensemble
from models.core import Classifier, fitted
from tests.support import small_model

BOTH = "efficientnet_lite0+efficientnet_lite2"


def test_the_card_is_that_of_the_first_with_the_parts_named() -> None:
    card, first = models.card(BOTH), models.card("efficientnet_lite0")
    assert (card.name, card.title) == (BOTH, "EfficientNet-Lite0 + Lite2")
    assert card.parts == ("efficientnet_lite0", "efficientnet_lite2") and card.offline
    assert (card.size, card.resize, card.labels) == (first.size, first.resize, first.labels)
    picture = open_sample("panda")
    assert torch.equal(card.preprocess(picture), first.preprocess(picture))
    assert not first.parts and BOTH not in models.registry()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("efficientnet_lite0+lenet", "same classes and channels as EfficientNet-Lite0, got LeNet"),
        ("efficientnet_lite0+photos", "same classes and channels as EfficientNet-Lite0"),
        ("efficientnet_lite0+nobody", "no model called “nobody”"),
        ("efficientnet_lite0+", "no model called “”"),
        ("efficientnet_lite0+efficientnet_lite0", "Expected different networks as one"),
        ("+".join(["efficientnet_lite0"] * 5), "at most 4 networks as one, got 5"),
        ("+" * 1000, "at most 4 networks as one, got 1001"),
    ],
)
def test_what_cannot_be_taken_as_one_is_refused_in_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(FoolscopeError, match=sentence):
        models.card(name)


def test_an_address_in_which_a_plus_became_a_space_is_understood() -> None:
    link = links.read({"model": BOTH.replace("+", " ")})
    assert link.recipe.model == BOTH and not link.problems
    assert links.read(links.write(link.recipe)).recipe == link.recipe
    assert links.read({"model": "no such"}).problems


def test_the_mean_of_log_probabilities_by_label_at_each_size() -> None:
    small = small_model.card()
    turned = replace(small, name="turned", labels=small.labels[::-1], size=12)
    nets = [Classifier(small, small_model.SmallNet()), Classifier(small, small_model.SmallNet())]
    nets[1].network.get_submodule("head").get_parameter("weight").mul_(-0.7)  # another network
    resized = torch.nn.Upsample((16, 16))
    nets[1] = Classifier(turned, torch.nn.Sequential(resized, nets[1].network))
    both = ensemble.Ensemble(ensemble.joined([small, turned]), nets)
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = (nets[0](x).log_softmax(1) + nets[1](fitted(x, 12)).log_softmax(1).flip(1)) / 2
    logits = both(x)
    assert torch.allclose(logits, expected, atol=1e-5)
    (grad,) = torch.autograd.grad(logits[:, 0].sum(), x)
    assert grad.abs().amax((1, 2, 3)).min() > 0
    with pytest.raises(BadSetting):
        ensemble.joined([small, replace(turned, labels=("a", "b"))])


def test_one_picture_fools_both_of_an_ensemble() -> None:
    card = models.card(BOTH)
    both = models.load(BOTH)
    x = card.preprocess(open_sample("panda"))[None]
    criterion = Criterion(torch.tensor([card.label_index("vulture")]), targeted=True)
    attack = MIFGSM(epsilon=8 / 255, step_size=1 / 255, steps=8)
    *_, last = walk(attack.search(x, criterion, torch.Generator()), both, criterion)
    for part in card.parts:
        alone = models.load(part)
        with torch.no_grad():
            before, after = (alone(fitted(each, alone.card.size)) for each in (x, last.x))
        assert alone.card.labels[int(before.argmax())] == "giant panda" and criterion.met(after).all()
