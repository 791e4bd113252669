"""Attacks made to survive: what is asked, which gradient they follow, when they stop, and that it helps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import models
from attacks.bim import BIM
from attacks.contract import Criterion, Query, Stop, answer, walk
from attacks.pgd import PGD
from attacks.toolkit.mask import masked
from engine.engine import Engine
from engine.fields import Region
from engine.images.sources import open_sample
from engine.recipe import Recipe
from engine.robustness.corruptions import CORRUPTIONS
from engine.robustness.surviving import surviving, views
from engine.run import Run
from errors import FoolscopeError
from models.core import Classifier
from tests.support import small_model

NAMES = ("jpeg50", "blur", "grey")
RECIPE = Recipe("small", "cat", "bim", {"steps": 6, "step_size": 4 / 255}, survives=NAMES, stop=Stop("steps"))


@pytest.fixture
def engine() -> Iterator[Engine]:
    with small_model.engine(small_model.Gate()) as made:
        yield made


def finished(engine: Engine, recipe: Recipe) -> Run:
    run = engine.submit(recipe)
    list(engine.follow(run))
    assert run.status == "finished", run.sentence()
    return run


def forms(x: Tensor, names: tuple[str, ...] = NAMES) -> Tensor:
    """Return an image ``(c, h, w)`` as it is and after each corruption."""
    return torch.cat([x[None], *(CORRUPTIONS[name].of(x[None]) for name in names)])


def test_each_step_asks_about_every_form_and_shows_the_image_as_it_is(engine: Engine) -> None:
    run = finished(engine, RECIPE)
    assert len(run) == 7 and run.queries == 7 * 4 and run.gradient_evaluations == 6 * 4
    last = torch.from_numpy(run.picture(6))
    logits = engine.logits("small", last[None])
    assert torch.allclose(torch.from_numpy(run.log_p(6, 7))[0], logits[0].log_softmax(0), atol=1e-4)
    assert run.figures(6)["linf"] == pytest.approx(8 / 255, abs=1e-6)


def test_the_gradient_is_the_mean_over_all_forms_and_the_logits_are_those_of_the_worst() -> None:
    net = Classifier(small_model.card(), small_model.SmallNet())
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    criterion = Criterion(torch.tensor([1, 4]), targeted=True)
    given = []

    def listening():  # a search that notes what it is answered
        given.append((yield Query(x, criterion.loss)))
        given.append((yield Query(x, None)))

    search = surviving(listening(), criterion, NAMES)
    query = next(search)
    assert len(query.x) == 8 and torch.equal(query.x[:2], x)
    search.send(answer(net, query))

    leaf = x.clone().requires_grad_()
    seen = [leaf, *(CORRUPTIONS[name].through(leaf) for name in NAMES)]
    losses = torch.stack([criterion.loss(net(view)) for view in seen])
    (expected,) = torch.autograd.grad(losses.mean(0).sum(), leaf)
    assert torch.allclose(given[0].grad, expected, atol=1e-6) and expected.abs().max() > 1e-3
    assert torch.allclose(given[0].loss, losses.mean(0), atol=1e-5)
    margins = torch.stack([criterion.margin(net(view)) for view in seen])
    assert torch.allclose(criterion.margin(given[0].logits), margins.min(0).values, atol=1e-4)


def test_the_first_row_of_each_form_is_found_where_a_query_has_probes() -> None:
    rows = torch.arange(12)  # three forms of a query of four rows
    assert views(rows, ("png", "blur")).tolist() == [0, 4, 8]


def test_a_run_stops_only_when_every_form_fools(engine: Engine) -> None:
    slow = replace(RECIPE, params={"steps": 200, "step_size": 0.25 / 255, "epsilon": 64 / 255})
    run = finished(engine, replace(slow, stop=Stop("success")))
    assert run.reason == "success"
    fooled = engine.logits("small", forms(torch.from_numpy(run.picture(len(run) - 1)))).argmax(1)
    assert (fooled != run.original).all()
    plain = finished(engine, replace(slow, stop=Stop("success"), survives=()))
    assert len(plain) < len(run)


def test_only_the_region_changes_and_every_attack_can_be_made_to_survive(engine: Engine) -> None:
    recipe = replace(RECIPE, region=Region(0, 0, 0.5, 1))
    for attack in ("ddn", "square", "eot_pgd"):
        run = finished(engine, replace(recipe, attack=attack, params={"steps": 4}))
        change = run.delta(len(run) - 1)
        assert not change[..., 8:].any() and (attack == "square" or change.any())


def test_what_it_must_survive_is_in_json_and_checked() -> None:
    assert Recipe.from_json(RECIPE.to_json()) == RECIPE
    before = {name: value for name, value in RECIPE.to_json().items() if name != "survives"}
    assert Recipe.from_json(before) == replace(RECIPE, survives=())
    wrongs: tuple[object, ...] = (["jpeg7"], [3], "blur", [{}], 7)
    for wrong in wrongs:
        with pytest.raises(FoolscopeError):
            Recipe.from_json(before | {"survives": wrong})


def test_jpeg_undoes_an_attack_and_does_not_undo_one_made_to_survive_it() -> None:
    net, jpeg = models.load("efficientnet_lite0"), CORRUPTIONS["jpeg75"]
    x = net.card.preprocess(open_sample("panda"))[None]
    criterion = Criterion(torch.tensor([net.card.label_index("vulture")]), targeted=True)
    attack = PGD(epsilon=8 / 255, step_size=1 / 255, steps=10)
    met = {}
    for names in ((), ("jpeg75",)):
        search = attack.search(x, criterion, torch.Generator().manual_seed(0))
        *_, last = walk(surviving(search, criterion, names), net, criterion)
        with torch.no_grad():
            met[names] = bool(criterion.met(net(jpeg.of(last.x)))), bool(criterion.met(net(last.x)))
    assert met == {(): (False, True), ("jpeg75",): (True, True)}


def test_a_search_that_ends_or_is_closed_ends_the_one_inside() -> None:
    net = Classifier(small_model.card(), small_model.SmallNet())
    x, criterion = torch.rand(1, 3, 16, 16), Criterion(torch.tensor([0]), targeted=False)
    inner = BIM(steps=2).search(x, criterion, torch.Generator())
    assert len(list(walk(surviving(inner, criterion, ("blur",)), net, criterion))) == 3
    masking = masked(BIM(steps=2).search(x, criterion, torch.Generator()), x, torch.ones(1))
    outer = surviving(masking, criterion, ("blur",))
    next(outer)
    outer.close()
    with pytest.raises(StopIteration):
        next(masking)
