"""The networks that were added: a folder for every one of them under ``FOOLSCOPE_HOME/models``.

A network is there once its folder has its name: it is filled under another name first.
"""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

from torch import nn

import settings
from errors import BadSetting, UnknownName, WeightsError
from models.added import record, source
from models.added.adapting import adapted
from models.added.record import AddedModel
from models.core import Card, Entry, WeightsFile
from models.download import digest

log = logging.getLogger("foolscope")
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")
UNFINISHED = "."
"""What the name of a folder begins with while it is filled."""
_lock = threading.Lock()
FRESH = 0.5
"""Seconds for which the folder is not looked at again: a page asks for networks a hundred times."""


class Shelf(NamedTuple):
    """What was on the shelf when it was ``looked`` at, in seconds of `time.monotonic`, and the time at which
    its ``folder`` changed last, in nanoseconds."""

    folder: Path
    stamp: int
    looked: float
    records: dict[str, AddedModel]
    entries: dict[str, Entry]


_shelf: Shelf | None = None


def folder() -> Path:
    """Return the folder of all added networks."""
    return settings.home() / "models"


def checked_name(name: str) -> str:
    """Return ``name``; raises `errors.BadSetting` unless it can name a network and a folder."""
    if not NAME.fullmatch(name) or name.endswith("."):
        raise BadSetting(
            "Expected a name of at most 48 small letters, digits, “-”, “_” and “.”, such as my_resnet, got "
            "“{name}”.",
            name=name[:60],
        )
    return name


def records() -> dict[str, AddedModel]:
    """Return what is kept of every added network by name, in order of the names. A folder that does not
    describe one is left out, with a line in the log."""
    return _all().records


def _all() -> Shelf:
    """Return what is on the shelf, read anew when a network came or went: looked for twice a second, and at
    once when that was in this process (`changed`)."""
    global _shelf
    here, now, shelf = folder(), time.monotonic(), _shelf
    if shelf is not None and shelf.folder == here and now < shelf.looked + FRESH:
        return shelf
    try:
        stamp = here.stat().st_mtime_ns if here.is_dir() else 0
    except OSError:  # it was removed just now
        stamp = 0
    with _lock:
        if shelf is None or (shelf.folder, shelf.stamp) != (here, stamp):
            added = _read_all(here) if stamp else {}
            entries = {name: Entry(card(one), partial(build, one)) for name, one in added.items()}
            shelf = Shelf(here, stamp, now, added, entries)
        _shelf = shelf._replace(looked=now)
        return _shelf


def changed() -> None:
    """Note that a network came or went."""
    global _shelf
    with _lock:
        _shelf = None


def _read_all(here: Path) -> dict[str, AddedModel]:
    added = {}
    for path in sorted(here.iterdir()):
        if path.is_dir() and NAME.fullmatch(path.name):
            try:
                one = record.read(path / record.FILE)
                _source(one)  # of a kind that this version knows
                added[path.name] = one
            except WeightsError as error:
                log.warning("%s", error)
    return added


def get(name: str) -> AddedModel:
    """Return what is kept of the network called ``name``; raises `errors.UnknownName`."""
    if name not in records():
        raise UnknownName.of("added network", name, records())
    return records()[name]


def remove(name: str) -> None:
    """Remove an added network with its files; raises `errors.UnknownName`."""
    get(name)
    gone = folder() / f"{UNFINISHED}{name}.removed"
    shutil.rmtree(gone, ignore_errors=True)
    (folder() / name).rename(gone)
    changed()
    shutil.rmtree(gone, ignore_errors=True)


def entries() -> dict[str, Entry]:
    """Return every added network as the registry of models has them."""
    return _all().entries


def card(added: AddedModel) -> Card:
    """Return the card of an added network."""
    kept = added.files[0] if added.files else record.KeptFile("", "", 0)
    own = added.input
    return Card(
        name=added.name,
        title=added.title,
        summary=f"Added from {added.source}.",
        size=own.size,
        labels=added.labels,
        weights=WeightsFile(kept.name, kept.sha256, bytes=kept.bytes, folder=str(folder() / added.name)),
        mean=own.mean[::-1] if own.reversed_channels else own.mean,
        std=own.std[::-1] if own.reversed_channels else own.std,
        resize=own.resize,
        interpolation=own.interpolation,
        training_set=added.training_set,
        parameters=added.parameters,
        licence=added.licence,
        paper=added.paper,
        offline=True,
        order=200,
        added=True,
        worded=_kind(added) in source.registry() and _source(added).takes_words,
    )


def build(added: AddedModel) -> nn.Module:
    """Return an added network with its weights, its outputs made logits.

    Raises `errors.WeightsError` when a file is missing or was changed.
    """
    here = folder() / added.name
    for kept in added.files:
        path = here / kept.name
        if not path.is_file() or digest(path) != kept.sha256:
            raise WeightsError(
                "{path} is missing or was changed since {name} was added: remove the network "
                "(python -m app models remove {name}) and add it again.",
                path=path,
                name=added.name,
            )
    network = _source(added).build(added, here)
    return adapted(network, added.input, added.output)


def _source(added: AddedModel) -> source.Source:
    """Return what reads the network; raises `errors.WeightsError` for a kind of source that is not known."""
    kind = _kind(added)
    if kind not in source.registry():
        words = "Expected {name} to be of a known kind of source, got “{kind}”."
        raise WeightsError(words, name=added.name, kind=kind[:40])
    return source.registry()[kind]


def _kind(added: AddedModel) -> str:
    """Return the kind of source, "" where a network is only being checked."""
    return added.source.partition(":")[0]
