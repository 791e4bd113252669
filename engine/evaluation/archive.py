"""Pictures that visitors send, several files or archives of them: what an archive declares is checked before
it is unpacked, and nothing in it decides where a file is written."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from engine.evaluation.record import Picture
from engine.images.sources import SUFFIXES
from errors import BadImage

MOST_PICTURES = 200
MOST_BYTES = 200 * 2**20
MOST_ENTRIES = 4000
LABELS = "labels.csv"
"""The table of an archive that says what its pictures show."""
MOST_LABELS = 2**20
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x07"
_END_SIZE, _COMMENT = 22, 2**16
_DIRECTORY = 2**21
"""Bytes of an archive's list of contents at most."""
_LINK, _KIND = 0o120000, 0o170000
TOO_MANY = "Expected at most {most} pictures, got {got}: send fewer, or use the command line."
TOO_LARGE = "Expected at most {most} MB of pictures, got {got} MB: send fewer, or use the command line."
NO_ARCHIVE = "Expected a whole ZIP archive, got {name}, which is cut off, damaged or of a rare kind."
CROWDED = "Expected a ZIP archive of at most {most} entries, got {name} with more."
OUTSIDE = "Expected an archive whose files stay inside it, got {name} with the path {path}."
NESTED = "Expected an archive of pictures, got {name} with an archive in it, {path}: unpack that first."
SECRET = "Expected an archive without a password, got {name} with one."
LYING = "Expected {path} in {name} to be as large as the archive declares, got another size."
NOTHING = "Expected pictures, or a ZIP archive with some, got none."


class Sent(NamedTuple):
    """A file that somebody sent."""

    name: str
    data: bytes


def unpacked(files: Iterable[Sent], folder: Path) -> tuple[list[Picture], Path | None]:
    """Write the pictures in ``files`` into ``folder`` under names of their own, and return them and the table
    of labels where an archive has one.

    Raises `errors.BadImage` for what cannot be taken, before anything of it is unpacked.
    """
    sent = list(files)
    archives = [(file, _entries(file)) for file in sent if is_archive(file)]
    plain = [file for file in sent if not is_archive(file)]
    _check(plain, [entry for _, entries in archives for entry in entries])
    pictures: list[Picture] = []
    taken: set[str] = set()
    for name, data in (*((file.name, file.data) for file in plain), *_contents(archives)):
        path = folder / f"{len(pictures):04d}{PurePosixPath(name).suffix[:6]}"
        path.write_bytes(data)
        pictures.append(Picture(_free(name, taken), None, path))
    if not pictures:
        raise BadImage(NOTHING)
    return pictures, _labels(archives, folder)


def is_archive(file: Sent) -> bool:
    """Say whether a file is a ZIP archive, by its bytes or its name."""
    return file.data[:4] in (b"PK\x03\x04", b"PK\x05\x06") or file.name.lower().endswith(".zip")


def _entries(file: Sent) -> list[zipfile.ZipInfo]:
    """Return the pictures, and the table of labels, that an archive lists."""
    _check_list(file)
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            every = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise BadImage(NO_ARCHIVE, name=file.name) from error
    if len(every) > MOST_ENTRIES:
        raise BadImage(CROWDED, most=f"{MOST_ENTRIES:,}", name=file.name)
    wanted = []
    for entry in every:
        _check_entry(file.name, entry)
        if not entry.is_dir() and _wanted(entry.filename):
            wanted.append(entry)
    return wanted


def _check_list(file: Sent) -> None:
    """Refuse an archive by the size of its list of contents, before that is read."""
    tail = file.data[-_END_SIZE - _COMMENT :]
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_SIZE:
        raise BadImage(NO_ARCHIVE, name=file.name)
    count = int.from_bytes(tail[end + 10 : end + 12], "little")
    size = int.from_bytes(tail[end + 12 : end + 16], "little")
    if count > MOST_ENTRIES or size > _DIRECTORY or tail[max(0, end - 20) : end].startswith(_END_64):
        raise BadImage(CROWDED, most=f"{MOST_ENTRIES:,}", name=file.name)


def _check_entry(name: str, entry: zipfile.ZipInfo) -> None:
    path = entry.filename.replace("\\", "/")
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or ":" in parts[0] or entry.external_attr >> 16 & _KIND == _LINK:
        raise BadImage(OUTSIDE, name=name, path=entry.filename[:80])
    if entry.flag_bits & 1:
        raise BadImage(SECRET, name=name)
    if path.lower().endswith(ARCHIVES):
        raise BadImage(NESTED, name=name, path=entry.filename[:80])


def _wanted(path: str) -> bool:
    """Say whether a path is that of a picture or of the labels; hidden files and what Macs add are not."""
    parts = path.replace("\\", "/").split("/")
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and (path.lower().endswith(SUFFIXES) or parts[-1].lower() == LABELS)


def _is_table(entry: zipfile.ZipInfo) -> bool:
    return PurePosixPath(entry.filename).name.lower() == LABELS


def _check(plain: list[Sent], entries: list[zipfile.ZipInfo]) -> None:
    """Refuse too much, as it is declared."""
    pictures = [entry for entry in entries if not _is_table(entry)]
    count = len(plain) + len(pictures)
    if count > MOST_PICTURES:
        raise BadImage(TOO_MANY, most=MOST_PICTURES, got=f"{count:,}")
    size = sum(len(file.data) for file in plain) + sum(entry.file_size for entry in entries)
    tables = [entry for entry in entries if _is_table(entry)]
    if size > MOST_BYTES or any(entry.file_size > MOST_LABELS for entry in tables):
        raise BadImage(TOO_LARGE, most=MOST_BYTES // 2**20, got=f"{size / 2**20:,.0f}")


def _contents(archives: list[tuple[Sent, list[zipfile.ZipInfo]]]) -> Iterator[tuple[str, bytes]]:
    for file, entries in archives:
        for entry in entries:
            if not _is_table(entry):
                yield entry.filename.replace("\\", "/"), _read(file, entry)


def _read(file: Sent, entry: zipfile.ZipInfo) -> bytes:
    """Return an entry's bytes; one that is not as large as it declares is refused."""
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive, archive.open(entry) as opened:
            data = opened.read(entry.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError) as error:
        raise BadImage(NO_ARCHIVE, name=file.name) from error
    if len(data) != entry.file_size:
        raise BadImage(LYING, path=entry.filename[:80], name=file.name)
    return data


def _labels(archives: list[tuple[Sent, list[zipfile.ZipInfo]]], folder: Path) -> Path | None:
    """Return the file of the first table of labels, None where there is none."""
    for file, entries in archives:
        for entry in filter(_is_table, entries):
            path = folder / LABELS
            path.write_bytes(_read(file, entry))
            return path
    return None


def _free(name: str, taken: set[str]) -> str:
    """Return a name that was not taken yet, with a number before its ending where it was."""
    path, number, free = PurePosixPath(name), 1, name
    while free in taken:
        number += 1
        free = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
    taken.add(free)
    return free
