"""A planted grating is one peak, and the band that fools is the band that the network looks at."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.inside import composition
from engine.run import Floats
from errors import BadSetting
from tests.engine.inside.linear import half_space, normal_noise, random_half_space


def grating(size: int, down: int, across: int, channels: int = 3) -> Floats:
    """Return a wave with so many cycles across the picture."""
    rows, columns = np.mgrid[:size, :size]
    wave = np.cos(2 * math.pi * (down * rows + across * columns) / size)
    return np.broadcast_to(wave, (channels, size, size)).astype(np.float32)


@pytest.mark.parametrize(("down", "across"), [(0, 5), (7, 0), (3, -4), (12, 9)])
def test_a_grating_is_one_peak_at_its_frequency(down: int, across: int) -> None:
    delta = 0.02 * grating(32, down, across)
    parts_of = composition.composition(delta)
    assert parts_of.peak == (down, across)
    powers = composition.power(delta)
    assert int((powers > 1e-9 * powers.max()).sum()) == 2  # a wave and its mirror image
    assert float(powers.sum()) == pytest.approx(float(np.linalg.norm(delta)) ** 2, rel=1e-5)
    strongest = parts_of.radius[int(np.argmax(parts_of.power))]
    assert strongest == pytest.approx(math.hypot(down, across) / 16, abs=0.5 / 16)
    image = np.asarray(composition.spectrum_image(powers))
    assert image[16 + down, 16 + across] == image[16 - down, 16 - across] == 255
    assert (image > 0).sum() == 2


def test_the_probe_of_a_grating_gives_its_one_peak_and_its_maps() -> None:
    delta = 0.02 * grating(32, 3, -4)
    made, maps = composition.MadeOf(delta).pieces(half_space(delta, 0.0))
    assert isinstance(made, composition.Composition) and made.peak == (3, -4)
    assert isinstance(maps, composition.ChangeMaps)
    assert int(maps.power.argmax()) in (3 * 32 + 28, 29 * 32 + 4)
    assert float(maps.noise.sum()) == pytest.approx(float(np.linalg.norm(delta)) ** 2, rel=1e-4)
    assert np.array_equal(maps.sizes, np.abs(delta[0]))


def test_the_noise_it_is_compared_with_has_the_same_length_and_no_preference() -> None:
    delta = 0.02 * grating(64, 0, 5)
    noise = composition.noise_like(delta)
    assert np.linalg.norm(noise) == pytest.approx(np.linalg.norm(delta), rel=1e-5)
    parts_of = composition.composition(delta)
    assert parts_of.shares == pytest.approx((0, 1, 0), abs=1e-9)
    radius = composition.radii(64, 64)
    areas = [float(((radius >= low) & (radius < high)).mean()) for low, high in composition.BANDS.values()]
    assert parts_of.noise_shares == pytest.approx(areas, abs=0.02)


def test_the_bands_add_up_to_the_whole() -> None:
    delta = normal_noise((3, 28, 28), 0)
    parts = [composition.band(delta, low, high) for low, high in composition.BANDS.values()]
    assert np.allclose(sum(parts), delta, atol=1e-5)
    assert np.allclose(composition.band(delta, 0, composition.HIGHEST), delta, atol=1e-5)
    with pytest.raises(BadSetting, match="lower first, got"):
        composition.band(delta, 0.5, 0.5)


def test_a_network_that_looks_at_low_frequencies_is_fooled_by_them_alone() -> None:
    weight = grating(32, 0, 1) / np.linalg.norm(grating(32, 0, 1))
    start = np.full((3, 32, 32), 0.5, np.float32)
    network = half_space(weight, -float((weight * start).sum()) - 0.5)
    high = grating(32, 12, 9) / np.linalg.norm(grating(32, 12, 9))
    cuts = ((0.0, 0.125), (0.5, composition.HIGHEST), (0.0, composition.HIGHEST))
    answers = list(composition.Filters(start, weight + 3 * high, 0, cuts).pieces(network))
    assert [answer.label for answer in answers] == [1, 0, 1]
    assert [answer.share for answer in answers] == pytest.approx([0.1, 0.9, 1.0], abs=1e-4)
    assert answers[1].original == pytest.approx(answers[1].probability) and answers[0].original < 0.5


def test_levels_and_pixels_are_counted() -> None:
    delta = np.zeros((3, 8, 8), np.float32)
    delta[0, 0, 0], delta[1, 0, 0], delta[2, 3, 4], delta[0, 7, 7] = 2 / 255, -2 / 255, 100 / 255, 0.2 / 255
    parts_of = composition.composition(delta)
    assert (parts_of.pixels, parts_of.touched, parts_of.visible) == (64, 3, 2)
    assert parts_of.levels[0] == 3 * 64 - 3 and parts_of.levels[2] == 2 and parts_of.levels[-1] == 1
    assert sum(parts_of.levels) == 3 * 64 and parts_of.half == 1 / 64
    assert np.argmax(np.asarray(composition.places_image(np.abs(delta).max(0)))) == 3 * 8 + 4
    with pytest.raises(BadSetting, match="has not changed yet"):
        composition.composition(np.zeros((3, 8, 8), np.float32))


def test_the_largest_values_stay() -> None:
    """Of a perturbation along the normal, the l2 of what stays against the normal is what counts."""
    network, start, normal = random_half_space(away=0.5)
    answers = list(composition.Survivors(start, normal, 0).pieces(network))
    assert [answer.values for answer in answers] == [768 >> k for k in range(10)]
    squares = np.sort(normal**2, axis=None)[::-1].cumsum()
    for answer in answers:
        assert answer.length == pytest.approx(float(squares[answer.values - 1]), rel=1e-4)
        assert (answer.label == 1) == (answer.length > 0.5)
    assert {answer.label for answer in answers} == {0, 1}
