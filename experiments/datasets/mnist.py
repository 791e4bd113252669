"""The four files of MNIST: where they are looked for, and how they are fetched."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import settings
from errors import DownloadFailed, MissingData
from models.download import Progress, download, silent


class File(NamedTuple):
    """One file: its name, its size in bytes, its sha256."""

    name: str
    size: int
    sha256: str


MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
"""Addresses that send the files of `FILES`, asked one after the other."""

FILES = (
    File(
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    File(
        "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    File(
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    File(
        "t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
NO_NETWORK = (
    "MNIST could not be fetched from {host}: {reason}; try again, run “python -m experiments --download” "
    "where there is a network, or put its four files into {folder}."
)
NO_ROOM = "MNIST cannot be stored in {folder}: {reason}."


def place() -> Path | None:
    """Return the folder whose folder ``mnist`` holds all four files, None where there is none: that of the
    data sets, or that of all that the program keeps."""
    folders = (settings.data(), settings.home())
    return next((folder for folder in folders if folder and _complete(folder / "mnist")), None)


def fetch(progress: Progress = silent, mirrors: tuple[str, ...] = ()) -> Path:
    """Return the folder with the four files, fetched, unless they are there, from the first of ``mirrors``
    (by default `MIRRORS`) that sends them. ``progress`` is called with the bytes done and in all.

    Raises `errors.MissingData` when they cannot be fetched or stored.
    """
    folder, total, before = settings.home() / "mnist", sum(file.size for file in FILES), 0
    for file in FILES:
        start = before

        def of_all(done: int, _: int, start: int = start) -> None:
            progress(start + done, total)

        _fetch(file, folder, of_all, mirrors or MIRRORS)
        before += file.size
        progress(before, total)
    return folder


def _fetch(file: File, folder: Path, progress: Progress, mirrors: tuple[str, ...]) -> None:
    """Fetch one file from the first mirror that sends it."""
    failed: DownloadFailed | None = None
    for mirror in mirrors:
        try:
            download(mirror + file.name, folder / file.name, file.sha256, size=file.size, progress=progress)
            return
        except DownloadFailed as error:
            failed = failed or error
        except OSError as error:
            raise MissingData(NO_ROOM, folder=folder, reason=error) from error
    assert failed is not None
    host = mirrors[0].split("/")[2]
    raise MissingData(NO_NETWORK, host=host, reason=failed.reason, folder=folder) from failed


def _complete(folder: Path) -> bool:
    return all((folder / file.name).is_file() for file in FILES)
