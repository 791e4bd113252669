"""Several networks as one: what it computes, what is refused, and that one picture fools all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import models
from attacks.contract import Criterion, Stop, walk
from attacks.mi_fgsm import MIFGSM
from engine import links
from engine.images.sources import open_sample
from engine.jobs import criterion_of
from engine.recipe import Recipe
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


@pytest.mark.parametrize("kind", ["probabilities", "worst"])
def test_the_name_says_how_networks_are_taken_as_one(kind: str) -> None:
    card = models.card(f"{BOTH}@{kind}")
    assert (card.name, card.ensemble) == (f"{BOTH}@{kind}", kind)
    assert card.title == f"EfficientNet-Lite0 + Lite2 ({kind})" and card.parts == models.card(BOTH).parts
    assert models.card(BOTH).ensemble == "log-probabilities" != models.card("lenet").ensemble == ""
    link = links.read({"model": f"efficientnet_lite0 efficientnet_lite2@{kind}"})
    assert link.recipe.model == card.name and not link.problems
    assert links.read(links.write(link.recipe)).recipe == link.recipe
    for wrong, sentence in ((f"lenet@{kind}", "no model called"), (f"{BOTH}@median", "got “median”")):
        with pytest.raises(FoolscopeError, match=sentence):
            models.card(wrong)


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


def pair(kind: str) -> tuple[ensemble.Ensemble, list[Classifier]]:
    """Return two small networks that differ, as one."""
    cards = [small_model.card("a"), small_model.card("b")]
    nets = [Classifier(card, small_model.SmallNet()) for card in cards]
    nets[1].network.get_submodule("head").get_parameter("weight").mul_(-0.7)
    return ensemble.Ensemble(ensemble.joined(cards, kind), nets), nets


def test_the_mean_of_probabilities_and_its_gradient() -> None:
    both, nets = pair(ensemble.PROBABILITIES)
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = ((nets[0](x).softmax(1) + nets[1](x).softmax(1)) / 2).log()
    assert torch.allclose(both(x), expected, atol=1e-5)
    slopes = [torch.autograd.grad(values[:, 2].sum(), x)[0] for values in (both(x), expected)]
    assert torch.allclose(slopes[0], slopes[1], atol=1e-5) and slopes[0].abs().max() > 0
    assert both.against(2, True) is both


@pytest.mark.parametrize("targeted", [True, False])
def test_in_the_worst_case_the_least_fooled_network_answers(targeted: bool) -> None:
    both, nets = pair(ensemble.WORST)
    x = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    criterion = Criterion(torch.full((64,), 2), targeted)
    own = [net(x).log_softmax(1) for net in nets]
    margins = torch.stack([criterion.margin(logits) for logits in own])
    answers = both.against(2, targeted)(x)
    rows = margins.argmin(0)
    assert 0 < int(rows.sum()) < 64  # now the one, now the other
    expected = torch.where(rows[:, None] == 0, own[0], own[1])
    assert torch.allclose(answers, expected, atol=1e-6)
    assert torch.equal(criterion.met(answers), torch.stack([criterion.met(z) for z in own]).all(0))
    slopes = [
        torch.autograd.grad(values[:, 2].sum(), x, retain_graph=True)[0] for values in (answers, expected)
    ]
    assert torch.allclose(slopes[0], slopes[1], atol=1e-6)
    assert torch.allclose(both(x), torch.stack(own).mean(0), atol=1e-6)  # without a goal


@pytest.mark.parametrize("kind", ensemble.KINDS)
def test_a_run_fools_every_network_of_an_ensemble_of_each_kind(kind: str) -> None:
    with small_model.engine(small_model.Gate(), model_memory=2**30) as engine:
        weight = engine.pool.get("smaller").network.get_submodule("head").get_parameter("weight")
        weight.copy_(weight.roll(1, 1))  # another network
        name = ensemble.name_of(["small", "smaller"], kind)
        image = "panda"
        aim = engine.classify(name, image)[2].index
        params = {"epsilon": 64 / 255, "step_size": 2 / 255, "steps": 60}
        stop = Stop("success" if kind == ensemble.WORST else "steps")
        recipe = Recipe(name, image, "bim", params, aim, stop)
        run = engine.submit(recipe)
        list(engine.follow(run))
        assert (run.status, run.reason) == ("finished", stop.rule), run.error
        last = torch.from_numpy(run.picture(len(run) - 1))[None].float()
        margins = [criterion_of(run).margin(engine.logits(part, last)) for part in ("small", "smaller")]
        assert float(min(margins)) > 0 and len(run) > 2
        if kind == ensemble.WORST:
            answers = engine.evaluate(name, last, goal=criterion_of(run)).logits
            assert float(criterion_of(run).margin(answers)) == pytest.approx(float(min(margins)), abs=1e-3)
            assert run.answers_again is None


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
