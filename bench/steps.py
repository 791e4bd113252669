"""The engine alone: what it adds to a bare loop, what sharing and batches save, how soon Stop acts."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from attacks.contract import Criterion, Stop
from bench.figures import Figure, figure
from engine.engine import Engine
from engine.images.sources import SUFFIXES
from engine.recipe import Recipe
from engine.run import Run
from settings import SAMPLES


def recipe(model: str, steps: int) -> Recipe:
    """Return an untargeted PGD of ``steps`` updates that nothing ends early."""
    return Recipe(model, "cat", "pgd", {"steps": steps, "random_start": False}, stop=Stop("steps"))


def bare(engine: Engine, what: Recipe) -> float:
    """Return the seconds that the recipe's steps take with nothing around them."""
    model, x = engine.model(what.model), torch.from_numpy(engine.preprocess(what))[None]
    label = torch.tensor([engine.classify(what.model, what.image)[0].index])
    criterion, attack = Criterion(label, targeted=False), what.build()
    epsilon, size, steps = (float(getattr(attack, name)) for name in ("epsilon", "step_size", "steps"))
    adv: Tensor = x
    begun = time.perf_counter()
    for _ in range(int(steps)):
        adv = adv.detach().requires_grad_()
        (grad,) = torch.autograd.grad(criterion.loss(model(adv)).sum(), adv)
        adv = (adv.detach() - size * grad.sign()).clamp(0, 1)
        adv = torch.maximum(torch.minimum(adv, x + epsilon), x - epsilon)
    with torch.no_grad():
        model(adv)
    return time.perf_counter() - begun


def through_engine(engine: Engine, what: Recipe, count: int = 1) -> float:
    """Return the seconds that ``count`` such runs take together, from the call to the last one's end."""
    begun = time.perf_counter()
    runs = [engine.submit(replace(what, seed=seed)) for seed in range(count)]
    for run in runs:
        _await(run)
    return time.perf_counter() - begun


def overhead(engine: Engine, model: str, steps: int, repeats: int) -> Figure:
    """Measure the engine against the bare loop, in turns."""
    what = recipe(model, steps)
    bare(engine, recipe(model, 5)), through_engine(engine, recipe(model, 5))
    pairs = [(through_engine(engine, what), bare(engine, what)) for _ in range(repeats)]
    return figure(
        "engine",
        f"{steps} PGD steps: engine / bare loop",
        [a / b for a, b in pairs],
        "",
        "at most 1.02",
        lambda v: v <= 1.02,
        model=model,
        seconds_bare=[round(b, 3) for _, b in pairs],
    )


def sharing(engine: Engine, model: str, steps: int, repeats: int) -> Figure:
    """Measure eight runs at once against eight times one."""
    what = recipe(model, steps)
    through_engine(engine, recipe(model, 3), 8)
    pairs = [(through_engine(engine, what, 8), through_engine(engine, what)) for _ in range(repeats)]
    return figure(
        "sharing",
        "8 runs at once / 8 x one",
        [a / (8 * b) for a, b in pairs],
        "",
        "below 1",
        lambda v: v < 1,
        model=model,
        steps=steps,
    )


def classifying(engine: Engine, model: str, pictures: int, repeats: int) -> Figure:
    """Measure so many pictures classified in batches against one after the other, in turns."""
    engine.classify(model, "cat")
    files = [file for file in sorted(SAMPLES.iterdir()) if file.suffix in SUFFIXES]
    data = [files[k % len(files)].read_bytes() for k in range(pictures)]
    pairs = []
    for _ in range(repeats):
        names = [engine.uploads.add(each) for each in data]  # new ones: an answer about an old one is known
        begun = time.perf_counter()
        for _ in engine.classify_many(model, [partial(engine.picture, name) for name in names]):
            pass
        between = time.perf_counter()
        for name in names:
            engine.classify(model, name)
        pairs.append((between - begun, time.perf_counter() - between))
    return figure(
        "classify",
        f"{pictures} pictures classified in batches / one after the other",
        [a / b for a, b in pairs],
        "",
        "below 1",
        lambda v: v < 1,
        model=model,
        pictures_per_second=[round(pictures / a, 1) for a, _ in pairs],
    )


def stopping(engine: Engine, model: str, trials: int) -> Figure:
    """Count the steps recorded after Stop or Pause was asked for: the most of all trials."""
    after = []
    for trial in range(trials):
        run = engine.submit(recipe(model, 10_000))
        run.wait(5 + trial, 60)
        act = engine.cancel if trial % 2 else engine.pause
        before = len(run)
        act(run)
        time.sleep(0.3)
        after.append(float(len(run) - before))
        engine.cancel(run)
    return figure(
        "stop",
        "steps after Stop or Pause, at most",
        [max(after)],
        "",
        "at most 1",
        lambda v: v <= 1,
        all=after,
    )


def _await(run: Run) -> None:
    while not run.over:
        run.wait(run.total + 1, 5.0)
