"""Chapters 2, 3 and 8 of the tour: their numbers against arithmetic done otherwise, and their pages."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from streamlit.testing.v1 import AppTest
from torch import nn

import experiments
import models
from app import service
from attacks.contract import Criterion
from components.i18n import preferences
from components.i18n.text import phrases, texts
from errors import MissingData
from experiments.cache import Store
from experiments.core import run
from experiments.datasets import superclasses
from experiments.datasets.photos import open_named
from experiments.evans2016 import imbalance
from experiments.evans2016.confusion import Photo, superclass_figures
from experiments.evans2016.imbalance import Imbalance
from experiments.evans2016.resistance import EVERYDAY, Medians, Pair, Resistance, columns, measure, table
from experiments.karpathy2015 import linear, templates
from experiments.toolkit.image_sheets import colour, read
from settings import RESULTS, SAMPLES

CHAPTERS = ("five_pixels", "templates", "resistance")


@pytest.fixture
def small(monkeypatch, tmp_path):
    """No data folder: the samples, and scikit-learn's digits."""
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))


def page(name, **state):
    app = AppTest.from_string(
        f"from app import lessons\nlessons.registry()[{name!r}].render()", default_timeout=120
    )
    for key, value in state.items():
        app.session_state[key] = value
    return app.run()


def shipped(kind):
    result = experiments.shipped(kind)
    assert result is not None
    return result


def written(app):
    html = [each.proto.body for each in app.get("html")]
    return "\n".join([*html, *(each.value for each in [*app.markdown, *app.caption])])


def test_five_pixels_that_score_794_are_found_and_differ():
    found = [linear.find(seed) for seed in range(20)]
    for each in found:
        x = each.pixels
        assert all(0 <= v <= 255 for v in x)
        assert 23 * x[0] - 3 * x[1] + 9 * x[2] + 2 * x[3] - 5 * x[4] == 794
    assert len({each.pixels for each in found}) == 20 and linear.find(3) == found[3]


def test_the_census_against_counting_one_by_one():
    """Of fewer levels all pictures can be counted; of 256 the marginal sums must agree."""
    x = np.array(list(itertools.product(range(0, 256, 51), repeat=5)))
    scores = x @ np.array(linear.WEIGHTS)
    assert scores.min() == -2040 and scores.max() == 8670
    counted = linear.census()
    assert counted.pictures == 256**5
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 256, (400_000, 5)) @ np.array(linear.WEIGHTS)
    for share, event in (
        (counted.one, drawn >= linear.edge()),
        (counted.unsure, np.abs(drawn) < math.log(99)),
        (counted.certain, drawn == 794),
    ):
        expected = share / 256**5
        assert event.mean() == pytest.approx(expected, abs=4 * math.sqrt(expected / 400_000))


def test_794_is_one_in_float64_and_the_edge_is_where_it_becomes_one():
    assert linear.logistic(794) == 1.0 == linear.logistic(linear.edge())
    assert linear.logistic(linear.edge() - 1) < 1 and linear.logistic(-2040) == 0
    assert linear.logistic(2) == pytest.approx(1 - linear.logistic(-2))


def test_karpathys_ten_numbers():
    before, after = linear.score(linear.X, linear.W), linear.score(linear.moved(0.5), linear.W)
    assert (before, after) == (-3, 2) and linear.tipping() == pytest.approx(0.3)
    assert round(linear.logistic(before), 4) == 0.0474 and round(linear.logistic(after), 2) == 0.88
    assert max(abs(a - b) for a, b in zip(linear.moved(0.5), linear.X, strict=True)) == 0.5


def test_the_button_puts_794_into_the_sliders():
    app = page("five_pixels")
    app.button[0].click().run()
    levels = [each.value for each in app.slider if each.max == 255]
    assert linear.score(levels) == 794 and "**794**" in written(app)
    first = levels
    app.button[0].click().run()
    levels = [each.value for each in app.slider if each.max == 255]
    assert levels != first and linear.score(levels) == 794


def blots(n=120, k=3, side=8):
    """Return noisy fields of one colour each, by class."""
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(n) % k
    x = 0.5 + 0.1 * torch.randn((n, 3, side, side), generator=rng)
    x[torch.arange(n), y] += 0.08
    return x.clamp(0, 1).numpy(), y.numpy()


def test_softmax_regression_is_at_its_optimum_and_decay_makes_it_smooth():
    x, y = blots()
    nets = [templates.fit(x, y, decay, 300) for decay in (1e-3, 1.0)]
    w, b = nets[1]
    p = softmax(nets[1].logits(x), axis=1) - np.eye(3)[y]
    gradient = p.T @ (x.reshape(len(x), -1) - 0.5) / len(y) + 1.0 * w.reshape(3, -1)
    assert np.abs(gradient).max() < 1e-4
    assert templates.rough(nets[1].weights) < templates.rough(nets[0].weights)
    assert (nets[1].logits(x).argmax(1) == y).mean() > 0.9
    assert [templates.asks(each) for each in templates.centred(w)] == ["red", "green", "blue"]


def test_distance_and_least_alpha_of_a_linear_classifier():
    x, y = blots()
    net = templates.fit(x, y, 1.0, 100)
    far = net.distances(x, y)
    row = int(np.flatnonzero(far > 0)[0])
    flat = net.weights.reshape(3, -1)
    ways = [(j, flat[j] - flat[y[row]]) for j in range(3) if j != y[row]]
    for factor, flipped in ((0.999, False), (1.001, True)):
        moved = [x[row].ravel() + factor * far[row] * way / np.linalg.norm(way) for _, way in ways]
        said = [int(net.logits(each.reshape(1, 3, 8, 8)).argmax()) for each in moved]
        assert any(s != y[row] for s in said) is flipped
    target = (int(y[row]) + 1) % 3
    least = net.least(x[row], target)
    assert least is not None
    for alpha, met in ((least, True), (least - 0.001, False)):
        assert (int(net.logits(net.added(x[row : row + 1], target, alpha)).argmax()) == target) is met


def test_a_template_is_read_back_from_its_picture_to_within_a_level():
    levels = np.random.default_rng(0).random((3, 8, 8), np.float32)
    assert np.abs(read(colour(levels)) - levels).max() <= 0.5 / 255 + 1e-6
    noisiest = shipped(templates.Templates).figures.decays[0]
    net = templates.opened(noisiest)
    assert net.weights.shape == (10, 3, 32, 32)
    assert float(np.abs(net.weights).max()) == pytest.approx(noisiest.top, rel=0.01)


def test_the_shipped_templates_say_what_is_claimed():
    result = shipped(templates.Templates)
    rows = result.figures.decays
    assert all(result.claims.values()) and len(rows) == len(templates.DECAYS)
    far = [row.distance.value for row in rows]
    assert far == sorted(far) and far[-1] > 5 * far[0]
    size = (RESULTS / "templates.json").stat().st_size
    assert size < 400_000


def test_templates_are_trained_where_the_photos_are(shared, tmp_path, monkeypatch):
    shared("animals_160.tar")
    monkeypatch.setattr(templates, "DECAYS", (1e-3, 1.0))
    result = run(templates.Templates(n=12, iterations=20), Store(tmp_path))
    first, last = result.figures.decays[0], result.figures.decays[-1]
    assert first.train.value < last.train.value
    assert first.rough > last.rough and len(first.pictures) == 10


def test_without_photos_there_are_no_new_templates(small):
    assert not templates.here()
    with pytest.raises(MissingData):
        templates.small_photos("", 10, 99)


def test_just_enough_of_a_template_fools_the_classifier():
    app = page("templates")
    assert not app.exception
    next(each for each in app.button if "enough" in each.label).click().run()
    alpha = next(each for each in app.slider if each.key == "templates_alpha").value
    target = next(each for each in app.selectbox if each.key == "templates.target")
    assert alpha > 0
    after = written(app).split('class="marked"')[1]
    assert templates.CLASSES[target.value] in after.split("</li>")[0]


def flat_net(classes=4, values=12):
    """Return a linear network of a picture of 12 values, and its weights."""
    rng = torch.Generator().manual_seed(1)
    layer = nn.Linear(values, classes).requires_grad_(False)
    layer.weight.copy_(torch.randn((classes, values), generator=rng))
    layer.bias.zero_()
    return nn.Sequential(nn.Flatten(), layer), layer.weight


def test_the_least_change_against_the_closed_form_and_leaving_a_superclass():
    net, w = flat_net()
    x = 0.5 + 0.02 * torch.randn((6, 3, 2, 2), generator=torch.Generator().manual_seed(2))
    y = net(x).argmax(1)
    far, answer = superclasses.least(net, x, Criterion(y, targeted=False), 200)
    scores = net(x)
    gaps = (scores.gather(1, y[:, None]) - scores) / torch.cdist(w[y], w).clamp(min=1e-9)
    exact = gaps.scatter(1, y[:, None], math.inf).amin(1)
    assert torch.allclose(far, exact, rtol=0.03)
    assert (answer != y).all()
    inside = torch.zeros(4, dtype=torch.bool)
    inside[y[0]] = inside[(y[0] + 1) % 4] = True
    same = y == y[0]
    leave, out = superclasses.least(net, x[same], superclasses.Leaving(y[same], False, inside), 200)
    assert not inside[out].any()
    assert (leave >= far[same] * 0.97).all()


def test_superclasses_of_networks():
    imagenet = superclasses.superclasses(models.card("mobilenet_v2"))
    labels = models.card("mobilenet_v2").labels
    assert len(imagenet["dogs"]) == 118
    assert labels[151].lower() == "chihuahua" and "hairless" in labels[268].lower()
    own = superclasses.superclasses(models.card("photos"))
    assert next(iter(own)) == "animals" and len(own["vehicles"]) == 6
    assert sum(map(len, own.values())) == len({c for classes in own.values() for c in classes})


def test_a_cell_is_measured_and_a_table_drawn_while_it_fills(small, tmp_path):
    experiment = Resistance(n=1, steps=10)
    assert experiment.images() == ["dog"]
    model = models.load("photos")
    x = model.card.preprocess(open_named("cat"))
    assert measure(model, x, int(model(x[None]).argmax()), 10).own
    dog = model.card.label_index("dog")
    measured = measure(model, x, dog, 20)
    assert measured.distance and measured.steps
    assert not measured.own and 0.1 < measured.distance < 3 and 1 <= measured.steps <= 20
    drawn = table(model.card, ["cat", "coffee"], {Pair("photos", "cat", dog): measured})
    assert sum(cell is not None for row in drawn.cells for cell in row) == 1
    assert drawn.medians == Medians(measured.distance, None, None, None)
    assert len(experiment.stages()) == len(columns(model.card)) == 8


def test_a_visitors_photo_gets_a_row_and_nothing_of_it_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    monkeypatch.setattr("experiments.evans2016.resistance.ROWS", ("cat",))
    monkeypatch.setattr("experiments.evans2016.resistance.EVERYDAY", EVERYDAY[:2])
    token = service.engine().uploads.add((SAMPLES / "coffee.jpg").read_bytes(), "mine.jpg")
    script = "from app.lessons.tour.resistance import render\nrender()"
    app = AppTest.from_string(script, default_timeout=120)
    app.query_params["model"], app.query_params["image"] = "photos", token
    press = next(button for button in app.run().button if button.label.startswith("Measure it here"))
    press.click().run()
    assert not app.exception and not app.error
    (result,) = [app.session_state[key] for key in app.session_state if key.startswith("resistance.Subject")]
    first, second = result.figures.networks["photos"].rows
    assert first.image == token and first.answer == "cup" and second.image == "cat"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_stays_in_a_superclass_is_counted():
    photos = [Photo(1.0, 2.0, 1, 2), Photo(2.0, 2.0, 33, 2), Photo(math.inf, 3.0, 2, 2)]
    figures = superclass_figures("photos", "animals", photos)
    assert figures.stays.value == 0.5 and figures.lost == 1 and figures.farther.value == 1.5
    assert figures.chance == pytest.approx((figures.size - 1) / (figures.of - 1))


def test_an_unbalanced_training_set_has_as_many_digits_in_all():
    y = torch.arange(5000) % 10
    sizes = {kind: imbalance.counts(y, 200, kind) for kind in imbalance.KINDS}
    assert sizes["ten times"][3] == 200 == 10 * sizes["ten times"][0]
    assert sum(sizes["ten times"]) == sum(sizes["balanced"]) == 740
    rows = imbalance.drawn(y, sizes["ten times"], torch.Generator().manual_seed(0))
    assert torch.bincount(y[rows]).tolist() == sizes["ten times"] and len(set(rows.tolist())) == 740


def test_an_over_represented_superclass_is_harder_to_leave(small, tmp_path, monkeypatch):
    monkeypatch.setattr(imbalance, "PASSES", 15)
    result = run(Imbalance(n=20, many=120, seeds=2, steps=20), Store(tmp_path))
    figures = result.figures
    assert figures.more.leave.value > 0 and figures.more.other_error.value > 0
    for kind in imbalance.KINDS:
        assert figures.kinds[kind].leave.value > 0.9 * figures.kinds[kind].near.value


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_speaks_chinese_and_formulas(name):
    app = page(name, lang="zh", register="maths")
    assert not app.exception and not app.error
    said = texts(name, "zh")
    whole = written(app)
    assert app.header[0].value == said["title"] and said["maths"] in whole
    assert said["story"] not in whole and preferences.LANGUAGES["zh"]
    known = phrases("zh")
    labels = [each.label for each in [*app.button, *app.slider, *app.selectbox] if each.label]
    english = {each for each in labels if each.isascii() and each in known}
    assert not english


def test_results_and_claims_are_in_chinese():
    known = phrases("zh")
    for name in ("templates", "resistance", "confusion", "imbalance"):
        claims = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["claims"]
        assert claims and set(claims) <= set(known), name
