"""The engine with real attacks on a real (tiny) network: sharing, pausing, cancelling, and bad company."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace
from functools import partial
from types import MethodType

import numpy as np
import pytest
import torch

from attacks.contract import Criterion, Objective, Query, Stop, answer, walk
from engine.batch import evaluate
from engine.fields import Region
from engine.images.sources import open_sample
from engine.recipe import Recipe
from engine.run import PICTURES
from errors import BadImage, BadSetting, BadTarget, EngineClosed, UnknownName
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 12, "step_size": 1 / 255}, target=None)


@pytest.fixture
def gate():
    return small_model.Gate()


@pytest.fixture
def engine(gate):
    with small_model.engine(gate) as made:
        yield made


def finish(engine, run):
    return list(engine.follow(run))


def eventually(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def other_class(engine, recipe=RECIPE, rank=1):
    return engine.classify(recipe.model, recipe.image)[rank].index


def test_a_run_is_the_attack_walked_alone(engine):
    run = engine.submit(RECIPE)
    assert finish(engine, run) == list(range(13)) and run.status == "finished" and run.reason == "steps"
    x, model = torch.from_numpy(engine.preprocess(RECIPE))[None], engine.model("small")
    criterion = Criterion(torch.tensor([run.original]), targeted=False)
    steps = list(
        walk(RECIPE.build().search(x, criterion, torch.Generator().manual_seed(0)), model, criterion)
    )
    assert len(steps) == len(run) == 13
    for step in steps:
        expected = torch.log_softmax(step.evaluation.logits[0], 0).numpy()
        assert np.allclose(run.log_p(step.index, step.index + 1)[0], expected, atol=1e-4)
    assert np.allclose(run.picture(12), steps[-1].x[0].numpy(), atol=1e-6)
    assert run.figures(12)["linf"] == pytest.approx(float((steps[-1].x - x).abs().max()), abs=1e-6)
    assert run.figures(12)["l2"] == pytest.approx(float((steps[-1].x - x).norm()), rel=1e-4)
    assert run.figures(12)["l1"] == pytest.approx(float((steps[-1].x - x).abs().sum()), rel=1e-4)
    assert run.figures(12)["l0"] == int((steps[-1].x != x).sum())
    assert run.gradient_evaluations == 12 and run.figures(12)["grad_norm"] is None


def test_the_last_picture_is_the_one_that_was_judged(engine):
    run = engine.submit(replace(RECIPE, target=other_class(engine)))
    finish(engine, run)
    logits = engine.logits("small", torch.from_numpy(run.picture(12))[None])
    assert np.allclose(torch.log_softmax(logits[0], 0).numpy(), run.log_p(12, 13)[0], atol=1e-4)


def test_eight_runs_share_batches_and_get_what_they_would_get_alone(engine, gate):
    recipes = [replace(RECIPE, image=name, target=None) for name in ("cat", "coffee", "rocket", "flower") * 2]
    alone = []
    for recipe in recipes:
        run = engine.submit(recipe)
        finish(engine, run)
        alone.append(run.log_p(0, 13).copy())
    gate.open.clear()
    gate.batches.clear()
    together = [engine.submit(recipe) for recipe in recipes]
    gate.open.set()
    for run, expected in zip(together, alone, strict=True):
        finish(engine, run)
        assert np.abs(np.exp(run.log_p(0, 13)) - np.exp(expected)).max() < 0.02
    assert max(gate.batches) == 8 and len(gate.batches) < 8 * 13


def test_models_take_turns(engine, gate):
    runs = [engine.submit(replace(RECIPE, model=name, params={"steps": 60})) for name in ("small", "smaller")]
    eventually(lambda: all(len(run) > 5 for run in runs))
    for run in runs:
        finish(engine, run)


def test_a_target_that_is_the_current_class_is_refused_with_the_reason(engine):
    current = engine.classify("small", "cat")[0]
    with pytest.raises(BadTarget, match=f"already says {current.label}"):
        engine.submit(replace(RECIPE, target=current.index))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"model": "nobody"}, UnknownName),
        ({"attack": "nobody"}, UnknownName),
        ({"image": "nobody"}, UnknownName),
        ({"target": 99}, BadSetting),
        ({"params": {"steps": -1}}, BadSetting),
        ({"params": {"steps": 10**9}}, BadSetting),
        ({"params": {"step_size": float("nan")}}, BadSetting),
        ({"params": {"wings": 2}}, BadSetting),
    ],
)
def test_a_bad_recipe_is_refused_and_the_engine_goes_on(engine, change, error):
    with pytest.raises(error):
        engine.submit(replace(RECIPE, **change))
    assert finish(engine, engine.submit(RECIPE))[-1] == 12


def test_pause_holds_still_step_takes_one_resume_goes_on(engine):
    run = engine.submit(replace(RECIPE, params={"steps": 5000}))
    eventually(lambda: len(run) > 3)
    engine.pause(run)
    assert run.status == "paused"
    held = len(run)  # an answer that was under way is held back, too
    engine.logits("small", torch.zeros(1, 3, small_model.SIZE, small_model.SIZE))
    assert len(run) == held
    for more in (1, 2, 3):
        engine.step(run)
        eventually(lambda more=more: len(run) == held + more and run.status == "paused")
    engine.resume(run)
    eventually(lambda: len(run) > held + 10)
    engine.cancel(run)


def test_a_paused_run_may_be_stepped_from_the_start(engine):
    run = engine.submit(RECIPE, paused=True)
    assert run.status == "paused" and len(run) == 0
    engine.step(run)
    eventually(lambda: len(run) == 1 and run.status == "paused")
    engine.resume(run)
    assert finish(engine, run)[-1] == 12


def test_cancel_is_at_once_and_what_was_under_way_is_thrown_away(engine, gate):
    run = engine.submit(replace(RECIPE, params={"steps": 5000}))
    eventually(lambda: len(run) > 3)
    gate.open.clear()
    time.sleep(0.05)
    held = len(run)
    engine.cancel(run)
    assert run.status == "cancelled" and run.over and "by hand" in run.sentence()
    gate.open.set()
    assert finish(engine, engine.submit(RECIPE))[-1] == 12
    assert len(run) <= held + 1
    for action in (engine.pause, engine.resume, engine.step, engine.cancel):
        action(run)
    assert run.status == "cancelled" and run.reason == "cancelled"


def test_stop_rules_stop_where_they_say(engine):
    target = other_class(engine)
    base = replace(RECIPE, attack="towards", params={"steps": 2000, "step_size": 0.5 / 255}, target=target)
    success = engine.submit(replace(base, stop=Stop("success")))
    finish(engine, success)
    last = len(success) - 1
    assert success.reason == "success" and success.top(last, 1)[0].index == target
    assert success.top(last - 1, 1)[0].index != target
    sure = engine.submit(replace(base, stop=Stop("probability", 0.9)))
    finish(engine, sure)
    last = len(sure) - 1
    assert sure.reason == "probability" and last > len(success) - 1
    assert sure.prediction(last, target).probability >= 0.9 > sure.prediction(last - 1, target).probability
    assert "90 %" in sure.sentence()


def test_every_class_that_enters_the_top_five_is_tracked(engine):
    run = engine.submit(replace(RECIPE, params={"steps": 40}, target=other_class(engine, rank=5)))
    finish(engine, run)
    expected = {outcome.index for step in range(len(run)) for outcome in run.top(step)}
    assert set(run.classes) == expected | {run.original, run.recipe.target}
    assert run.classes[:2] == [run.original, run.recipe.target]


def test_one_bad_run_harms_no_other(engine, gate):
    bad = engine.submit(replace(RECIPE, image="black"), paused=True)
    good = [engine.submit(replace(RECIPE, image=name), paused=True) for name in ("cat", "coffee")]
    dark = float(engine.preprocess(bad.recipe).max())

    def explode(x):
        if bool((x.amax(dim=(1, 2, 3)) <= dark + 0.05).any()):
            raise RuntimeError("a cable burnt")

    gate.hook = explode
    for run in (bad, *good):
        engine.resume(run)
    for run in good:
        finish(engine, run)
        assert run.status == "finished" and len(run) == 13
    eventually(lambda: bad.over)
    assert bad.status == "failed" and "a cable burnt" in bad.sentence()


def test_nan_fails_the_run_with_a_sentence_and_the_engine_goes_on(engine):
    model = engine.model("small")
    keep = model.network.head.bias.clone()
    run = engine.submit(replace(RECIPE, params={"steps": 3000}))
    eventually(lambda: len(run) > 2)
    model.network.head.bias.fill_(float("nan"))
    eventually(lambda: run.over)
    model.network.head.bias.copy_(keep)
    assert run.status == "failed" and "NaN" in run.sentence()
    assert np.isfinite(run.log_p(0, len(run))).all()
    assert finish(engine, engine.submit(RECIPE))[-1] == 12


def test_out_of_memory_halves_the_batch_and_goes_on(engine, gate):
    def limited(x):
        if len(x) > 2:
            raise torch.OutOfMemoryError("no room")

    runs = [engine.submit(RECIPE, paused=True) for _ in range(8)]
    gate.hook = limited
    for run in runs:
        engine.resume(run)
    for run in runs:
        finish(engine, run)
        assert run.status == "finished" and len(run) == 13


def test_a_run_that_nobody_reads_for_a_minute_waits_and_goes_on_when_somebody_does(gate):
    """What is computed after the pause is what would have been computed without it."""
    now, long = [0.0], replace(RECIPE, params={"steps": 600})
    with small_model.engine(gate, clock=lambda: now[0]) as engine:
        read, unread = (engine.submit(long, paused=True) for _ in range(2))
        now[0] = 59.0
        read.touch()
        engine.resume(unread)
        eventually(lambda: len(unread) > 5)
        now[0] = 61.0
        eventually(lambda: unread.status == "paused")
        before = len(unread)
        assert (unread.reason, before < 601, read.status, read.reason) == ("unwatched", True, "paused", None)
        assert f"Paused at step {before - 1} while nobody was watching" in unread.sentence()
        now[0] = 1000.0
        unread.touch()
        now[0] = 1002.0
        eventually(lambda: unread.over)
        assert (unread.status, unread.reason, len(unread)) == ("finished", "steps", 601)
        alone = engine.submit(long)
        finish(engine, alone)
        assert np.allclose(unread.picture(600), alone.picture(600), atol=1e-5)


def test_a_paused_run_that_nobody_reads_for_half_an_hour_is_cancelled_and_a_read_one_is_not(gate):
    now = [0.0]
    with small_model.engine(gate, clock=lambda: now[0]) as engine:
        read, unread = (engine.submit(RECIPE, paused=True) for _ in range(2))
        now[0] = 1799.0
        read.touch()
        time.sleep(1.2)
        assert not unread.over
        now[0] = 1801.0
        eventually(lambda: unread.over)
        assert unread.reason == "abandoned" and "nobody" in unread.sentence() and not read.over


def test_the_same_seed_gives_the_same_run_and_another_another(engine):
    recipe = replace(RECIPE, attack="pgd", params={"steps": 5, "random_start": True})
    runs = [engine.submit(replace(recipe, seed=seed)) for seed in (1, 1, 2)]
    for run in runs:
        finish(engine, run)
    first, again, other = (run.picture(1) for run in runs)
    assert np.allclose(first, again) and not np.allclose(first, other)


def test_long_runs_keep_all_figures_and_thin_their_pictures(engine):
    run = engine.submit(replace(RECIPE, params={"steps": 900}))
    finish(engine, run)
    assert len(run) == 901 and run.scalars(0, 901).shape[0] == 901
    kept = {run.picture_step(step) for step in range(901)}
    assert len(kept) <= PICTURES + 1 and 900 in kept and 0 in kept
    assert all(run.picture_step(step) <= step for step in range(901))
    assert np.abs(run.picture(run.picture_step(450)) - run.picture(450)).max() == 0


def test_readers_and_writers_do_not_disturb_each_other(engine):
    runs = [engine.submit(replace(RECIPE, params={"steps": 300})) for _ in range(3)]
    seen: dict[int, list[int]] = {}
    threads = [
        threading.Thread(target=lambda k=k, run=run: seen.update({k: list(engine.follow(run))}))
        for k, run in enumerate(runs * 3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(indices == list(range(301)) for indices in seen.values()) and len(seen) == 9


def test_uploads_need_their_id(engine):
    from engine.images.sources import open_sample
    from engine.render import encode

    first = engine.uploads.add(encode(open_sample("coffee"), "png"), "a.png")
    assert len(first) > 20 and engine.picture(first).size
    with pytest.raises((UnknownName, BadImage)):
        engine.picture("upload:" + "A" * 22)


def test_a_closed_engine_says_so_and_ends_what_waits(gate):
    with small_model.engine(gate) as engine:
        run = engine.submit(replace(RECIPE, params={"steps": 5000}))
        engine.close()
        assert run.over
        with pytest.raises(EngineClosed):
            engine.submit(RECIPE)


def test_recipes_survive_json_and_have_keys():
    recipe = replace(RECIPE, stop=Stop("probability", 0.9), seed=3)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.key() == Recipe.from_json(recipe.to_json()).key() != replace(recipe, seed=4).key()
    with pytest.raises(BadSetting):
        Recipe.from_json({"model": "small"})
    with pytest.raises(BadSetting):
        replace(recipe, seed=-1)


def goals() -> dict[str, list[Objective | None]]:
    """Objectives of queries that share a batch, by what is told apart."""
    reach, other, leave = (
        Criterion(torch.tensor([label]), targeted) for label, targeted in ((1, True), (3, True), (2, False))
    )
    return {
        "one kind, another class each": [reach.loss, other.loss, reach.loss],
        "towards and away": [reach.loss, leave.loss, other.loss],
        "loss and margin": [reach.loss, reach.margin, leave.margin],
        "none among them": [reach.loss, None, other.loss],
        "an attack's own": [reach.loss, lambda logits: logits[:, 0], lambda logits: 2 * logits[:, 1]],
    }


@pytest.mark.parametrize("kind", goals())
def test_batching_answers_like_asking_alone(engine, kind):
    model, objectives = engine.model("small"), goals()[kind]
    rows = 1 + torch.arange(len(objectives)) % 2  # each query has its own number of pictures
    noise = torch.Generator().manual_seed(1)
    xs = [torch.rand(int(n), 3, small_model.SIZE, small_model.SIZE, generator=noise) for n in rows]
    queries = [Query(x, each and _wide(each, len(x))) for x, each in zip(xs, objectives, strict=True)]
    for query, got in zip(queries, evaluate(model, queries), strict=True):
        want = answer(model, query)
        assert torch.allclose(got.logits, want.logits, atol=1e-5)
        assert (got.grad is None) == (want.grad is None) == (query.objective is None)
        for mine, own in ((got.grad, want.grad), (got.loss, want.loss)):
            assert (mine is None) == (own is None)
            assert mine is None or own is None or torch.allclose(mine, own, atol=1e-5)


def _wide(objective: Objective, rows: int) -> Objective:
    """Return an objective for so many pictures: a criterion has a label for each."""
    if not isinstance(objective, MethodType) or not isinstance(objective.__self__, Criterion):
        return objective
    return MethodType(objective.__func__, objective.__self__.repeat(rows))


def test_goals_of_one_kind_are_asked_together(engine, monkeypatch):
    """Of many runs on a small network most of the time would go into one call for each."""
    calls, loss = [], Criterion.loss

    def noted(self: Criterion, logits: torch.Tensor) -> torch.Tensor:
        calls.append(len(logits))
        return loss(self, logits)

    monkeypatch.setattr(Criterion, "loss", noted)
    x = torch.rand(1, 3, small_model.SIZE, small_model.SIZE)
    queries = [Query(x, Criterion(torch.tensor([label]), False).loss) for label in range(5)]
    evaluate(engine.model("small"), queries)
    assert calls == [5]


def test_many_pictures_are_classified_in_batches_in_order_and_what_cannot_be_read_is_passed_on(engine, gate):
    names = ["cat", "gone", "coffee", "rocket", "gone", "black", "cat"]
    engine.model("small")
    answers = list(engine.classify_many("small", [partial(open_sample, name) for name in names], k=3, rows=3))
    assert gate.batches == [2, 2, 1]  # of three, three and one picture, less those that are not there
    for name, top in zip(names, answers, strict=True):
        if name == "gone":
            assert isinstance(top, UnknownName)
        else:
            alone = engine.classify("small", name)[:3]
            assert [o.label for o in top] == [o.label for o in alone]
            assert [o.probability for o in top] == pytest.approx([o.probability for o in alone], abs=1e-5)


def test_pictures_without_end_are_classified_as_they_come(engine):
    drawn = itertools.count()
    endless = (partial(open_sample, "cat") for _ in drawn)
    answers = engine.classify_many("small", endless, rows=4)
    assert len(list(itertools.islice(answers, 6))) == 6
    answers.close()
    assert next(drawn) <= 12  # two batches for six answers, and the one that is read meanwhile


def test_questions_larger_than_the_budget_are_answered_in_parts() -> None:
    """Answers in parts equal those in one go, gradients and rows without any included."""
    model, rng = small_model.SmallNet(), torch.Generator().manual_seed(0)
    x = torch.rand(7, 3, 16, 16, generator=rng)
    criterion = Criterion(torch.arange(7) % 3, targeted=True)
    other = Criterion(torch.tensor([1, 2]), targeted=False)
    queries = [Query(x, criterion.loss), Query(x[:3], None), Query(x[2:4], other.loss)]
    for whole, parts in zip(evaluate(model, queries), evaluate(model, queries, rows=2), strict=True):
        torch.testing.assert_close(whole.logits, parts.logits)
        assert (whole.grad is None) == (parts.grad is None)
        if whole.grad is not None and parts.grad is not None:
            torch.testing.assert_close(whole.grad, parts.grad)
    assert evaluate(model, queries[1:2], rows=1)[0].grad is None


def test_only_the_region_changes_and_successes_in_a_row_end_a_run(engine) -> None:
    """A region holds at every step; "3 in a row" stops after three, and not before."""
    params = {**RECIPE.params, "steps": 300, "epsilon": 1.0}
    part = Region(0.25, 0.5, 0.75, 1.0)
    run = engine.submit(replace(RECIPE, region=part, stop=Stop("row", times=3), params=params))
    finish(engine, run)
    assert run.reason == "row" and "3 times in a row" in run.sentence()
    met = [run.succeeded(step) for step in range(len(run))]
    assert met[-3:] == [True] * 3 and not any(all(met[i : i + 3]) for i in range(1, len(met) - 3))
    change, inside = torch.tensor(run.delta(len(run) - 1)), torch.from_numpy(part.mask(*run.start.shape[1:]))
    assert change.abs().max() > 0 and (change * (1 - inside)).abs().max() == 0
    assert run.queries == len(run)
    with pytest.raises(BadSetting, match="left < right"):
        engine.submit(replace(RECIPE, region=Region(0.5, 0, 0.5, 1)))
