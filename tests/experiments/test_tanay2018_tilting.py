"""The tilting boundary: the solver against scikit-learn and closed forms, the path, the toy problem."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from sklearn.svm import SVC

from errors import BadSetting
from experiments.cache import Store
from experiments.core import dump, run
from experiments.methods.svm import Gram, Machine
from experiments.tanay2018 import tilting_angle, toy
from experiments.tanay2018.svm_path import SVMPath
from experiments.toolkit import codec
from experiments.toolkit.packing import Packed, pack, unpack


def objective(x, y, value, weights, bias):
    return value * weights @ weights + np.maximum(1 - y * (x @ weights + bias), 0).mean()


def test_products_are_those_of_the_images_whatever_was_asked_before():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, 4))
    gram = Gram(rows, room=12)
    for count in (3, 5, 0, 7, 12, 30, 2, 11):  # more than there is room for, in all and at once
        which = np.sort(rng.choice(60, count, replace=False))
        found = gram.among(which)
        assert found == pytest.approx(rows[which] @ rows[which].T) and gram.count <= 12
        found += 1  # the caller's own
        assert gram.among(which) == pytest.approx(rows[which] @ rows[which].T)


def clouds(n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n + m, d))
    x[:n, 0] += 1.0
    return x, np.repeat([-1.0, 1.0], [n, m])


@pytest.mark.parametrize(("n", "m", "d"), [(60, 60, 5), (80, 30, 20), (20, 20, 60)])
def test_the_path_is_the_optimum_that_scikit_learn_finds(n, m, d):
    x, y = clouds(n, m, d)
    lambdas = [10.0**log for log in (1, 0, -1, -2, -3, -4)]
    for value, found in zip(lambdas, Machine(x, y).path(lambdas, tolerance=1e-7), strict=True):
        theirs = SVC(kernel="linear", C=1 / (2 * len(y) * value), tol=1e-6).fit(x, y)
        best = objective(x, y, value, theirs.coef_[0], theirs.intercept_[0])
        mine = objective(x, y, value, found.weights, found.bias)
        assert found.gap < 1e-7 and best * (1 - 1e-3) <= mine <= best * (1 + 1e-6)
        assert found.weights == pytest.approx(
            theirs.coef_[0], rel=2e-2, abs=1e-2 * np.abs(theirs.coef_).max()
        )
        assert found.bias == pytest.approx(theirs.intercept_[0], abs=0.02 * (1 + abs(found.bias)))


def test_the_gap_bounds_what_is_left_to_gain():
    x, y = clouds(100, 100, 10)
    machine = Machine(x, y)
    rough = next(machine.path([1e-3], tolerance=0.3))
    fine = next(machine.path([1e-3], tolerance=1e-9))
    values = [objective(x, y, 1e-3, each.weights, each.bias) for each in (rough, fine)]
    assert values[1] <= values[0] <= values[1] / (1 - rough.gap) + 1e-9
    nothing = machine.closed_form(1e-3)
    assert nothing is None, "the difference of the centroids is not the answer for a small lambda"


@pytest.mark.parametrize("band", [0.001, 0.05, 1.0])
def test_too_few_images_near_the_margin_do_no_harm(band):
    x, y = clouds(150, 150, 40)
    machine = Machine(x, y)
    start = next(machine.path([0.1], tolerance=1e-6))
    found = machine._solve(1e-6, start, band, 1e-5)
    assert 0 <= found.gap < 1e-5
    best = next(machine.path([1e-6], tolerance=1e-8))
    values = [objective(x, y, 1e-6, each.weights, each.bias) for each in (found, best)]
    assert values[0] == pytest.approx(values[1], rel=2e-5)


def test_strong_regularisation_leaves_the_difference_of_the_centroids():
    x, y = clouds(50, 50, 8)
    value = 1e3
    found = next(Machine(x, y).path([value]))
    centroids = x[y > 0].mean(0) - x[y < 0].mean(0)
    assert found.weights == pytest.approx(centroids / (4 * value)) and found.gap < 1e-12
    free = SVC(kernel="linear", C=1 / (2 * 100 * value)).fit(x, y)
    assert found.bias == pytest.approx(free.intercept_[0], abs=1e-2)


def test_without_intercept_the_bias_is_nothing():
    x, y = clouds(40, 30, 3)
    lambdas = [10.0, 0.1, 1e-4]
    for value, found in zip(lambdas, Machine(x, y, intercept=False).path(lambdas), strict=True):
        assert found.bias == 0 and found.gap < 1e-4
        near = found.weights + 0.05 * np.random.default_rng(1).standard_normal((50, 3)) * np.abs(
            found.weights
        )
        others = [objective(x, y, value, each, 0.0) for each in near]
        assert objective(x, y, value, found.weights, 0.0) <= min(others) * (1 + 1e-4)


def test_arrays_come_back_from_json_to_half_a_step():
    values = np.random.default_rng(0).standard_normal((7, 5, 3)) * 40
    packed = codec.load(json.loads(json.dumps(codec.dump(pack(values, 0.01)))), Packed)
    assert unpack(packed).shape == (7, 5, 3) and np.abs(unpack(packed) - values).max() <= 0.005 + 1e-9
    assert len(pack(np.zeros((81, 784))).data) < 200
    assert pack(np.array([[0.0], [2.0**31 - 1]])).type == "<i4"
    with pytest.raises(ValueError, match="at most 2,147,483,647 steps"):
        pack(np.array([[0.0], [2.0**32]]))  # a page reads no wider type


def test_measures_by_hand():
    x = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]])
    pair = tilting_angle.Pair(x, np.array([-1.0, -1.0, 1.0, 1.0]), x[:3], np.array([-1.0, -1.0, 1.0]))
    found = tilting_angle.measure(pair, np.array([1.0, 1.0]), -2.5)
    # Distances: -2.5, -.5, -.5, 1.5, each over the root of two; the third is on the wrong side.
    assert found.angle == pytest.approx(np.pi / 4) and found.norm == pytest.approx(2**0.5)
    assert found.d_adv == pytest.approx(4 / 4 / 2**0.5) and found.d_adv == pytest.approx(np.cos(np.pi / 4))
    assert found.d_err == pytest.approx(0.5 / 4 / 2**0.5) and found.train_error == 0.25
    assert found.test_error == pytest.approx(1 / 3) and found.shift == pytest.approx(-0.5 / 2**0.5)
    up = tilting_angle.upward(pair, np.array([1.0, 1.0]))
    assert up == pytest.approx([0, 1])
    image = tilting_angle.mirror(x[0], np.array([1.0, 1.0]), -2.5)
    assert image == pytest.approx([2.5, 2.5])


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    tilting_angle.pair.cache_clear()
    yield Store(tmp_path / "store")
    tilting_angle.pair.cache_clear()


def test_the_path_over_small_digits(small):
    made = SVMPath(first=3, second=8, n=100, lambdas=19)
    result = run(made, small)
    figures, claims = result.figures, result.claims
    assert figures.published is None and figures.n_per_class == 100 and len(made.stages()) == 3
    exact = [text for text in claims if "lowest" not in text and "accurate" not in text]
    assert len(exact) == 7 and all(claims[text] for text in exact), claims
    assert figures.angle[0] < 1e-6 < 0.5 < figures.angle[-1]
    counts = unpack(figures.histogram)
    assert counts.shape == (19, 2, 80) and (counts.sum(2) == 100).all()
    assert unpack(figures.plane.up).shape == (19, len(unpack(figures.plane.across)))
    assert len(json.dumps(dump(result))) < 60_000


def test_what_is_shown_belongs_to_the_classifier(small):
    made = SVMPath(first=3, second=8, n=100, lambdas=5)
    figures = run(made, small).figures
    pair = tilting_angle.pair(3, 8, 100)
    last = list(tilting_angle.path(pair, tilting_angle.log_lambdas(5)))[-1]
    drawn = unpack(figures.weights.images)[-1] / 127 * figures.weights.peak[-1]
    assert drawn == pytest.approx(last.weights / np.linalg.norm(last.weights), abs=0.004)
    typical = unpack(figures.pictures.images) / 255
    distance = (typical @ last.weights + last.bias) / np.linalg.norm(last.weights)
    assert unpack(figures.pictures.distance)[-1] == pytest.approx(distance, abs=5e-3)


def test_the_plane_holds_the_distances(small):
    """In the tilting plane d(x) is cos(angle) across + sin(angle) up + shift."""
    figures = run(SVMPath(first=3, second=8, n=100, lambdas=9), small).figures
    pair = tilting_angle.pair(3, 8, 100)
    x = np.concatenate([pair.x[pair.y < 0][:150], pair.x[pair.y > 0][:150]])
    across, up = unpack(figures.plane.across), unpack(figures.plane.up)
    for k, found in enumerate(tilting_angle.path(pair, tilting_angle.log_lambdas(9))):
        distance = (x @ found.weights + found.bias) / np.linalg.norm(found.weights)
        angle = figures.angle[k]
        drawn = np.cos(angle) * across + np.sin(angle) * up[k] + figures.shift[k]
        assert drawn == pytest.approx(distance, abs=0.04)
    typical = figures.pictures
    turned = np.cos(angle) * np.array(typical.across) + np.sin(angle) * unpack(typical.up)[-1]
    assert turned + figures.shift[-1] == pytest.approx(unpack(typical.distance)[-1], abs=0.02)


def test_a_path_goes_on_from_the_stage_before(small):
    pair = tilting_angle.pair(3, 8, 100)
    whole = list(tilting_angle.path(pair, tilting_angle.log_lambdas(19)))
    figures = run(SVMPath(first=3, second=8, n=100, lambdas=19), small).figures
    norms = [float(np.linalg.norm(each.weights)) for each in whole]
    assert figures.norm == pytest.approx(norms, rel=5e-3)


def test_one_digit_is_not_a_pair():
    with pytest.raises(BadSetting, match="two different digits"):
        SVMPath(first=4, second=4)
    with pytest.raises(BadSetting, match="two different digits"):
        tilting_angle.pair(4, 4, 10)


def test_the_articles_figures_are_met_on_mnist(shared):
    tilting_angle.pair.cache_clear()
    pair = tilting_angle.pair(7, 9, 3000, str(shared("mnist").parent))
    logs, theirs = [2.0, 0.5, 0.3, 0.0, -0.2], tilting_angle.published(7, 9)
    assert theirs is not None
    for log, found in zip(logs, tilting_angle.path(pair, logs), strict=True):
        index, mine = round((2 - log) * 10), tilting_angle.measure(pair, found.weights, found.bias)
        assert abs(np.degrees(mine.angle - theirs.angle[index])) < 0.1
        assert mine.test_error == pytest.approx(theirs.test_error[index], abs=0.0015)
        assert mine.d_adv == pytest.approx(theirs.d_adv[index], abs=2e-3)
        assert mine.shift == pytest.approx(theirs.shift[index], abs=0.01)
    tilting_angle.pair.cache_clear()


def test_mirror_images_of_the_toy():
    drawn = toy.geometry(np.array([-0.8, 0.0]), [0.0, 0.5, 0.9])
    a, turns = -0.8, np.array([0.0, 0.5, 0.9]) * np.pi / 2
    expected = np.column_stack([a * (1 - 2 * np.cos(turns) ** 2), -2 * a * np.cos(turns) * np.sin(turns)])
    assert np.array(drawn.mirror) == pytest.approx(expected, abs=1e-6)
    assert np.array(drawn.projected) == pytest.approx((expected + [a, 0]) / 2, abs=1e-6)


def test_the_toy_without_decay_is_the_largest_margin():
    x, y = toy.points(21)
    turns = np.linspace(0.5, 1, 20_001)
    margins = (y[:, None] * (x @ np.stack([toy.normal(t) for t in turns]).T)).min(0)
    assert toy.limit().centred == pytest.approx(turns[margins.argmax()], abs=1e-4)
    for train in (toy.hinge, toy.logistic):
        (weights, _), (free, bias) = (
            train(x, y, [10.0**-k for k in range(11)], intercept)[-1] for intercept in (False, True)
        )
        ends = [np.arctan2(each[1], each[0]) * 2 / np.pi for each in (weights, free)]
        # Logistic regression gets there only as 1 / log(1 / lambda).
        assert ends == pytest.approx([toy.limit().centred, toy.limit().free], abs=0.03)
        assert (y * (x @ free + bias) > 0).all()


def test_the_toys_claims_can_fail(tmp_path):
    made = toy.Toy()
    result = run(made, Store(tmp_path))
    assert sum(result.claims.values()) >= 6
    flat = {
        name: replace(path, without_decay=0.0, with_decay=0.5, noisy_margin=[-1.0] * len(path.noisy_margin))
        for name, path in result.figures.trained.items()
    }
    assert sum(made.claims(replace(result.figures, trained=flat)).values()) == 3


class Watched(Gram):
    """Notes how many ask at once."""

    inside = most = 0

    def among(self, which):
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.002)
        found = super().among(which)
        self.inside -= 1
        return found


def test_two_visitors_may_follow_one_machine_at_once():
    """What a machine keeps between steps is shared: solves take turns, and each path is what it is alone."""
    rng = np.random.default_rng(5)
    y = np.where(np.arange(200) % 2, 1.0, -1.0)
    x = rng.normal(size=(200, 30)) + 0.4 * y[:, None]
    lambdas = [10.0**k for k in range(1, -4, -1)]
    alone = [each.weights for each in Machine(x, y).path(lambdas)]
    shared = Machine(x, y)
    shared.gram = Watched(shared.rows, room=80)  # so small that the two drive each other out
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(lambda: [each.weights for each in shared.path(lambdas)]) for _ in range(2)]
    for each in found:
        for ours, theirs in zip(each.result(), alone, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())
    assert shared.gram.most == 1
