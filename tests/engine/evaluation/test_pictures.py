"""What the pictures of a folder show, by their folders or by a table, and how else it is refused."""

from pathlib import Path

import pytest

from engine.evaluation.pictures import in_folder, labelled
from errors import BadImage, BadSetting
from tests.support import digit_folder

DIGITS = ["lenet"]


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    digit_folder.write(tmp_path, 6)
    return tmp_path


def labels(folder: Path, source: str | None = None, networks: list[str] = DIGITS) -> dict[str, str | None]:
    return {picture.file: picture.label for picture in labelled(in_folder(folder), source, networks)}


def test_folders_that_are_called_by_classes_say_what_is_in_them(digits: Path) -> None:
    (digits / ".hidden").mkdir()
    (digits / ".hidden" / "9.png").write_bytes(b"")
    assert labels(digits) == {f"{n}/{n:03d}.png": str(n) for n in range(6)} == labels(digits, "folders")
    assert set(labels(digits, "none").values()) == {None}


def test_a_class_may_be_written_with_underscores_and_by_a_synonym(tmp_path: Path, digits: Path) -> None:
    for name in ("giant_panda", "大熊猫"):
        (tmp_path / "album" / name).mkdir(parents=True)
        (tmp_path / "album" / name / "a.png").write_bytes((digits / "0" / "000.png").read_bytes())
    assert set(labels(tmp_path / "album", None, ["efficientnet_lite0"]).values()) == {"giant panda", "大熊猫"}


def test_folders_of_which_none_is_a_class_say_nothing_unless_asked(digits: Path) -> None:
    (digits / "0").rename(digits / "holidays")
    for n in range(1, 6):
        (digits / str(n) / f"{n:03d}.png").rename(digits / "holidays" / f"{n}.png")
    assert len(labels(digits)) == 6 and set(labels(digits).values()) == {None}
    with pytest.raises(BadSetting, match="“holidays”"):
        labels(digits, "folders")


def test_a_folder_that_is_no_class_among_others_is_named(digits: Path) -> None:
    (digits / "3").rename(digits / "thre")
    with pytest.raises(BadSetting, match="“thre”"):
        labels(digits)


def test_a_table_says_what_pictures_show(digits: Path) -> None:
    table = digits / "labels.csv"
    table.write_text("label,file\n7,0/000.png\n2,nowhere.png\n1,1/001.png\n", encoding="utf-8-sig")
    assert labels(digits, str(table)) == {f"{n}/{n:03d}.png": {0: "7", 1: "1"}.get(n) for n in range(6)}
    table.write_text("0/000.png,7\n")
    assert labels(digits, str(table))["0/000.png"] == "7"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label\n0/000.png,3\n1/001.png,twelve\n", r"row 3 of .*labels.csv \(1/001.png\).*twelve"),
        ("file,label\n0/000.png\n", "row 2 of .*got 1 columns"),
        ("file,label\nelsewhere.png,3\n", "names none of them"),
        ("", "names none of them"),
        ("\0", "row 1 of .*got 1 columns"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_row(digits: Path, text: str, words: str) -> None:
    (digits / "labels.csv").write_text(text)
    with pytest.raises(BadSetting, match=words):
        labels(digits, str(digits / "labels.csv"))
    with pytest.raises(BadSetting, match="CSV file"):
        labels(digits, str(digits / "no.csv"))


def test_every_network_must_know_the_label(digits: Path) -> None:
    networks = ["lenet", "efficientnet_lite0"]
    (digits / "labels.csv").write_text("0/000.png,giant panda\n")
    with pytest.raises(BadSetting, match="giant panda"):
        labels(digits, str(digits / "labels.csv"), networks)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none here")
    with pytest.raises(BadImage, match="with none"):
        in_folder(tmp_path)
