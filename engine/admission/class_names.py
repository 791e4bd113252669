"""What the classes of an added network are called."""

from __future__ import annotations

from pathlib import Path

from errors import BadNetwork
from models import imagenet
from models.added.record import CheckResult
from models.core import distinct

LONGEST_FILE = 4 * 2**20
"""Bytes of a file of labels at most."""
LONGEST_LABEL = 200
BACKGROUND = "background"


def from_file(path: Path) -> tuple[str, ...]:
    """Return the labels in a file, one a line, as UTF-8.

    Raises `errors.BadNetwork` when it cannot be read, is not text or is too long.
    """
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise BadNetwork("Expected a file of labels of at most {most} MB.", most=LONGEST_FILE >> 20)
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadNetwork("Expected a text file with a label on every line, got {path}.", path=path) from error
    return tuple(label for line in lines if (label := shown(line)))


def shown(label: str) -> str:
    """Return a label as it can be shown: at most `LONGEST_LABEL` signs, without control characters."""
    return "".join(sign if sign.isprintable() else " " for sign in label[:LONGEST_LABEL]).strip()


def named(
    labels: tuple[str, ...] | None, classes: int, background: bool
) -> tuple[tuple[str, ...], CheckResult]:
    """Return a label for each of the network's ``classes``, of which a background was taken off already if
    ``background``, and where they come from. ``labels``: those that somebody gave.

    Raises `errors.BadNetwork` when there is another number of them.
    """
    labels = labels and tuple(shown(label) or f"class {index}" for index, label in enumerate(labels))
    if labels and background and len(labels) == classes + 1:
        labels = labels[1:]
    if labels:
        if len(labels) != classes:
            words = "Expected a label for each of the network's {classes} classes, got {got}."
            raise BadNetwork(words, classes=classes, got=len(labels))
        return distinct(labels), CheckResult("labels", "fine", "{n} labels were given.", {"n": classes})
    if classes == len(imagenet.labels()):
        words = "No labels were given: with 1,000 classes they are taken for ImageNet's."
        return imagenet.labels(), CheckResult("labels", "note", words)
    if classes == 2:
        return ("no", "yes"), CheckResult("labels", "note", "No labels were given: they are “no” and “yes”.")
    words = "No labels were given: the classes are numbered."
    return tuple(f"class {index}" for index in range(classes)), CheckResult("labels", "note", words)
