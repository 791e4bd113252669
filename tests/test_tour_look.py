"""Chapters 4 and 9 of the tour: the gradient and its straight line; what survives, and what is just noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

import models
from attacks.core import Query, answer
from components import reader
from experiments import first_order


@pytest.fixture(scope="module")
def net():
    return models.load("photos")


@pytest.fixture(scope="module")
def ask(net):
    return lambda x, objective=None: answer(net, Query(x, objective))


@pytest.fixture(scope="module")
def cat(net):
    from engine.images import open_sample

    return net.card.see(open_sample("cat"))


def test_the_slope_is_that_of_the_probability_per_grey_level(net, ask, cat):
    index = net.card.label_index("cat")
    found = first_order.slope(ask, cat, index)
    double, x = net.double(), cat.double()
    try:
        way = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        p = [double((x + t / 255 * way)[None]).softmax(1)[0, index].item() for t in (-1e-3, 0, 1e-3)]
    finally:
        net.float()
    assert found.probability == pytest.approx(p[1], rel=1e-4) and 0.5 < p[1] < 1
    assert float((found.grad * way).sum()) == pytest.approx((p[2] - p[0]) / 2e-3, rel=3e-2)
    assert found.percentile == pytest.approx(np.percentile(found.grad.abs().numpy(), 98), rel=1e-4)
    assert found.steepness == pytest.approx(np.abs(found.grad.numpy()).sum(), rel=1e-4)


def test_the_line_touches_and_leaves_the_curve(net, ask, cat):
    index = net.card.label_index("cat")
    at = first_order.slope(ask, cat, index)
    found = first_order.lines(ask, cat, at)
    line, loss = found["probability"], found["loss"]
    zero = line.levels.index(0.0)
    assert line.levels[0] == -2 and line.levels[-1] == 2 and len(line.levels) == first_order.POINTS
    assert line.predicted[-1] - line.actual[zero] == pytest.approx(2 * at.steepness, rel=1e-3)
    with torch.no_grad():
        end = net((cat - 2 / 255 * at.grad.sign())[None]).softmax(1)[0, index].item()
    assert line.actual[0] == pytest.approx(end, rel=1e-2, abs=1e-6) and end < 0.1
    assert [-math.log(p) for p in line.actual] == pytest.approx(loss.actual, rel=1e-6)
    back, on = line.parts()
    assert back is not None and on is not None and -1 < back < 0 < on < 1
    near = line.levels.index(on) - 1
    rise = line.predicted[near] - line.predicted[zero]
    assert abs(line.actual[near] - line.predicted[near]) <= first_order.SHARE * rise


def test_a_straight_function_never_parts():
    x = torch.tensor([-1.0, 0.0, 1.0]).tolist()
    assert first_order.Line(x, x, x).parts() == (None, None)
    assert first_order.Line(x, x, [-1.0, 0.0, 1.3]).parts() == (None, 1.0)


def test_the_articles_example_is_worked_out():
    grad, step = first_order.EXAMPLE_GRADIENT, first_order.EXAMPLE_STEP
    assert first_order.product(step, grad) == pytest.approx(0.08)
    best, most = first_order.best_signs(grad)
    assert best == step and most == pytest.approx(0.08)
    assert first_order.best_signs((2.0, -1.0, 3.0)) == ((1, -1, 1), 6.0)


def chapter(name, lang="en", register="plain", press=""):
    app = AppTest.from_string(f"from app.lessons.{name} import render\nrender()", default_timeout=120)
    app.query_params["net"], app.query_params["picture"] = "photos", "cat"
    app.session_state["lang"], app.session_state["register"] = lang, register
    app.run()
    if press:
        next(button for button in app.button if button.key == press).click().run()
    assert not app.exception and not app.error
    return app


def spoken(app):
    html = [each.proto.body for each in app.get("html")]
    return "\n".join([*html, *(m.value for m in app.markdown), *(c.value for c in app.caption)])


def test_a_step_against_the_gradient_makes_the_cat_less_sure(net, ask, cat):
    app = chapter("gradient", press="gradient.press")
    index = net.card.label_index("cat")
    at = first_order.slope(ask, cat, index)
    p = net(first_order.moved(cat, at.grad.sign(), [0.9, -0.9])).softmax(1)[:, index]
    said = spoken(app)
    assert f"cat: {at.probability:.1%}".replace("%", " %") in said
    assert f"→ {100 * p[1]:.1f} %" in said and p[0] > at.probability > 2 * p[1]
    assert "0.00431" in said and "0.00187" in said and "δ·∇ = +0.08" in said


def test_the_readers_class_is_differentiated():
    app = chapter("gradient")
    (box,) = [each for each in app.selectbox if each.key.startswith("gradient.class")]
    dog = models.card("photos").label_index("dog")
    box.set_value(dog).run()
    assert not app.exception and "dog: " in spoken(app)


@pytest.mark.parametrize("register", reader.REGISTERS)
def test_the_gradient_is_told_in_chinese(register):
    app = chapter("gradient", "zh", register, "gradient.press")
    said = spoken(app)
    assert "梯度" in said and "抛硬币定符号" in said and "{" not in "".join(m.value for m in app.metric)
    assert app.header[0].value == "梯度是一幅图"
