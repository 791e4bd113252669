"""What the project trained itself: records that are true, and a command that trains again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from app.cli import main as command_line
from errors import MissingData
from experiments.methods.withstanding import withstands
from models import load, registry
from models.architectures.lenet import NETWORKS
from models.architectures.resnet import SmallResNet
from models.records import FOLDER, read_record, write_network
from models.train import __main__ as command
from models.train import data
from models.train.augment import mixup, random_colours, random_crops
from models.train.data import PhotoSet, centre_square, load_photos, read_classes, read_mnist, read_photos
from models.train.digits import DigitSettings, train_digits
from models.train.loop import (
    Settings,
    Student,
    answers,
    best_temperature,
    calibration_error,
    learning_rate,
    normalise,
    top_k,
    train,
)
from models.train.robust import RobustSettings, perturbed, robust_accuracy

TRAINED = ["photos", "photos_robust", "lenet", "fc100"]
Shared = Callable[[str], Path]


@pytest.mark.parametrize("name", TRAINED)
def test_the_record_is_that_of_the_shipped_weights(name: str) -> None:
    record, raw = read_record(name), (FOLDER / f"{name}.safetensors").read_bytes()
    tensors = load_file(FOLDER / f"{name}.safetensors")
    assert hashlib.sha256(raw).hexdigest() == record["sha256"]
    assert len(raw) == record["bytes"] < (12_000_000 if name.startswith("photos") else 2_000_000)
    assert all(value.dtype == torch.float16 for value in tensors.values() if value.is_floating_point())
    head = [value for value in tensors.values() if value.ndim == 1][-1]
    network = registry()[name].build()
    assert record["parameters"] == sum(p.numel() for p in network.parameters())
    assert len(registry()[name].card.labels) == len(record["labels"])
    assert load(name)(torch.zeros(1, *_shape(name))).shape == (1, len(record["labels"]))
    assert head.isfinite().all()


def _shape(name: str) -> tuple[int, int, int]:
    card = registry()[name].card
    return card.channels, card.size, card.size


def test_the_photo_record_names_its_classes_and_what_was_merged() -> None:
    record, classes = read_record("photos"), read_classes(FOLDER / "photos_classes.json")
    assert record["labels"] == list(classes) == list(record["classes"])
    for name, merged in classes.items():
        assert {source: record["classes"][name][source] for source in merged} == merged
    assert sum(facts["held_out"] for facts in record["classes"].values()) == record["held_out"]["photos"]
    trained = sum(facts["trained_on"] for facts in record["classes"].values())
    assert trained == record["held_out"]["trained_on"]


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    """Read the archives of photos once for all tests here: twelve thousand files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "read_photos", cache(lambda root: tuple(read_photos(root))))
        yield


class Undecoded(NamedTuple):
    """All photos of the classes of the offline networks, whose ``pictures`` are but numbers of ``jpegs``:
    all of them take half a minute to decode."""

    photos: PhotoSet
    jpegs: list[bytes]

    def held_out(self, record: Mapping[str, Any], count: int) -> PhotoSet:
        """Return ``count`` of the photos that were held out, by chance, decoded."""
        _, unseen = self.photos.split(record["settings"]["held_out"], record["seed"])
        rows = torch.randperm(len(unseen), generator=torch.Generator().manual_seed(0))[:count].tolist()
        some = unseen.take(rows)
        decoded = [centre_square(self.jpegs[number], 160) for number in some.pictures.flatten().tolist()]
        return replace(some, pictures=torch.stack(decoded))


@pytest.fixture(scope="module")
def undecoded(shared: Shared) -> Undecoded:
    """Read the photos as training does, but for the decoding."""
    jpegs: list[bytes] = []

    def number(jpeg: bytes, side: int) -> torch.Tensor:
        jpegs.append(jpeg)
        return torch.tensor([len(jpegs) - 1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "centre_square", number)
        root = shared("caltech101_160.tar").parent
        return Undecoded(load_photos(root, read_classes(FOLDER / "photos_classes.json")), jpegs)


def test_photos_that_were_held_out_are_named_as_well_as_the_record_says(undecoded: Undecoded) -> None:
    record = read_record("photos")
    known, unseen = undecoded.photos.split(record["settings"]["held_out"], record["seed"])
    assert len(unseen) == record["held_out"]["photos"] and len(known) == record["held_out"]["trained_on"]
    some, network = undecoded.held_out(record, 240), load("photos").network
    right = top_k(answers(network, some.pictures, record["size"]), some.labels, 1)
    assert right == pytest.approx(record["accuracy"]["held-out top-1"], abs=3)


def test_the_twin_holds_out_under_attack_as_its_record_says(undecoded: Undecoded) -> None:
    record = read_record("photos_robust")
    some, settings = undecoded.held_out(record, 32), RobustSettings(epsilon=record["robust"]["epsilon"])
    twin = robust_accuracy(load("photos_robust").network, some, settings, withstands, steps=4)
    clean = robust_accuracy(load("photos").network, some, settings, withstands, steps=4)
    assert twin["clean"] == pytest.approx(record["robust"]["robust"]["clean"], abs=20)
    assert twin["PGD-4"] > record["robust"]["robust"]["PGD-20"] - 20 and clean["PGD-4"] < 0.6 * twin["PGD-4"]


def test_the_twin_is_not_trained_without_an_attack_to_judge_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["photos", "--robust", "--out", str(tmp_path)]) == 2
    assert "python -m app train photos --robust" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_what_withstands_is_right_at_first_and_at_every_step() -> None:
    """Two classes by the sign of the sum: what lies farther from the boundary than the attack reaches."""
    sums = torch.tensor([0.5, 0.05, -0.5])
    x = 0.5 + sums.view(3, 1, 1, 1).expand(3, 1, 2, 2) / 4

    def model(at: torch.Tensor) -> torch.Tensor:
        score = (at - 0.5).flatten(1).sum(1)
        return torch.stack([torch.zeros_like(score), score], 1)

    held = withstands(model, x, torch.ones(3, dtype=torch.int64), 0.05, 8, torch.Generator().manual_seed(0))
    assert held.tolist() == [[True, True], [True, False], [False, False]]


def test_the_robust_command_trains_against_attacks_and_judges_both(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared("caltech101_160.tar")
    small = partial(RobustSettings, judged=4, size=32, stages=((0, 32),))
    monkeypatch.setattr(command, "RobustSettings", small)
    options = ["--robust", "--epochs", "1", "--limit", "120", "--out", str(tmp_path)]
    assert command_line(["train", "photos", *options]) == 0
    record = json.loads((tmp_path / "photos_robust.json").read_text(encoding="utf-8"))
    assert set(record["robust"]["photos"]) == set(record["robust"]["robust"]) == {"clean", "PGD-20"}
    assert record["settings"]["epsilon"] == 4 / 255 and record["robust"]["judged"] == 4
    network = SmallResNet(len(record["labels"]))
    network.load_state_dict(load_file(tmp_path / "photos_robust.safetensors"))


def test_the_twin_is_trained_on_what_fools_it() -> None:
    """The step goes up the loss, and no farther than noise and step together allow."""
    torch.manual_seed(0)
    settings = RobustSettings()
    student = Student.fresh(SmallResNet(3, (8, 8, 8, 8)), settings)
    x, labels = torch.rand(6, 3, 32, 32), torch.arange(6) % 3
    adv = perturbed(student, x, labels, settings)
    assert adv.min() >= 0 and adv.max() <= 1
    assert float((adv - x).abs().max()) <= settings.epsilon * (1 + settings.noise) + 1e-6
    still = perturbed(student, x, labels, replace(settings, noise=0.0))
    net = student.network.eval()
    before, after = (functional.cross_entropy(net(normalise(at)), labels) for at in (x, still))
    assert float((still - x).abs().max()) == pytest.approx(settings.epsilon) and after > before


def test_a_portrait_and_its_crop_are_on_one_side_of_the_split(shared: Shared) -> None:
    root = shared("caltech101_160.tar").parent
    faces = load_photos(root, {"face": {"caltech101": ["Faces", "Faces_easy"]}}, side=16)
    known, unseen = faces.split(0.15, 0)
    assert len(known) + len(unseen) == len(faces) == 870
    assert not set(known.names) & set(unseen.names)


@pytest.mark.parametrize("name", ["lenet", "fc100"])
def test_digits_are_read_as_well_as_the_record_says(name: str, shared: Shared) -> None:
    pictures, labels = read_mnist(shared("mnist").parent, train=False)
    assert pictures.shape == (10_000, 1, 28, 28) and 0 <= pictures.min() < pictures.max() <= 1
    right = top_k(load(name)(pictures[5000:7000]), labels[5000:7000], 1)
    assert right == pytest.approx(read_record(name)["accuracy"]["MNIST test top-1"], abs=1.5)


def test_the_photo_command_trains_and_writes_weights_that_load(
    shared: Shared, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared("imagenet_1000_160.tar"), shared("weights/mobilenet_v2.safetensors")
    monkeypatch.setattr(command, "Settings", partial(Settings, size=64, stages=((0, 48), (0.6, 64))))
    checkpoint = tmp_path / "checkpoint.pt"
    options = ["--epochs", "1", "--limit", "200", "--out", str(tmp_path), "--checkpoint", str(checkpoint)]
    assert command.main(["photos", *options]) == 0
    record = json.loads((tmp_path / "photos.json").read_text(encoding="utf-8"))
    network = SmallResNet(len(record["labels"]))
    network.load_state_dict(load_file(tmp_path / "photos.safetensors"))
    assert record["epochs"] == 1 and checkpoint.exists() and "held-out top-1" in capsys.readouterr().out
    assert [answer for answer in record["elsewhere"]["samples"] if answer["class"] == "cat"]


def test_the_digit_command_trains_and_writes_weights_that_load(shared: Shared, tmp_path: Path) -> None:
    shared("mnist")
    options = ["--only", "lenet", "--epochs", "1", "--limit", "4000", "--out", str(tmp_path)]
    assert command.main(["digits", *options]) == 0
    record = json.loads((tmp_path / "lenet.json").read_text(encoding="utf-8"))
    NETWORKS["lenet"]().load_state_dict(load_file(tmp_path / "lenet.safetensors"))
    assert record["accuracy"]["MNIST test top-1"] > 80


def test_training_lowers_the_loss_on_photos(shared: Shared) -> None:
    root = shared("caltech101_160.tar").parent
    merged = {"car": {"caltech101": ["car_side"]}, "watch": {"caltech101": ["watch"]}}
    photos = load_photos(root, merged, side=64, limit=60)
    settings = Settings(epochs=8, batch=24, size=48, stages=((0.0, 48),), rate=0.05, average=0.8)
    torch.manual_seed(0)
    student = Student.fresh(SmallResNet(2, (16, 16, 24, 32)), settings)
    before = functional.cross_entropy(answers(student.average, photos.pictures, 48), photos.labels)
    train(student, photos, None, settings)
    after = functional.cross_entropy(answers(student.average, photos.pictures, 48), photos.labels)
    assert after < 0.6 * before
    assert student.losses[-1] < student.losses[0] and student.epoch == 8


def test_a_checkpoint_goes_on_where_it_was_written(tmp_path: Path) -> None:
    settings = Settings(epochs=2)
    first = Student.fresh(SmallResNet(2, (8, 8)), settings)
    first.epoch, first.seconds, first.losses = 3, 7.5, [1.0, 0.5]
    first.save(tmp_path / "at.pt")
    second = Student.fresh(SmallResNet(2, (8, 8)), Settings(epochs=2, seed=9))
    second.restore(tmp_path / "at.pt")
    assert (second.epoch, second.seconds, second.losses) == (3, 7.5, [1.0, 0.5])
    assert torch.equal(
        second.network.get_parameter("head.weight"), first.network.get_parameter("head.weight")
    )
    draws = [torch.rand(4, generator=student.generator) for student in (first, second)]
    assert torch.equal(*draws)


def test_digit_training_is_the_same_for_the_same_seed() -> None:
    pictures = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(64) % 10
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        settings = DigitSettings(epochs=2, seed=seed, batch=16, tilt=10, shift=2, zoom=0.1)
        losses.append(train_digits(NETWORKS["fc100"](), pictures, labels, settings))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4) and losses[0] != losses[2]


def test_without_the_teacher_the_command_says_which_file_belongs_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOOLSCOPE_WEIGHTS", str(tmp_path))
    assert command.main(["photos", "--epochs", "1", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "mobilenet_v2.safetensors" in said and str(tmp_path) in said
    assert not list(tmp_path.iterdir())


def test_without_data_the_readers_say_which_file_belongs_where(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"mnist/train-images.*FOOLSCOPE_DATA"):
        read_mnist(tmp_path, train=True)
    with pytest.raises(MissingData, match=r"caltech101_160\.tar.*FOOLSCOPE_DATA"):
        load_photos(tmp_path, {"car": {"caltech101": ["car_side"]}})


def test_crops_keep_colours_and_stay_in_the_box() -> None:
    chance = torch.Generator().manual_seed(0)
    plain = torch.full((6, 3, 40, 40), 100, dtype=torch.uint8)
    crops = random_crops(plain, 24, chance)
    assert crops.shape == (6, 3, 24, 24)
    assert torch.allclose(crops, torch.full_like(crops, 100 / 255), atol=1e-5)
    coloured = random_colours(torch.rand(50, 3, 8, 8), chance, grey=0.5)
    assert coloured.min() >= 0 and coloured.max() <= 1
    grey = ((coloured[:, 0] - coloured[:, 2]).abs().amax((1, 2)) < 1e-6).sum()
    assert 10 < grey < 40


def test_mixed_pictures_are_the_blend_that_their_shares_say() -> None:
    x = torch.rand(32, 3, 4, 4)
    mixed = mixup(x, 0.4, torch.Generator().manual_seed(0))
    share = mixed.share.view(-1, 1, 1, 1)
    assert torch.allclose(mixed.x, x * share + x[mixed.partner] * (1 - share))
    assert mixed.share.min() >= 0.5 and mixed.share.max() <= 1 and mixed.share.std() > 0.05
    assert torch.equal(mixup(x, 0, torch.Generator()).x, x)


def test_the_temperature_is_the_one_that_was_put_in() -> None:
    chance = torch.Generator().manual_seed(0)
    true = torch.randn(4000, 5, generator=chance) * 2
    labels = torch.multinomial(true.softmax(1), 1, generator=chance).squeeze(1)
    assert best_temperature(true * 3, labels) == pytest.approx(3, rel=0.1)
    assert calibration_error(true, labels) < 0.03 < 0.1 < calibration_error(true * 3, labels)


def test_the_rate_rises_then_falls_to_nothing() -> None:
    settings = Settings(rate=0.2, warmup=0.1)
    rates = [learning_rate(settings, step / 100) for step in range(101)]
    assert rates[0] < 0.01 and max(rates) == pytest.approx(0.2, rel=0.05)
    assert rates[-1] == pytest.approx(0, abs=1e-9) and sorted(rates[12:], reverse=True) == rates[12:]


def test_what_is_written_is_half_precision_with_its_own_hash(tmp_path: Path) -> None:
    network = NETWORKS["fc100"]()
    path = write_network("fc100", network, {"seed": 4}, tmp_path)
    record = read_record("fc100", tmp_path)
    assert record["seed"] == 4 and record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    kept = load_file(path)["layers.1.weight"]
    assert torch.equal(kept, network.get_parameter("layers.1.weight").half())
