"""The pictures of a folder, and what they show: by the names of the folders they are in, or by a table."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import models
from engine.evaluation.record import Picture
from engine.images.sources import FORMATS, SUFFIXES
from errors import BadImage, BadSetting, UnknownName

BY_FOLDER, NONE = "folders", "none"
BAD_LABEL = "Expected a class of {networks} in row {row} of {table} ({file}), got “{label}”."
BAD_FOLDER = "Expected folders called by classes of {networks}, as some are, got one called “{folder}”."


def in_folder(folder: Path) -> list[Picture]:
    """Return the picture files in and below a folder, by name; what begins with a dot is left out.

    Raises `errors.BadImage` where there is none, or the folder cannot be read.
    """
    pictures = [Picture(path.relative_to(folder).as_posix(), None, path) for path in _files(folder)]
    if not pictures:
        raise BadImage(
            "Expected a folder with pictures ({formats}), got {folder} with none.",
            formats=FORMATS,
            folder=folder,
        )
    return pictures


def _files(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise BadImage(
            "Expected a folder that can be read, got {folder}: {why}.",
            folder=error.filename,
            why=error.strerror,
        )

    for path, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(path, name)


def labelled(pictures: Sequence[Picture], source: str | None, networks: Sequence[str]) -> list[Picture]:
    """Return the pictures with what they show. ``source``: a CSV file with file and label, "folders", "none",
    or None: by folders where their names are classes.

    Raises `errors.BadSetting` for a label that one of the ``networks`` does not know.
    """
    if source == NONE:
        return list(pictures)
    if source in (None, BY_FOLDER):
        return _by_folder(pictures, networks, asked=source == BY_FOLDER)
    return _by_table(pictures, Path(str(source)), networks)


def label_of(text: str, networks: Sequence[str]) -> str:
    """Return ``text``, which names a class of all ``networks``, with spaces for underscores where it does so
    only then. Raises `errors.UnknownName` with the first network that has no such class."""
    wanted = text if _known(text, networks) else text.replace("_", " ")
    for name in networks:
        models.card(name).label_index(wanted)
    return wanted


def _known(text: str, networks: Sequence[str]) -> bool:
    try:
        return all(models.card(name).label_index(text) >= 0 for name in networks)
    except UnknownName:
        return False


def _by_folder(pictures: Sequence[Picture], networks: Sequence[str], asked: bool) -> list[Picture]:
    names = {picture.file: picture.file.rpartition("/")[0].rpartition("/")[2] for picture in pictures}
    labels: dict[str, str] = {}
    for name in sorted(set(names.values()) - {""}):
        with suppress(UnknownName):
            labels[name] = label_of(name, networks)
    others = sorted(set(names.values()) - labels.keys() - {""})
    if others and (asked or labels):
        raise BadSetting(BAD_FOLDER, folder=others[0], networks=", ".join(networks))
    return [replace(picture, label=labels.get(names[picture.file])) for picture in pictures]


def _by_table(pictures: Sequence[Picture], table: Path, networks: Sequence[str]) -> list[Picture]:
    known: dict[str, str] = {}
    files = {picture.file for picture in pictures}
    for row, (file, text) in enumerate(_rows(table), 1):
        if file not in files:
            continue
        try:
            known[file] = label_of(text, networks)
        except UnknownName as error:
            facts = {"row": row, "table": table.name, "file": file, "label": text[:40]}
            raise BadSetting(BAD_LABEL, networks=", ".join(networks), **facts) from error
    if not known:
        raise BadSetting(
            "Expected a table with file and label of the pictures, got {table}, which names none of them.",
            table=table.name,
        )
    return [replace(picture, label=known.get(picture.file)) for picture in pictures]


def _rows(table: Path) -> list[tuple[str, str]]:
    """Return file and label of each row; the first may be a header. Raises `errors.BadSetting`."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadSetting(
            "Expected a CSV file with file and label, got {table}: {why}.", table=table.name, why=error
        ) from error
    header = [name.strip().lower() for name in rows[0]] if rows else []
    places = (header.index("file"), header.index("label")) if {"file", "label"} <= set(header) else (0, 1)
    for number, row in enumerate(rows, 1):
        if len(row) <= max(places):
            raise BadSetting(
                "Expected file and label in row {row} of {table}, got {count} columns.",
                row=number,
                table=table.name,
                count=len(row),
            )
    return [(Path(row[places[0]].strip()).as_posix(), row[places[1]].strip()) for row in rows]
