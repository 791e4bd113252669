"""The paragraph “In words” of real runs: of a digit network, with and without a target, in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from app.inside import words_part
from app.inside.looking import Look
from attacks.contract import Stop
from components.i18n.text import phrases
from engine.engine import Engine
from engine.inside import computed, words
from engine.recipe import Recipe
from engine.run import Run

STEPS = 8
Clauses = dict[str, tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    running = Engine()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.inside.looking.COMPUTED", computed.Computed())


def attacked(engine: Engine, target: int | None, epsilon: float, model: str = "lenet") -> Run:
    params = {"steps": STEPS, "epsilon": epsilon, "step_size": epsilon / 4}
    run = engine.submit(Recipe(model, "seven", "bim", params, target=target, stop=Stop("steps")))
    assert len(list(engine.follow(run))) == STEPS + 1
    return run


@dataclass(frozen=True)
class Case:
    """A run on a digit, towards a target or away from 7."""

    target: int | None
    epsilon: float
    run: Run


@pytest.fixture(params=[(3, 0.4), (None, 0.3), (None, 0.004)])
def case(engine: Engine, request: pytest.FixtureRequest) -> Case:
    target, epsilon = request.param
    return Case(target, epsilon, attacked(engine, target, epsilon))


def paragraph(engine: Engine, run: Run, step: int, language: str) -> tuple[Clauses, str]:
    """Return the facts of each sentence and of what it rests on, by its template; and the text as a reader of
    ``language`` sees it, what it rests on in brackets."""
    known = phrases(language, part="inside") if language != "en" else {}
    *_, last = words_part.lines(Look(engine, run, words_part.PART, step, {}, language))
    written = [(clause["said"], clause["rests"]) for clause in last["clauses"]]
    facts = {sentence[0]: (sentence[1], rests[1]) for sentence, rests in written}
    pairs = [[known.get(t, t).format(**values) for t, values in pair] for pair in written]
    return facts, " ".join(f"{sentence} ({rests})" for sentence, rests in pairs)


def logits(engine: Engine, run: Run, step: int) -> torch.Tensor:
    """Return what the network says at a step, asked by itself."""
    answer: torch.Tensor = engine.model("lenet")(torch.tensor(run.picture(step))[None])[0]
    return answer


def test_a_digit_networks_paragraph_says_what_happened(engine: Engine, case: Case) -> None:
    run, target, epsilon = case.run, case.target, case.epsilon
    facts, text = paragraph(engine, run, STEPS, "en")
    answers = logits(engine, run, STEPS)
    best = int(answers.argmax())
    fooled = best == target if target is not None else best != 7
    assert fooled == (epsilon > 0.1) and facts[words.CLEAN][0]["original"] == "7"
    if fooled:
        sentence, rests = facts[words.FOOLED]
        since, named = rests["since"], sentence["since"]
        steps = [int(logits(engine, run, step).argmax()) for step in range(STEPS + 1)]
        assert sentence["goal"] == str(best) and set(steps[named:]) == {best} and steps[named - 1] != best
        assert all((step == target if target is not None else step != 7) for step in steps[since:])
        assert f"it says “{best}”" in text and words.NOT_FOOLED not in facts
    else:
        sentence, _ = facts[words.NOT_FOOLED]
        rival = int(answers.index_fill(0, torch.tensor(7), -torch.inf).argmax())
        assert sentence["goal"] == str(rival)
        assert float(sentence["behind"]) == pytest.approx(float(answers[7] - answers[rival]), rel=0.02)
    assert words.ELSEWHERE not in facts and "not the target" not in text
    levels = float(facts[words.SIZE][0]["levels"])
    assert levels == pytest.approx(255 * float(np.abs(run.picture(STEPS) - run.start).max()), rel=0.01)


def test_the_chinese_paragraph_has_the_same_figures_and_no_english(engine: Engine, case: Case) -> None:
    facts, english = paragraph(engine, case.run, STEPS, "en")
    same, chinese = paragraph(engine, case.run, STEPS, "zh")
    assert facts.keys() == same.keys() and "“7”" in chinese
    assert sorted(re.findall(r"[\d.]+\d", english)) == sorted(re.findall(r"[\d.]+\d", chinese))
    assert not re.findall(
        r"[A-Za-z]{3,}", re.sub("Grad-CAM|logit|linf|margin|relu|conv[12]|fc[12]", "", chinese)
    ), chinese


def test_a_network_without_convolutions_rests_on_integrated_gradients(engine: Engine) -> None:
    run = attacked(engine, None, 0.3, "fc100")
    facts, _ = paragraph(engine, run, STEPS, "en")
    moved = next(pair for template, pair in facts.items() if template in (words.MOVED_AWAY, words.STAYED))
    assert moved[1]["method"] == "integrated gradients"
    assert "积分梯度" in paragraph(engine, run, STEPS, "zh")[1]


def test_before_anything_changed_it_says_only_that(engine: Engine) -> None:
    run = attacked(engine, None, 0.3)
    facts, text = paragraph(engine, run, 0, "en")
    assert list(facts) == [words.CLEAN, words.UNTOUCHED] and "“7”" in text
    untouched = phrases("zh", part="inside")[words.UNTOUCHED]
    assert untouched != words.UNTOUCHED and untouched in paragraph(engine, run, 0, "zh")[1]
