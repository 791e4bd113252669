"""Files of a model hub (`settings.hub`): listed by huggingface_hub, fetched and verified here.

huggingface_hub 2 compares a file's length alone and begins anew after a broken connection; here the digest
that the hub states decides, and a second attempt goes on where the first broke off. All stays under
``FOOLSCOPE_HOME/hub``, so that what came once is read again without the hub.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from safetensors import SafetensorError

import settings
from errors import BadNetwork, BadSetting, DownloadFailed, WrongFile
from models.added.record import CheckResult, Request
from models.download import Progress, content, digest, download, silent

for _variable in (
    "HF_HUB_DISABLE_TELEMETRY",
    "HF_HUB_DISABLE_UPDATE_CHECK",
    "HF_HUB_DISABLE_PROGRESS_BARS",
    "HF_HUB_DISABLE_XET",
):
    os.environ.setdefault(_variable, "1")  # read once, when huggingface_hub is imported

NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
REVISION = re.compile(r"\w[\w./-]*")
LONGEST = 16 * 2**20
"""Bytes of a file that is not weights at most."""
TIMEOUT = 20
SAFE = ("model.safetensors", "open_clip_model.safetensors")
INDEX = "model.safetensors.index.json"
"""Which of several files a tensor is in, where weights are split."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository: its name, its ``bytes``, and what the hub states of its content: the
    ``sha256`` of a large one, the ``blob`` (git's SHA-1) of any."""

    name: str
    bytes: int
    sha256: str
    blob: str


@dataclass(frozen=True)
class Repository:
    """A repository at a ``commit``; ``remembered``: as it was before, since the hub could not be reached."""

    name: str
    commit: str
    files: tuple[HubFile, ...]
    licence: str = ""
    remembered: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all files."""
        return tuple(file.name for file in self.files)

    def notes(self) -> tuple[CheckResult, ...]:
        """Return what is worth knowing of where the files came from."""
        facts = {"commit": self.commit[:8]}
        if not self.remembered:
            words = "Its files, of commit {commit}, have the digests that the hub states."
            return (CheckResult("hub", "fine", words, facts),)
        words = "The hub could not be reached: the files are those that came before, of commit {commit}."
        return (CheckResult("hub", "note", words, facts),)


def repository_of(request: Request) -> Repository:
    """Return the repository that a request names, which has its own weights; raises as `repository` does."""
    if request.weights:
        words = "{source} has weights of its own: leave the file out."
        raise BadSetting(words, source=request.source[:80])
    return repository(request.rest)


def repository(reference: str) -> Repository:
    """Return what the hub says of ``OWNER/REPO``, or of ``OWNER/REPO@REVISION``; what it said before when it
    cannot be reached.

    Raises `errors.BadSetting` for a name that is none, `errors.BadNetwork` when there is no such repository.
    """
    name, _, revision = reference.partition("@")
    if not NAME.fullmatch(name) or ".." in reference or not REVISION.fullmatch(revision or "main"):
        raise BadSetting("Expected a repository as OWNER/REPO, got “{got}”.", got=reference[:80])
    listing = _folder(name) / f"{(revision or 'main').replace('/', '--')}.json"
    try:
        asked = _ask(name, revision)
    except DownloadFailed:
        if not listing.is_file():
            raise
        return _remembered(listing)
    _store(listing, json.dumps(asdict(asked)).encode())
    return asked


def document(source: Repository, name: str) -> dict[str, Any]:
    """Return a JSON object of a repository; raises `errors.BadNetwork` when there is none."""
    file = next((file for file in source.files if file.name == name), None)
    if file is None:
        words = "Expected {name} in the repository {repository}, which has none."
        raise BadNetwork(words, name=name, repository=source.name)
    try:
        data = json.loads(fetch(source, file).read_text("utf-8"))
    except ValueError as error:
        raise BadNetwork("Expected {name} to be JSON, got something else.", name=name) from error
    if not isinstance(data, dict):
        raise BadNetwork("Expected {name} to be JSON, got something else.", name=name)
    return data


def weights(source: Repository) -> tuple[HubFile, ...]:
    """Return the files that hold the repository's tensors, as safetensors.

    Raises `errors.BadNetwork` when it has none, or has such only as run code when they are read.
    """
    whole = [file for name in SAFE for file in source.files if file.name == name]
    if whole:
        return (whole[0],)
    if INDEX in source.names:
        mapping = document(source, INDEX).get("weight_map", {})
        parts = set(mapping.values()) if isinstance(mapping, dict) else set()
        return tuple(file for file in source.files if file.name in parts and _is_safe(file.name))
    others = [name for name in source.names if name.endswith((".bin", ".pth", ".pt", ".ckpt", ".pkl", ".h5"))]
    if others:
        raise BadNetwork(
            "Expected weights as safetensors in {repository}, got {others}, which can run code when read.",
            repository=source.name,
            others=", ".join(others[:3]),
        )
    raise BadNetwork("Expected weights as safetensors in {repository}, got none.", repository=source.name)


def _is_safe(name: str) -> bool:
    return name.endswith(".safetensors") and "/" not in name


def fetch_all(source: Repository, files: tuple[HubFile, ...], progress: Progress) -> tuple[Path, ...]:
    """Return where the files are, fetched where need be; ``progress`` is told of all of them as one."""
    total = sum(file.bytes for file in files)

    def moved(before: int) -> Progress:
        return lambda done, _: progress(before + done, total)

    starts = accumulate((file.bytes for file in files), initial=0)
    return tuple(fetch(source, file, moved(start)) for file, start in zip(files, starts, strict=False))


def fetch(source: Repository, file: HubFile, progress: Progress = silent) -> Path:
    """Return where a file is, fetched unless it is there, with the digest that the hub states.

    Raises `errors.DownloadFailed` when it cannot be fetched (what came of it is kept for the next attempt),
    `errors.WrongFile` when something else came, `errors.BadNetwork` when the hub does not hand it out.
    """
    target = _folder(source.name) / f"{(file.sha256 or file.blob)[:16]}-{file.name.replace('/', '--')}"
    if target.is_file() and not _is_it(target.read_bytes() if not file.sha256 else target, file):
        target.unlink()
    if target.is_file():
        return target
    url = f"{settings.hub()}/{source.name}/resolve/{source.commit}/{quote(file.name)}"
    headers = _library().utils.build_hf_headers()
    with _handed_out(source):
        if file.sha256:
            return download(url, target, file.sha256, size=file.bytes, progress=progress, headers=headers)
        data = content(url, min(LONGEST, file.bytes), headers)
    if not _is_it(data, file):
        raise WrongFile(url, f"it is not the file with the digest {file.blob[:16]}… that the hub states")
    _store(target, data)
    return target


def _store(target: Path, data: bytes) -> None:
    """Write a file that is there as a whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(target)


def _is_it(content: Path | bytes, file: HubFile) -> bool:
    """Return whether content has the digest that the hub states."""
    if isinstance(content, Path):
        return digest(content) == file.sha256
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest() == file.blob


@contextmanager
def _handed_out(source: Repository) -> Iterator[None]:
    """Say of a refused file that its repository is one for which people must ask first."""
    try:
        yield
    except DownloadFailed as error:
        cause = error.__cause__
        if isinstance(cause, httpx.HTTPStatusError) and cause.response.status_code in (401, 403):
            raise BadNetwork(GATED, repository=source.name) from error
        raise


GATED = (
    "{repository} is handed out only to those who accepted its terms on the hub: do so there, and log in "
    "here (hf auth login)."
)
ABSENT = "The hub has no repository {name} that may be read: check the name; it may also be private."


def _folder(name: str) -> Path:
    return settings.home() / "hub" / name.replace("/", "--")


def _library() -> Any:
    """Return huggingface_hub, which takes a while to import."""
    return importlib.import_module("huggingface_hub")


def _ask(name: str, revision: str) -> Repository:
    """Return what the hub says; raises as `repository` does, `errors.DownloadFailed` when it says nothing."""
    library = _library()
    hub = settings.hub()
    try:
        info = library.HfApi(endpoint=hub).model_info(
            name, revision=revision or None, files_metadata=True, timeout=TIMEOUT
        )
    except library.errors.GatedRepoError as error:
        raise BadNetwork(GATED, repository=name) from error
    except _unreachable(library) as error:
        if getattr(getattr(error, "response", None), "status_code", 0) in (401, 403, 404):
            raise BadNetwork(ABSENT, name=f"{name}@{revision}" if revision else name) from error
        raise DownloadFailed(f"{hub}/{name}", _first_line(error)) from error
    files = tuple(_file(sibling) for sibling in info.siblings or ())
    card = info.card_data.to_dict() if info.card_data else {}
    return Repository(name, _hex(info.sha, 40), files, str(card.get("license") or "")[:80])


def refusals() -> tuple[type[Exception], ...]:
    """Return what libraries raise for a description or for tensors that they can make nothing of."""
    strict: type[Exception] = _library().errors.StrictDataclassError
    return (strict, SafetensorError, RuntimeError, ValueError, TypeError, LookupError, AttributeError,
            ImportError, OSError, AssertionError, ArithmeticError)  # fmt: skip


def reason(error: Exception) -> str:
    """Return what an error says, as one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _unreachable(library: Any) -> tuple[type[Exception], ...]:
    """Return what huggingface_hub raises when the hub fails or is not there."""
    transport: type[Exception] = library.errors.HfHubHTTPError.__mro__[1]
    return (transport, OSError, ValueError, TypeError)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def _file(sibling: Any) -> HubFile:
    large = sibling.lfs
    return HubFile(
        str(sibling.rfilename),
        int(sibling.size or 0),
        _hex(large.sha256, 64) if large else "",
        _hex(sibling.blob_id, 40),
    )


def _hex(text: str | None, length: int) -> str:
    """Return a digest, "" when it is none: nothing has it then. It becomes a part of a file's name."""
    return text if text and re.fullmatch(f"[0-9a-f]{{{length}}}", text) else ""


def _remembered(listing: Path) -> Repository:
    data: Mapping[str, Any] = json.loads(listing.read_text("utf-8"))
    files = tuple(HubFile(**file) for file in data["files"])
    return replace(Repository(**{**data, "files": files}), remembered=True)
