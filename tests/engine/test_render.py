"""Arrays to pictures, against values worked out by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from engine import render
from errors import BadImage, BadSetting


def levels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


def test_to_image_is_the_nearest_level() -> None:
    x = np.zeros((3, 2, 2), dtype=np.float32)
    x[:, 0, 0] = 1.0, 0.5, 100.4 / 255
    x[:, 1, 1] = 100.6 / 255, 1.3, -0.2
    shown = render.to_image(x)
    assert (shown.mode, shown.size) == ("RGB", (2, 2))
    assert levels(shown)[0, 0].tolist() == [255, 128, 100]
    assert levels(shown)[1, 1].tolist() == [101, 255, 0]


def test_to_image_keeps_height_and_width_apart_and_every_level() -> None:
    octets = np.arange(3 * 5 * 7).reshape(3, 5, 7) * 2
    shown = render.to_image(octets / 255)
    assert shown.size == (7, 5)
    assert (levels(shown) == octets.transpose(1, 2, 0)).all()


def test_a_single_channel_is_grey_in_all_three() -> None:
    shown = render.to_image(np.linspace(0, 1, 6).reshape(1, 2, 3))
    assert shown.mode == "RGB"
    assert (levels(shown) == np.array([[0, 51, 102], [153, 204, 255]])[..., None]).all()


@pytest.mark.parametrize("shape", [(3, 4), (4, 8, 8), (2, 8, 8), (1, 3, 8, 8), (3, 0, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadImage, match="shape"):
        render.to_image(np.zeros(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_levels_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(BadImage, match="finite"):
        render.to_image(np.full((3, 2, 2), bad))
    with pytest.raises(BadImage, match="finite"):
        render.perturbation(np.full((3, 2, 2), bad))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_signed_view_is_mid_grey_plus_the_amplified_change(dtype: type) -> None:
    delta: np.ndarray = np.zeros((3, 1, 4), dtype=dtype)
    delta[0, 0] = 0, 0.25 / 32, -0.25 / 32, 1
    shown = levels(render.perturbation(delta, 32, "signed"))
    assert shown[0, :, 0].tolist() == [128, 191, 64, 255]
    assert (shown[0, :, 1:] == 128).all()


def test_signed_view_shows_less_than_a_255th() -> None:
    delta = np.full((3, 2, 2), 0.2 / 255, dtype=np.float16)
    assert (levels(render.perturbation(delta, 40)) == 136).all()


def test_size_view_is_red_up_blue_down_white_unchanged() -> None:
    delta = np.zeros((3, 1, 5))
    delta[:, 0] = np.array([-0.5, -0.1, 0, 0.1, 0.5]) / 10
    shown = levels(render.perturbation(delta, 10, "size"))[0]
    red, blue = shown[:, 0] - shown[:, 2], shown[:, 2] - shown[:, 0]
    assert shown[2].tolist() == [255, 255, 255]
    assert blue[0] > 100 and blue[1] > 10 and red[3] > 10 and red[4] > 100
    brightness = shown.sum(axis=1)
    assert brightness[0] < brightness[1] < brightness[2] > brightness[3] > brightness[4]


def test_size_view_ends_its_scale_where_signed_does() -> None:
    ends = render.perturbation(np.full((3, 1, 1), 0.5), 1, "size")
    beyond = render.perturbation(np.full((3, 1, 1), 0.9), 1, "size")
    before = render.perturbation(np.full((3, 1, 1), 0.49), 1, "size")
    assert (levels(ends) == levels(beyond)).all()
    assert (levels(ends) != levels(before)).any()


def test_a_change_of_hue_alone_has_no_size() -> None:
    delta = np.array([0.2, -0.2, 0.0]).reshape(3, 1, 1)
    assert levels(render.perturbation(delta, 2, "size")).tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize(("gain", "view"), [(1, "sideways"), (0, "signed"), (-3, "size"), (np.nan, "signed")])
def test_bad_views_and_gains_are_refused(gain: float, view: str) -> None:
    with pytest.raises(BadSetting):
        render.perturbation(np.zeros((3, 2, 2)), gain, view)


@pytest.mark.parametrize(
    ("scale", "gain"), [(0.4, 1), (0.2, 2), (8 / 255, 10), (0.0101, 40), (0.4 / 47, 50), (1e-5, 200)]
)
def test_suggested_gain_brings_the_typical_change_to_point_four(scale: float, gain: int) -> None:
    signs = np.random.default_rng(1).choice([-1, 1], size=(3, 32, 32))
    assert render.suggest_gain((signs * scale).astype(np.float16)) == gain


def test_suggested_gain_of_few_pixels_and_of_none() -> None:
    delta = np.zeros((3, 32, 32))
    assert render.suggest_gain(delta) == 200
    delta[:, 4, 4] = -0.2
    assert render.suggest_gain(delta) == 2


def test_suggested_gain_ignores_the_hundredth_that_is_largest() -> None:
    delta = np.full((1, 100, 100), 0.04)
    delta[0, 0, :50] = 1.0
    assert render.suggest_gain(delta) == 10


def test_png_is_exact_and_jpeg_is_close() -> None:
    ramp = render.to_image(np.linspace(0, 1, 3 * 32 * 32).reshape(3, 32, 32))
    png = Image.open(io.BytesIO(render.encode(ramp, "png")))
    jpg = Image.open(io.BytesIO(render.encode(ramp, "jpg")))
    assert (png.format, jpg.format) == ("PNG", "JPEG")
    assert (levels(png) == levels(ramp)).all()
    assert np.abs(levels(jpg) - levels(ramp)).mean() < 3


def test_jpeg_keeps_colour_at_every_pixel() -> None:
    rows = np.zeros((3, 32, 32))
    rows[0, ::2] = rows[2, 1::2] = 0.8
    shown = levels(Image.open(io.BytesIO(render.encode(render.to_image(rows), "jpg"))))
    assert (shown[::2, :, 0] - shown[::2, :, 2]).min() > 100
    assert (shown[1::2, :, 2] - shown[1::2, :, 0]).min() > 100


def test_other_endings_are_refused() -> None:
    with pytest.raises(BadSetting, match="bmp"):
        render.encode(Image.new("RGB", (2, 2)), "bmp")


def test_thumbnail_is_the_central_square() -> None:
    wide = Image.new("RGB", (300, 100), "red")
    wide.paste("blue", (100, 0, 200, 100))
    small = render.thumbnail(wide, 20)
    assert small.size == (20, 20)
    assert (levels(small)[:, 3:-3] == (0, 0, 255)).all()
    assert (levels(small)[:, :, 2] > 200).all()
    assert wide.size == (300, 100)
