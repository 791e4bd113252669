"""Files of a run: what is said of them is read off their own bytes, and they keep to their budget."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import models
from attacks.contract import Stop
from engine.engine import Engine
from engine.export.carried import WHOLE, Format, encode
from engine.export.exports import Exports
from engine.export.making import Subject, Wanted
from engine.export.view import View
from engine.images.sources import decode
from engine.jobs import criterion_of
from engine.recipe import Recipe
from engine.robustness.corruptions import jpeg
from engine.run import Run
from errors import BadSetting, UnknownName
from models.core import Crop
from tests.support import small_model


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with small_model.engine(small_model.Gate()) as made:
        yield made


def finished(engine: Engine, recipe: Recipe) -> Run:
    run = engine.submit(recipe)
    list(engine.follow(run))
    assert run.succeeded(len(run) - 1), run.sentence()
    return run


@pytest.fixture(scope="module")
def minimal(engine: Engine) -> Run:
    return finished(engine, Recipe("small", "cat", "deepfool"))


@pytest.fixture(scope="module")
def budget(engine: Engine) -> Run:
    second = engine.classify("small", "cat")[1].index
    params = {"steps": 40, "epsilon": 16 / 255, "step_size": 2 / 255}
    return finished(engine, Recipe("small", "cat", "bim", params, second, stop=Stop("probability", 0.6)))


def test_the_verdict_is_what_the_network_says_of_the_very_bytes(engine: Engine, budget: Run) -> None:
    card = small_model.card()
    for kind, crop in (("network", WHOLE), ("photo", None)):
        for format in ("png", "jpg", "webp"):
            export = engine.export(budget, Wanted(kind, len(budget) - 1, True, format))  # type: ignore[arg-type]
            x = card.preprocess(decode(export.data), crop)
            p = engine.logits("small", x[None])[0].softmax(0)
            assert export.verdict.label == card.labels[int(p.argmax())]
            assert export.verdict.probability == pytest.approx(float(p.max()), abs=1e-4)
            assert export.verdict.success == (int(p.argmax()) == budget.recipe.target)
            assert export.name.endswith(f".{format}") and "cat" not in export.name


@pytest.mark.parametrize("kind", ["network", "photo"])
def test_a_finished_minimal_attack_fools_from_the_file(engine: Engine, minimal: Run, kind: str) -> None:
    last = len(minimal) - 1
    saved = engine.export(minimal, Wanted(kind, last, True)).verdict  # type: ignore[arg-type]
    assert saved.success and saved.label != saved.original
    levels = 255 * saved.linf
    assert levels == pytest.approx(round(levels), abs=1e-4)
    if kind == "network":
        assert levels <= 255 * (minimal.figures(last)["linf"] or 0) + 1.001


def test_a_finished_budget_keeps_its_budget_and_is_as_sure(engine: Engine, budget: Run) -> None:
    last = len(budget) - 1
    for kind in ("network", "photo"):
        saved = engine.export(budget, Wanted(kind, last, True)).verdict
        assert saved.success and saved.linf <= 16 / 255 + 1e-6
        assert saved.probability >= budget.top(last, 1)[0].probability - 0.01


def test_what_somebody_saves_as_jpeg_still_fools(
    shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, card = Engine(), models.card(models.FIRST)
    photo = shared("photos/peacock-90051_640.jpg")
    image, target = engine.uploads.add(photo.read_bytes(), photo.name), card.label_index("vulture")
    params = {"steps": 60, "epsilon": 4 / 255}
    run = finished(engine, Recipe(card.name, image, "bim", params, target, stop=Stop("probability", 0.95)))

    def share() -> float:
        """Return the target's probability once the file was saved as JPEG 90, with colour at half the
        resolution, as is usual."""
        export = Exports(engine).get(run, Wanted("photo", len(run) - 1, True))
        assert export.verdict.success and 255 * export.verdict.linf <= 4.001
        x = card.preprocess(jpeg(90)(decode(export.data)))
        return float(engine.logits(card.name, x[None])[0].softmax(0)[target])

    assert share() > 0.8
    monkeypatch.setattr(Subject, "_saved_again", lambda self, goal, finished, room: finished)
    assert share() < 0.5, "finished as a PNG alone it would be lost"
    engine.close()


@pytest.mark.parametrize("format", ["jpg", "webp"])
def test_a_finish_takes_the_file_into_account_that_changes_pixels(engine: Engine, format: Format) -> None:
    run = finished(engine, Recipe("small", "panda", "deepfool"))
    last = len(run) - 1
    saved = engine.export(run, Wanted("network", last, True)).data
    x = small_model.card().preprocess(decode(encode(decode(saved), format)), WHOLE)
    assert not criterion_of(run).met(engine.logits("small", x[None]))[0], "there is nothing to mend here"
    assert engine.export(run, Wanted("network", last, True, format)).verdict.success


def test_the_photos_own_file_has_its_size_and_leaves_the_outside_alone(engine: Engine, budget: Run) -> None:
    original = engine.picture("cat")
    export = engine.export(budget, Wanted("photo", len(budget) - 1))
    assert export.size == original.size == decode(export.data).size
    change = np.asarray(decode(export.data), np.int16) - np.asarray(original, np.int16)
    view = View(small_model.card(), original)
    weight = view.pull(np.ones((3, 16, 16), np.float32))
    assert change.any() and not change.transpose(2, 0, 1)[np.abs(weight) < 1e-9].any()


def test_the_slope_of_the_photo_is_that_of_the_networks_own_resize() -> None:
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(60, 190, (50, 70, 3), np.uint8))
    view, change = View(small_model.card(), photo), rng.integers(-40, 40, (3, 50, 70)).astype(np.int16)
    grad = rng.normal(size=(3, 16, 16)).astype(np.float32)
    seen = (view.see(change) - view.see(0 * change))[0].numpy()
    # rounding to levels, twice, leaves at most one level a value
    assert float((view.pull(grad) * change).sum()) == pytest.approx(float((grad * seen).sum()), abs=0.5)
    delta = rng.uniform(-0.02, 0.02, (3, 16, 16)).astype(np.float32)
    rows, columns = (weights.toarray() for weights in view._weights)
    assert np.abs(rows @ view.lift(delta) @ columns.T / 255 - delta).max() < 1e-4


@pytest.mark.parametrize("size", [(224, 224), (100, 150)])
def test_a_small_photo_is_changed_no_more_than_the_network_sees(size: tuple[int, int]) -> None:
    """A pixel at the edge, of which the network sees next to nothing, keeps about its level."""
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8))
    view = View(models.card(models.FIRST), photo)  # which cuts the edge off, and enlarges what is left
    delta = rng.uniform(-0.02, 0.02, (3, 224, 224)).astype(np.float32)
    lifted = view.lift(delta)
    assert lifted.shape == (3, *size)
    assert 0 < np.abs(lifted).max() < 10 * 255 * 0.02


def test_another_step_and_one_that_is_not_there(engine: Engine, budget: Run) -> None:
    assert engine.export(budget, Wanted("network", 0)).verdict.linf == 0
    with pytest.raises(UnknownName, match="Expected a step"):
        engine.export(budget, Wanted("network", len(budget)))


def test_a_region_stays_a_region_in_the_photo(engine: Engine) -> None:
    from engine.fields import Region

    recipe = Recipe("small", "cat", "bim", {"epsilon": 64 / 255, "steps": 60}, region=Region(0, 0, 0.5, 1))
    run = finished(engine, recipe)
    export = engine.export(run, Wanted("photo", len(run) - 1, True))
    change = np.asarray(decode(export.data), np.int16) - np.asarray(engine.picture("cat"), np.int16)
    assert change.any() and not change[:, int(0.6 * change.shape[1]) :].any()


def test_a_file_at_the_networks_size_goes_back_in_whole(engine: Engine, budget: Run) -> None:
    export = engine.export(budget, Wanted("network", len(budget) - 1, True))
    token = engine.uploads.add(export.data)
    again = engine.classify("small", token)[0]
    assert again.label == export.verdict.label
    assert again.probability == pytest.approx(export.verdict.probability, abs=1e-4)
    plain = io.BytesIO()
    decode(export.data).save(plain, "PNG")
    assert engine.uploads.carried(engine.uploads.add(plain.getvalue())) is None


def test_where_a_network_resizes_first_its_file_goes_back_in_whole_too(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture at the network's size is neither enlarged nor cropped on its way back in."""
    entry = models.registry()["small"]
    monkeypatch.setitem(models._shipped(), "small", replace(entry, card=replace(entry.card, resize=20)))
    second = engine.classify("small", "rocket")[1].index
    params = {"steps": 40, "epsilon": 16 / 255, "step_size": 2 / 255}
    run = finished(engine, Recipe("small", "rocket", "bim", params, second, stop=Stop("success")))
    export = engine.export(run, Wanted("network", len(run) - 1, True))
    token = engine.uploads.add(export.data)
    seen = engine.preprocess(replace(run.recipe, image=token))
    assert np.array_equal(seen, torch.from_numpy(np.array(decode(export.data))).permute(2, 0, 1) / 255)
    again = engine.classify("small", token)[0]
    assert again.index == second and again.label == export.verdict.label
    assert again.probability == pytest.approx(export.verdict.probability, abs=1e-4)


def test_every_query_of_an_8_bit_run_is_in_whole_levels(engine: Engine) -> None:
    recipe = Recipe("small", "cat", "pgd", {"steps": 10, "epsilon": 4.6 / 255}, eight_bit=True)
    run = engine.submit(recipe)
    list(engine.follow(run))
    levels = 255 * torch.from_numpy(run.picture(len(run) - 1))
    assert (levels - levels.round()).abs().max() < 1e-3
    change = levels - 255 * torch.from_numpy(run.picture(0))
    assert 0 < change.abs().max() <= 4.001
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    with pytest.raises(BadSetting, match="at least 1/255"):
        engine.submit(Recipe("small", "cat", "pgd", {"epsilon": 0.5 / 255}, eight_bit=True))


@pytest.mark.parametrize("mode", ["RGBA", "CMYK", "I;16", "tiny", "large", "48 megapixels"])
def test_odd_originals(engine: Engine, mode: str) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (40, 60, 3), np.uint8)
    picture, format = Image.fromarray(pixels), "PNG"
    if mode == "CMYK":
        picture, format = picture.convert("CMYK"), "TIFF"
    elif mode == "I;16":
        picture = Image.fromarray(rng.integers(0, 65536, (40, 60)).astype(np.uint16))
    elif mode == "tiny":
        picture = picture.resize((9, 7))
    elif mode == "large":
        picture, format = picture.resize((2600, 400)), "JPEG"
    elif mode == "48 megapixels":
        picture, format = picture.resize((12000, 4000), Image.Resampling.NEAREST), "JPEG"
    else:
        picture = picture.convert("RGBA")
    file = io.BytesIO()
    picture.save(file, format)
    token = engine.uploads.add(file.getvalue())
    run = finished(engine, Recipe("small", token, "bim", {"epsilon": 64 / 255, "steps": 60}))
    export = engine.export(run, Wanted("photo", len(run) - 1, True))
    assert export.verdict.success and export.size == engine.picture(token).size
    assert bool(export.notes) == (mode in ("large", "48 megapixels")) and token.encode() not in export.data


def test_a_crop_of_the_run_does_not_decide_how_the_photo_is_fed_in(engine: Engine) -> None:
    recipe = Recipe("small", "cat", "bim", {"epsilon": 64 / 255, "steps": 60}, crop=Crop(0.3, 0.5, 0.6))
    run = finished(engine, recipe)
    export = engine.export(run, Wanted("photo", len(run) - 1, True))
    usual = engine.logits("small", small_model.card().preprocess(decode(export.data))[None])
    assert export.verdict.label == small_model.card().labels[int(usual.argmax())]
    assert export.verdict.success and export.verdict.label != export.verdict.original
