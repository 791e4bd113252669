"""The paragraph says what the figures say: other figures, other words; what was not computed is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from attacks.contract import Stop
from components.i18n.text import phrases
from engine.inside import words
from engine.inside.composition import composition
from engine.inside.layers import Distances, Layer, Profile
from engine.inside.words import Shares, clauses, first_moved, fooled_since
from engine.recipe import Recipe
from engine.sharing.voice import percent
from models.core import Classifier
from tests.support import small_model

ANSWERS = (words.FOOLED, words.ELSEWHERE, words.NOT_FOOLED)
RECIPE = Recipe("small", "cat", "bim", {"steps": 8, "epsilon": 40 / 255}, target=2, stop=Stop("steps"))


@pytest.fixture
def engine():
    with small_model.engine(small_model.Gate()) as made:
        yield made


def finished(engine, recipe=RECIPE):
    run = engine.submit(recipe)
    list(engine.follow(run))
    return run


def profile(towards, changed, changed_length=4.0, noise_length=1.0):
    layers = tuple(Layer(f"network.{index}", "Conv2d", (1, 2, 2)) for index in range(len(changed)))
    lengths = [np.full(len(changed), length, np.float32) for length in (changed_length, noise_length)]
    far = Distances(np.array(changed, np.float32), lengths[0])
    still = Distances(np.zeros(len(changed), np.float32), lengths[1])
    near = None if towards is None else Distances(np.array(towards, np.float32), lengths[0])
    return Profile(layers, far, still, near and far, near)


def text(run, step, shares=None, answer=None):
    sentences = [clause.sentence for clause in clauses(run, step, shares, answer)]
    return [template.format(**facts) for template, facts in sentences]


def templates(run, step, shares=None, answer=None):
    return [clause.sentence[0] for clause in clauses(run, step, shares, answer)]


def test_a_run_that_fooled_says_since_when_and_one_that_did_not_says_so(engine):
    run = finished(engine)
    last = len(run) - 1
    assert run.succeeded(last)
    since = fooled_since(run, last)
    assert run.succeeded(since) and not run.succeeded(since - 1)
    assert f"Since step {since} it says “class 2”" in text(run, last)[1]
    weak = finished(engine, replace(RECIPE, params={"steps": 8, "epsilon": 0.1 / 255}))
    said = text(weak, len(weak) - 1)
    assert f"it still says “class {weak.original}”" in said[1] and "it is not fooled" in said[1]
    assert not any("Since step" in sentence for sentence in said)


def test_without_a_target_it_says_since_when_it_says_what_it_says_now(engine):
    settings = {"steps": 12, "epsilon": 160 / 255, "step_size": 4 / 255}
    run = finished(engine, replace(RECIPE, image="coffee", params=settings, target=None))
    last, best = len(run) - 1, [run.top(step, 1)[0] for step in range(len(run))]
    since = max(step for step in range(last) if best[step].index != best[last].index) + 1
    assert fooled_since(run, last) < since, "it is to change between other classes"
    assert f"Since step {since} it says “{best[last].label}”" in text(run, last)[1]


def test_without_a_target_the_class_behind_is_the_one_that_the_margin_is_about(engine):
    settings = {"steps": 20, "epsilon": 40 / 255, "step_size": 0.3 / 255}
    run = finished(engine, replace(RECIPE, image="citrus", params=settings, target=None))
    network, goals = Classifier(small_model.card(), small_model.SmallNet()), []
    for step in range(1, len(run)):
        (sentence,) = [c.sentence for c in clauses(run, step, None, None) if c.sentence[0] in ANSWERS]
        logits = network(torch.tensor(run.picture(step))[None])[0]
        others = logits.clone()
        others[run.original] = -torch.inf
        rival = int(others.argmax())
        assert sentence[1]["goal"] == f"class {rival}" and sentence[0] != words.ELSEWHERE
        behind = float(logits[run.original] - logits[rival])
        assert (sentence[0] == words.NOT_FOOLED) == (behind >= 0)
        assert float(sentence[1]["behind"]) == pytest.approx(behind, rel=0.02, abs=0.01)
        goals.append((sentence[0], rival))
    assert (goals[0][0], goals[-1][0]) == (words.NOT_FOOLED, words.FOOLED)
    assert goals[0][1] != goals[-1][1], "at first another class is to be next"


def test_the_figures_are_the_runs(engine):
    run = finished(engine)
    for step in (1, len(run) - 1):
        size, rests = clauses(run, step, None, None)[2].sentence, clauses(run, step, None, None)[2].rests
        largest = run.figures(step)["linf"]
        assert float(size[1]["levels"]) == pytest.approx(255 * largest, rel=0.01)
        assert float(rests[1]["value"]) == pytest.approx(largest, abs=1e-4)
    first = clauses(run, 1, None, None)[0]
    assert float(first.rests[1]["value"]) == pytest.approx(
        run.prediction(0, run.original).probability, abs=1e-4
    )


def test_what_was_not_computed_is_not_said(engine):
    run = finished(engine)
    assert templates(run, 3) == [words.CLEAN, templates(run, 3)[1], words.SIZE, words.SPECTRUM]
    assert templates(run, 0) == [words.CLEAN, words.UNTOUCHED]
    without = templates(run, 3, None, profile(None, [0.5, 0.5]))
    assert words.BEYOND in without and words.PARTED not in without and words.NOT_PARTED not in without


def test_other_figures_are_other_words(engine):
    run = finished(engine)
    parted = text(run, 3, None, profile([0.9, 0.4, 0.3], [0.1, 0.5, 0.6]))
    assert any("from layer 2 of 3 on, 1." in sentence for sentence in parted)
    assert any("4 times as far" in sentence for sentence in parted)
    later = text(run, 3, None, profile([0.9, 0.9, 0.3], [0.1, 0.5, 0.6], changed_length=9))
    assert any("from layer 3 of 3 on, 2." in sentence for sentence in later)
    assert any("9 times as far" in sentence for sentence in later)
    never = templates(run, 3, None, profile([0.9, 0.4, 0.9], [0.1, 0.5, 0.6]))
    assert words.NOT_PARTED in never and words.PARTED not in never


def spectrum(run, step):
    sentences = [clause.sentence for clause in clauses(run, step, None, None)]
    (facts,) = [facts for template, facts in sentences if template == words.SPECTRUM]
    return {name: float(str(share).removeprefix("< ").split()[0]) for name, share in facts.items()}


def test_the_spectrum_is_that_of_the_change(engine):
    run = finished(engine)
    own = spectrum(run, len(run) - 1)
    run._latest = np.clip(0.9 * run.start, 0, 1)  # a change as smooth as the picture
    smooth = spectrum(run, len(run) - 1)
    assert smooth["low"] > 80 > own["low"] and smooth["noise_low"] < 10


def test_the_figures_of_the_spectrum_add_up_to_its_sentence(engine):
    run = finished(engine)
    (clause,) = [one for one in clauses(run, len(run) - 1, None, None) if one.sentence[0] == words.SPECTRUM]
    low, _, high = composition(run.picture(len(run) - 1) - run.picture(0)).shares
    assert clause.rests[1]["low"] == f"{low:.4f}" and clause.rests[1]["high"] == f"{high:.4f}"
    assert clause.sentence[1]["high"] == percent(high) and 0 < high < 1


def test_attention_has_moved_when_it_is_nearer_to_chance(engine):
    run = finished(engine)
    stayed, moved = Shares("m", ((0, 0.8), (2, 0.3), (4, 0.6))), Shares("m", ((0, 0.8), (2, 0.6), (4, 0.4)))
    assert first_moved(stayed) is None and first_moved(moved) == 4
    assert words.STAYED in templates(run, 4, stayed) and words.MOVED_AWAY in templates(run, 4, moved)
    (sentence,) = [s for s in text(run, 4, moved) if "had left" in s]
    assert "By step 4" in sentence and "40 % of it" in sentence and "of 80 % in the original" in sentence


def test_every_template_is_in_chinese_and_takes_its_facts(engine):
    run = finished(engine)
    shares = Shares("m", ((0, 0.8), (3, 0.3)))
    known = phrases("zh", part="inside")
    for answer in (profile([0.9, 0.4], [0.1, 0.5]), profile([0.9, 0.9], [0.1, 0.5])):
        for clause in clauses(run, 3, shares, answer):
            for template, facts in (clause.sentence, clause.rests):
                assert template in words.TEMPLATES and known[template].format(**facts)
    assert set(words.TEMPLATES) <= known.keys()
