"""Files fetched over HTTP: resumed where they broke off, verified, fetched once however many ask for them.

A file is called ``NAME.part`` until its sha256 is the expected one, and has a lock ``NAME.lock`` beside it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from errors import DownloadFailed, WrongFile

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; the latter is 0 as long as nobody said."""

TIMEOUT = httpx.Timeout(20, connect=5)
ATTEMPTS = 4
POLL = 0.1
"""Seconds between two looks at a file that somebody else is fetching."""
UNVERIFIED = (
    "the server's certificate cannot be verified; where a proxy signs connections anew, name the file of its "
    "certificates in SSL_CERT_FILE"
)

log = logging.getLogger(__name__)


def silent(done: int, total: int) -> None:
    """Report progress to nobody."""


def digest(path: Path) -> str:
    """Return the sha256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def matches(path: Path, sha256: str) -> bool:
    """Tell whether the file's sha256 begins with ``sha256``, which is 8 to 64 hex digits."""
    return len(sha256) >= 8 and digest(path).startswith(sha256.lower())


def download(
    url: str,
    target: Path,
    sha256: str,
    *,
    size: int = 0,
    progress: Progress = silent,
    headers: Mapping[str, str] | None = None,
) -> Path:
    """Return ``target``, fetched from ``url`` unless it is there already.

    ``sha256``: what its digest begins with, 8 to 64 hex digits; ``size``: its bytes, where they are known;
    ``headers``: what to send along; an authorisation goes to the url's own server alone.
    One process or thread fetches at a time; the others wait, and are told of its progress. What a broken
    connection left is kept, and a later call goes on from there.
    Raises `errors.DownloadFailed` when it cannot be fetched, `errors.WrongFile` (and keeps nothing) when
    what came is another file, and OSError when it cannot be stored.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with _turn(target, part, size, progress):
        if not target.is_file():
            _transfer_all(url, part, size, progress, headers or {})
            _verify(url, part, sha256)
            os.replace(part, target)
    return target


@contextmanager
def _turn(target: Path, part: Path, size: int, progress: Progress) -> Iterator[None]:
    """Wait for whoever is fetching ``target``, with their progress, and keep others out meanwhile."""
    lock = FileLock(target.with_name(target.name + ".lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=POLL)
        except Timeout:
            progress(_size(part), size)
    try:
        yield
    finally:
        lock.release()


def _size(path: Path) -> int:
    """Return how many bytes a file has, 0 when it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _answer(url: str, headers: Mapping[str, str] | None) -> AbstractContextManager[httpx.Response]:
    """Return what a server answers, redirections followed."""
    known = _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return httpx.stream("GET", url, headers=headers, timeout=TIMEOUT, follow_redirects=True, verify=known)


@cache
def _certificates(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Return whom to trust, by the variables that httpx reads: reading takes longer than a small answer."""
    return httpx.create_ssl_context()


def content(url: str, most: int, headers: Mapping[str, str] | None = None) -> bytes:
    """Return what is at ``url``, which is expected to be no more than ``most`` bytes.

    Raises `errors.DownloadFailed` when it cannot be fetched, and `errors.WrongFile` when it is longer.
    """
    got = bytearray()
    try:
        with _answer(url, headers) as response:
            response.raise_for_status()
            for block in response.iter_bytes():
                got += block
                if len(got) > most:
                    raise WrongFile(url, f"it is longer than {most} bytes")
    except httpx.HTTPError as error:
        raise DownloadFailed(url, _reason(error)) from error
    return bytes(got)


def _transfer_all(url: str, part: Path, size: int, progress: Progress, headers: Mapping[str, str]) -> None:
    """Fill ``part``, going on where a connection broke off as long as each one brought something."""
    for attempt in range(ATTEMPTS):
        before = _size(part)
        try:
            return _transfer(url, part, size, progress, headers)
        except httpx.HTTPError as error:
            done = _size(part)
            if done > before and attempt + 1 < ATTEMPTS:
                log.info("%s broke off at %d bytes, going on: %s", url, done, error)
                continue
            remains = f" ({done / 1e6:.1f} MB of it are kept for the next try)" if done else ""
            raise DownloadFailed(url, f"{_reason(error)}{remains}") from error
    return None


def _transfer(url: str, part: Path, size: int, progress: Progress, headers: Mapping[str, str]) -> None:
    """Ask once for what ``part`` still lacks, and append it as it comes."""
    have = _size(part)
    # "identity": a compressed answer would not resume at a byte of the file.
    asked = {**headers, "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with _answer(url, asked) as response:
        if have and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is left to send; the sha256 tells whether what is here is the file
        response.raise_for_status()
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        have = have if resumed else 0
        left = int(response.headers.get("Content-Length", 0))
        total = have + left if left else size
        with part.open("ab" if resumed else "wb") as file:
            progress(have, total)
            for block in response.iter_bytes():
                file.write(block)
                have += len(block)
                progress(have, total)


def _verify(url: str, part: Path, sha256: str) -> None:
    """Remove ``part`` and raise `errors.WrongFile` unless it is the expected file."""
    if matches(part, sha256):
        return
    came = digest(part)
    part.unlink()
    raise WrongFile(url, f"its sha256 is {came[:16]}…, expected {sha256[:16]}…; it was removed")


def _reason(error: httpx.HTTPError) -> str:
    """Return in a few words why a transfer failed."""
    if _of_certificate(error):
        return UNVERIFIED
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answered {error.response.status_code} {error.response.reason_phrase}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _of_certificate(error: BaseException | None) -> bool:
    """Say whether an error came of a certificate that could not be verified."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
