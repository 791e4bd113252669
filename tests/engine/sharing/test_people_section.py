"""How alike the pictures are and the twin's perturbation are in the report, and nothing where nothing was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from attacks.contract import Stop
from components.take_home.voice import voice
from engine.engine import Engine
from engine.inside.computed import Computed, Key
from engine.inside.people import Similarity, perturbed
from engine.inside.similarity import structural_similarity
from engine.recipe import Recipe
from engine.run import Floats, Run
from engine.sharing import inside_section, people_section
from engine.sharing.voice import ENGLISH, percent
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 6, "step_size": 1 / 255}, target=2, stop=Stop("steps"))


@pytest.fixture
def runs() -> Iterator[tuple[Engine, Run, Run]]:
    with small_model.engine(small_model.Gate()) as engine:
        both = [engine.submit(replace(RECIPE, model=name)) for name in ("small", "smaller")]
        for run in both:
            list(engine.follow(run))
        yield engine, both[0], both[1]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Computed:
    remembered = Computed()
    for module in (people_section, inside_section):
        monkeypatch.setattr(module, "COMPUTED", remembered)
    return remembered


def shown(run: Run, step: int) -> Floats:
    return run.picture(step).astype(np.float32)


def test_nothing_is_said_of_what_was_not_computed(runs: tuple[Engine, Run, Run], known: Computed) -> None:
    assert people_section.parts(runs[1], ENGLISH) == ""


def test_the_similarity_of_the_last_step_that_was_looked_at(
    runs: tuple[Engine, Run, Run], known: Computed
) -> None:
    _, run, _ = runs
    alike = {step: Similarity(structural_similarity(run.start, shown(run, step))) for step in (6, 3)}
    for step, one in alike.items():
        known.ask_nobody(Key(run.id, "people", step), partial(iter, [one]))
    html = str(people_section.parts(run, ENGLISH))
    assert alike[6].ssim != alike[3].ssim
    assert f"the picture of step 6: {alike[6].ssim:.5f}, where 1" in html
    assert "结构相似度" in str(inside_section.section(run, voice("zh")))


def test_both_perturbations_stand_beside_each_other(runs: tuple[Engine, Run, Run], known: Computed) -> None:
    _, run, twin = runs
    both = (perturbed(run, 6), perturbed(twin, 6))
    known.ask_nobody(Key(run.id, "twin", 6, ("smaller",)), lambda: iter(both))
    html = str(people_section.parts(run, ENGLISH))
    assert html.count("<img") == 4 and html.count("<figcaption>") == 2
    (best,) = run.top(6, 1)
    words = "fooled" if best.index == 2 else "not fooled"
    before = run.labels[run.original]
    assert f"Small, {words} after 6 steps: {before} → {best.label}, {percent(best.probability)}" in html
    assert f"l2 {run.figures(6)['l2']:.3g}" in html
