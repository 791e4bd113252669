"""A digit written on paper is made into what MNIST holds, for networks that read digits and on wish only."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import models
import settings
from app.cli import main
from app.playground.session import Session
from engine import links
from engine.engine import Engine
from engine.images import handwriting, sources
from engine.images.handwriting import dark_on_light, prepare
from engine.recipe import Recipe
from errors import UnknownName
from models.core import Classifier, Crop
from models.train.data import read_mnist
from tests.support.handwriting import pen_strokes, photograph

Shared = Callable[[str], Path]
COUNT = 20


class Photographed(NamedTuple):
    """MNIST's own digits ``(n, 28, 28)``, photos of them on paper, what is made of these, and which digits
    they are."""

    digits: np.ndarray
    photos: list[Image.Image]
    prepared: list[Image.Image]
    labels: np.ndarray


@pytest.fixture(scope="module")
def written(shared: Shared) -> Photographed:
    levels, labels = read_mnist(shared("mnist").parent, train=False)
    digits = (255 * levels[:COUNT, 0]).round().to(torch.uint8).numpy()
    rng = np.random.default_rng(7)
    photos = [photograph(digit, rng) for digit in digits]
    return Photographed(digits, photos, list(map(prepare, photos)), labels[:COUNT].numpy())


@pytest.fixture(scope="module")
def lenet() -> Classifier:
    return models.load("lenet")


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


def says(network: Classifier, pictures: list[Image.Image]) -> np.ndarray:
    """Return which digit the network sees in each picture."""
    with torch.no_grad():
        return np.asarray(
            network(torch.stack([network.card.preprocess(picture) for picture in pictures])).argmax(1).numpy()
        )


def seven(side: int = 300) -> Image.Image:
    """Return a 7 drawn dark on a light page of 900 x 700, upper left."""
    strokes = np.zeros((28, 28), np.uint8)
    strokes[6:8, 8:20] = 255
    for row in range(8, 24):
        strokes[row, 18 - (row - 8) // 2 : 20 - (row - 8) // 2] = 255
    page = np.full((700, 900), 220.0)
    page[20 : 20 + side, 30 : 30 + side] *= 1 - 0.8 * pen_strokes(strokes, side, 9)
    return Image.fromarray(page.astype(np.uint8)).convert("RGB")


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


# The pixels.


def test_photographed_digits_are_read_once_they_are_prepared(
    written: Photographed, lenet: Classifier
) -> None:
    """Of a hundred such photos LeNet reads 99; as they are, or only inverted, about one in eight."""
    assert (says(lenet, written.prepared) == written.labels).mean() >= 0.95
    inverted = [Image.eval(photo, lambda level: 255 - level) for photo in written.photos]
    for plain in (written.photos, inverted):
        assert (says(lenet, plain) == written.labels).mean() < 0.25
    assert np.mean([dark_on_light(photo) for photo in written.photos]) > 0.95


def test_a_prepared_digit_is_as_mnist_holds_it(written: Photographed) -> None:
    for picture in written.prepared:
        levels = np.asarray(picture)
        assert levels.shape == (28, 28, 3) and (levels == levels[..., :1]).all()
        grey = levels[..., 0].astype(float)
        rows, columns = (np.flatnonzero(grey.max(axis) > 20) for axis in (1, 0))
        assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        y, x = (np.average(np.arange(28) + 0.5, weights=grey.sum(axis)) for axis in (1, 0))
        assert abs(y - 14) < 1 and abs(x - 14) < 1
        assert grey.max() == 255 and 0.05 < (grey > 60).mean() < 0.35


def test_mnist_itself_is_not_taken_for_writing_on_paper(written: Photographed, lenet: Classifier) -> None:
    own = [Image.fromarray(digit).convert("RGB") for digit in written.digits[:10]]
    large = [digit.resize((280, 280), Image.Resampling.BICUBIC) for digit in own]
    assert not any(map(dark_on_light, own)) and not any(map(dark_on_light, large))
    again = [prepare(digit) for digit in large]
    assert (says(lenet, again) == written.labels[:10]).mean() >= 0.95
    assert all(dark_on_light(Image.eval(digit, lambda level: 255 - level)) for digit in large)


def test_chalk_on_a_board_is_not_inverted(written: Photographed, lenet: Classifier) -> None:
    boards = [Image.eval(photo, lambda level: 255 - level) for photo in written.photos[:12]]
    assert not any(map(dark_on_light, boards))
    assert (says(lenet, [prepare(board) for board in boards]) == written.labels[:12]).mean() > 0.85


def test_a_dark_table_beside_the_paper_and_specks_on_it_are_left_aside(lenet: Classifier) -> None:
    page = np.asarray(seven()).copy()
    page[:, 820:] = 40
    page[600:606, 700:706] = 60
    page[640:646, 100:106] = 60
    assert says(lenet, [prepare(Image.fromarray(page))]) == [7]


@pytest.mark.parametrize("name", list(sources.samples()))
def test_samples_are_not_taken_for_writing(name: str) -> None:
    assert not dark_on_light(sources.open_sample(name))


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2, 3), (28, 28), (3000, 40)])
@pytest.mark.parametrize("level", [0, 128, 255, None])
def test_what_shows_nothing_is_black(size: tuple[int, int], level: int | None) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0]), np.uint8)
    plain = Image.fromarray(noise) if level is None else Image.new("L", size, level)
    prepared = np.asarray(prepare(plain.convert("RGB")))
    assert prepared.shape == (28, 28, 3) and (level is None or not prepared.any())
    assert level is None or not dark_on_light(plain.convert("RGB"))


# Who prepares what.


def test_a_recipe_names_a_prepared_picture_and_its_link_gives_the_same(engine: Engine) -> None:
    token = engine.uploads.add(png(seven()))
    plain, prepared = Recipe("lenet", token, "fgsm"), Recipe("lenet", "mnist:" + token, "fgsm")
    again = links.read(links.write(prepared)).recipe
    assert again == prepared and again.key() != plain.key()
    assert Recipe.from_json(json.loads(json.dumps(prepared.to_json()))) == prepared
    assert engine.classify("lenet", again.image)[0].label == "7"
    assert engine.classify("lenet", token)[0].label != "7"
    seen = engine.preprocess(prepared)
    assert seen.shape == (1, 28, 28) and seen.mean() < 0.3 and seen[0, 0].max() == 0
    assert engine.picture(prepared.image).size == (28, 28) and engine.picture(token).size == (900, 700)
    run = engine.submit(prepared)
    assert np.array_equal(run.start, seen) and run.labels[run.original] == "7"


def test_a_crop_is_applied_before_the_digit_is_prepared(engine: Engine) -> None:
    page = np.asarray(seven()).copy()
    page[380:680, 500:800] = np.rot90(page[20:320, 30:330], 1)
    image = "mnist:" + engine.uploads.add(png(Image.fromarray(page)))
    around = Crop(0.19, 0.25, 0.45)
    assert engine.classify("lenet", image, around)[0].label == "7"
    whole, part = (
        engine.preprocess(Recipe("lenet", image, "fgsm")),
        engine.preprocess(Recipe("lenet", image, "fgsm", crop=around)),
    )
    assert not np.array_equal(whole, part)
    box = [round(edge) for edge in around.box((900, 700))]
    alone = prepare(Image.fromarray(page).crop((box[0], box[1], box[2], box[3])))
    assert np.array_equal(part, models.card("lenet").see(alone))


@pytest.mark.parametrize("name", ["mnist:", "mnist:mnist:cat", "mnist:upload:AAAA", "mnist:nothing"])
def test_unknown_pictures_are_unknown_prepared_too(engine: Engine, name: str) -> None:
    with pytest.raises(UnknownName):
        engine.picture(name)
    with pytest.raises(UnknownName):
        engine.classify("lenet", name)


class File:
    """What Streamlit hands over for a dropped file."""

    def __init__(self, data: bytes) -> None:
        self.data, self.name, self.file_id = data, "a.png", "1"

    def getvalue(self) -> bytes:
        return self.data


@pytest.fixture
def session(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr("streamlit.rerun", lambda: None)
    return Session(engine, links.read({"model": "lenet", "image": "seven"}))


def test_an_upload_to_a_digit_network_is_prepared_until_that_is_undone(session: Session) -> None:
    assert not session.preparable() and not session.prepared
    session.upload(File(png(seven())), "file")
    token = session.recipe.image.removeprefix("mnist:")
    assert session.recipe.image == "mnist:" + token and session.prepared and session.preparable()
    session.change(crop=Crop(0.3, 0.3, 0.5))
    session.prepare(False)
    assert session.recipe.image == token and session.recipe.crop == Crop(0.3, 0.3, 0.5)
    assert session.preparable() and not session.prepared
    session.prepare(True)
    assert session.recipe.image == "mnist:" + token
    session.prepare(True)
    assert session.recipe.image == "mnist:" + token


def test_a_white_digit_on_black_is_taken_as_it_is(session: Session) -> None:
    session.upload(File((settings.SAMPLES / "seven.png").read_bytes()), "file")
    assert session.recipe.image.startswith("upload:") and session.preparable()


def test_another_network_takes_the_photo_in_its_own_way(session: Session) -> None:
    session.upload(File(png(seven())), "file")
    token = session.recipe.image.removeprefix("mnist:")
    session.model("photos")
    assert session.recipe.image == token and not session.preparable()
    session.model("fc100")
    assert session.recipe.image == "mnist:" + token
    session.image("seven")
    assert not session.preparable()


def test_the_command_line_prepares_writing_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(png(seven()))
    whole = ["classify", str(path), "--model", "lenet", "--json"]
    assert main(whole) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["top"][0]["label"] == "7"
    assert "prepared as MNIST does" in printed.err and printed.err.count("\n") == 1
    assert main([*whole, "--as-is"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["top"][0]["label"] != "7" and printed.err == ""
    assert main(["classify", str(settings.SAMPLES / "seven.png"), "--model", "lenet", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["top"][0]["label"] == "7" and printed.err == ""


def test_an_attack_on_writing_names_what_it_attacked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(png(seven()))
    attack = ["attack", "--model", "lenet", "--attack", "fgsm", "--json", "--force"]
    attack += ["--out", str(tmp_path / "out")]
    for image in (str(path), f"mnist:{path}"):
        assert main([*attack, image]) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["original"]["label"] == "7" and result["recipe"]["image"] == f"mnist:{path}"
    assert main([*attack, str(path), "--as-is"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["image"] == str(path)


def test_the_command_line_notes_how_a_file_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.jpg"
    data = (settings.SAMPLES / "cat.jpg").read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    note = f"{path}: {sources.CUT_OFF}\n"
    assert main(["classify", str(path), "--model", "photos"]) == 0
    assert note in capsys.readouterr().err
    attack = ["attack", str(path), "--model", "photos", "--attack", "fgsm", "--out", str(tmp_path / "out")]
    assert main(attack) == 0
    assert note in capsys.readouterr().err


def test_the_window_for_strokes_is_part_of_the_picture() -> None:
    """A stroke as thick as a tenth of the picture is found as well as one of a hundredth."""
    thin, thick = seven(), Image.new("L", (300, 300), 230)
    thick.paste(20, (60, 60, 240, 92))
    thick.paste(20, (208, 60, 240, 250))
    for picture in (thin, thick.convert("RGB")):
        assert dark_on_light(picture) and np.asarray(prepare(picture)).max() == 255
    assert handwriting.SIDE == 28
