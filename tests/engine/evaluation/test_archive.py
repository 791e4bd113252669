"""Archives that visitors send: what is taken, and how each hostile one is refused before it is unpacked."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.evaluation import archive
from engine.evaluation.archive import Sent, unpacked
from errors import BadImage
from settings import SAMPLES

COFFEE = (SAMPLES / "coffee.jpg").read_bytes()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return whole.getvalue()


def test_pictures_of_archives_and_files_are_taken_under_names_of_their_own(tmp_path: Path) -> None:
    inside = {
        "cup/a.jpg": COFFEE,
        "notes.txt": b"left aside",
        "__MACOSX/cup/._a.jpg": b"left aside",
        "cup/.hidden.jpg": b"left aside",
        "labels.csv": b"file,label\ncup/a.jpg,cup\n",
    }
    sent = [Sent("one.zip", zipped(inside)), Sent("b.png", COFFEE), Sent("b.png", COFFEE)]
    pictures, table = unpacked(sent, tmp_path)
    assert [picture.file for picture in pictures] == ["b.png", "b (2).png", "cup/a.jpg"]
    assert table is not None and table.read_bytes() == inside["labels.csv"]
    paths = [picture.path for picture in pictures]
    assert all(path and path.parent == tmp_path and path.read_bytes() == COFFEE for path in paths)
    assert len(set(paths)) == 3 and len(list(tmp_path.iterdir())) == 4


def declaring(size: int) -> bytes:
    """Return an archive of one picture that declares to be ``size`` bytes long."""
    data = zipped({"a.jpg": COFFEE})
    place = data.rfind(b"PK\x01\x02") + 24
    return data[:place] + struct.pack("<I", size) + data[place + 4 :]


def counting(entries: int, size: int = 46) -> bytes:
    """Return the end of an archive that declares so many entries in a list of ``size`` bytes."""
    return (
        b"PK\x03\x04"
        + b"\0" * 100
        + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, entries, entries, size, 0, 0)
    )


def with_secret() -> bytes:
    data = bytearray(zipped({"a.jpg": COFFEE}))
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def with_link() -> bytes:
    whole = io.BytesIO()
    entry = zipfile.ZipInfo("a.jpg")
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(whole, "w") as made:
        made.writestr(entry, "/etc/passwd")
    return whole.getvalue()


def with_wrong_bytes() -> bytes:
    data = bytearray(zipped({"a.jpg": COFFEE}))
    data[200:260] = b"\xff" * 60
    return bytes(data)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a bomb": (lambda: zipped({"a.png": bytes(archive.MOST_BYTES + 1)}), "at most 200 MB"),
    "many small ones": (lambda: zipped({f"{n}.png": b"" for n in range(201)}), "pictures, got 201"),
    "more than it declares": (lambda: declaring(100), "bomb.zip"),
    "less than it declares": (lambda: declaring(len(COFFEE) + 100), "bomb.zip"),
    "too large a list": (lambda: counting(10, 2**31), "at most 4,000 entries"),
    "too many entries": (lambda: counting(60000), "at most 4,000 entries"),
    "64 bits": (lambda: counting(1)[:-22] + b"PK\x06\x07" + bytes(16) + counting(1)[-22:], "at most 4,000"),
    "no end": (lambda: b"PK\x03\x04" + bytes(500), "whole ZIP"),
    "cut off": (lambda: zipped({"a.jpg": COFFEE})[:-30], "whole ZIP"),
    "damaged": (with_wrong_bytes, "whole ZIP"),
    "up and out": (lambda: zipped({"../../a.jpg": COFFEE}), r"path \.\./\.\./a\.jpg"),
    "from the root": (lambda: zipped({"/etc/a.jpg": COFFEE}), "path /etc/a.jpg"),
    "from a drive": (lambda: zipped({"C:\\a.jpg": COFFEE}), "path C:"),
    "a link": (with_link, "path a.jpg"),
    "a password": (with_secret, "without a password"),
    "an archive in it": (lambda: zipped({"deep/b.zip": zipped({"a.jpg": COFFEE})}), "deep/b.zip"),
    "no pictures": (lambda: zipped({"notes.txt": b"hello"}), "got none"),
    "a large table": (lambda: zipped({"a.jpg": COFFEE, "labels.csv": bytes(2**21)}), "MB"),
    "a method nobody knows": (
        lambda: zipped({"a.jpg": COFFEE}).replace(struct.pack("<H", 8), struct.pack("<H", 77)), "whole ZIP",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_archive_is_refused_in_one_sentence(what: str, tmp_path: Path) -> None:
    make, words = HOSTILE[what]
    with pytest.raises(BadImage, match=words) as caught:
        unpacked([Sent("bomb.zip", make())], tmp_path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("Expected ")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_what_is_declared_is_refused_before_anything_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = HOSTILE["a bomb"][0]()

    def never(*_: object) -> None:
        raise AssertionError("it was unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "open", never)
    with pytest.raises(BadImage, match="at most 200 MB"):
        unpacked([Sent("bomb.zip", bomb)], tmp_path)


def test_changed_bytes_are_taken_or_refused_and_never_escape(tmp_path: Path) -> None:
    """Archives with a byte changed, one for each place of a small one."""
    whole = zipped({"a.jpg": zlib.compress(b"x"), "b/c.png": b"y" * 30, "labels.csv": b"a.jpg,1\n"})
    inbox, refused = tmp_path / "inbox", 0
    inbox.mkdir()
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 0xFF
        try:
            unpacked([Sent("some.zip", bytes(data))], inbox)
        except BadImage:
            refused += 1
    assert 0 < refused < len(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["inbox"]
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == {inbox}
