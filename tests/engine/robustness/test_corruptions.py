"""Corruptions: what they do to real bytes, and how near their differentiable substitutes come."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import models
from engine.images.sources import open_sample
from engine.robustness.corruptions import CORRUPTIONS, names_of, picture, tensor
from errors import BadSetting, UnknownName
from experiments.methods import corruptions as counted

SHAPES = ((224, 224), (37, 50))
NEAR = ("half", "crop", "blur", "grey", "rotate", "jpeg75", "jpeg50")
"""The corruptions that change a photo by more than rounding does."""


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return models.card("efficientnet_lite0").preprocess(open_sample("panda"))


def images() -> Iterator[Image.Image]:
    """Yield images of colour and of grey levels, of several sizes."""
    for size in SHAPES:
        for mode in ("RGB", "L"):
            yield open_sample("cat").convert(mode).resize(size)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_keeps_its_size_and_its_kind_and_its_original_stays(name: str) -> None:
    for image in images():
        before = image.tobytes()
        after = CORRUPTIONS[name].apply(image)
        assert (after.size, after.mode) == (image.size, image.mode)
        assert image.tobytes() == before
        changes = name != "png" and (name != "grey" or image.mode == "RGB")
        assert (after.tobytes() != before) is changes


def test_jpeg_is_what_a_file_holds() -> None:
    image, file = open_sample("cat").resize((224, 224)), io.BytesIO()
    image.save(file, "JPEG", quality=75)
    opened = Image.open(io.BytesIO(file.getvalue()))
    assert CORRUPTIONS["jpeg75"].apply(image).tobytes() == opened.tobytes()


def test_five_bits_leave_32_levels() -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None].repeat(2, 0))
    levels = sorted(set(CORRUPTIONS["bits5"].apply(ramp).tobytes()))
    assert len(levels) == 32 and (levels[0], levels[-1]) == (0, 255)


def test_a_messenger_scales_what_is_large_and_only_compresses_what_is_small() -> None:
    small = open_sample("cat").resize((224, 224))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    assert CORRUPTIONS["messenger"].apply(small).tobytes() == Image.open(file).tobytes()
    fine = Image.effect_noise((2400, 300), 90)
    sent = np.asarray(CORRUPTIONS["messenger"].apply(fine), np.float32)
    assert sent.std() < 0.8 * np.asarray(fine, np.float32).std()


@pytest.mark.parametrize("name", NEAR)
def test_a_substitute_is_much_nearer_to_the_corruption_than_doing_nothing(name: str, photo: Tensor) -> None:
    corruption, x = CORRUPTIONS[name], torch.stack([photo, photo.flip(2)])
    exact = corruption.of(x)
    nothing, near = (x - exact).abs().mean(), (corruption.substitute(x) - exact).abs().mean()
    assert near < (0.8 if name.startswith("jpeg") else 0.5) * nothing  # colours are not thinned out


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_values_are_the_corruptions_and_the_slope_is_the_substitutes(name: str, photo: Tensor) -> None:
    corruption = CORRUPTIONS[name]
    weight = torch.randn(1, *photo.shape, generator=torch.Generator().manual_seed(0))
    leaf = photo[None].clone().requires_grad_()
    seen = corruption.through(leaf)
    assert torch.allclose(seen[0], tensor(corruption.apply(picture(photo))), atol=1e-5)
    (slope,) = torch.autograd.grad((seen * weight).sum(), leaf)
    (expected,) = torch.autograd.grad((corruption.substitute(leaf) * weight).sum(), leaf)
    assert slope.abs().sum() > 0 and torch.allclose(slope, expected)


def test_names_are_read_in_any_order_and_once() -> None:
    assert names_of(" blur,jpeg75, blur") == ("jpeg75", "blur")
    with pytest.raises(UnknownName, match="no corruption called “jpeg7”; did you mean: jpeg95, jpeg75"):
        names_of("jpeg7")
    with pytest.raises(BadSetting, match="such as jpeg75,blur, got “ ,”"):
        names_of(" ,")


def test_the_experiments_count_the_same_seven() -> None:
    titles = {each.title for each in CORRUPTIONS.values()}
    assert len(counted.CORRUPTIONS) == 7 and set(counted.CORRUPTIONS) - titles == {"screenshot"}
