"""Pictures in a bucket of S3, or of another server that speaks its protocol (AWS_ENDPOINT_URL).

Region, keys and endpoint are boto3's own settings: https://boto3.amazonaws.com/v1/documentation/api/latest/.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from engine.history.picture_store import AWAY, Entry
from errors import HistoryFailed

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    FAILURES: tuple[type[Exception], ...] = (
        BotoCoreError,
        ClientError,
        ValueError,
    )  # for an address that is none
except ModuleNotFoundError:  # an extra: whoever names a bucket is told
    boto3, FAILURES = None, ()

NO_DRIVER = (
    "Expected boto3, by which FOOLSCOPE_PICTURES is reached, but it is not installed: "
    "pip install -r requirements-s3.txt."
)
AT_ONCE = 8
"""Requests at the same time."""
A_REQUEST = 1000
"""Names in one request that deletes."""
OPTIONS = {
    "connect_timeout": 5,
    "read_timeout": 15,
    "max_pool_connections": AT_ONCE,
    "retries": {"mode": "standard", "total_max_attempts": 2},
    # Not every server that speaks the protocol knows the newer sums.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
MISSING = ("NoSuchKey", "404")
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class S3:
    """Pictures as objects of ``bucket`` whose keys begin with ``prefix``; see `PictureStore`."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._connected: Any = None
        self._lock = threading.Lock()

    def put(self, pictures: Mapping[str, bytes]) -> None:
        """Write objects; see `PictureStore`."""
        self._all(lambda item: self._put(*item), pictures.items())

    def get(self, names: Collection[str]) -> dict[str, bytes]:
        """Return the objects that are there; see `PictureStore`."""
        answers = self._all(self._get, names)
        return {name: data for name, data in zip(names, answers, strict=True) if data is not None}

    def delete(self, names: Collection[str]) -> None:
        """Delete objects; see `PictureStore`."""
        keys = [{"Key": self._prefix + name} for name in names]
        self._all(self._delete, [keys[at : at + A_REQUEST] for at in range(0, len(keys), A_REQUEST)])

    def entries(self) -> Iterator[Entry]:
        """Yield the objects; see `PictureStore`."""
        with _meaning():
            pages = self._client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for item in page.get("Contents", ()):
                    yield _entry(self._prefix, **item)

    def _client(self) -> Any:
        with self._lock:
            if boto3 is None:
                raise HistoryFailed(NO_DRIVER)
            if self._connected is None:
                self._connected = boto3.client("s3", config=Config(**OPTIONS))
            return self._connected

    def _all(self, ask: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
        with _meaning():
            self._client()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                return list(pool.map(ask, items))

    def _put(self, name: str, data: bytes) -> None:
        self._client().put_object(Bucket=self._bucket, Key=self._prefix + name, Body=data)

    def _get(self, name: str) -> bytes | None:
        client = self._client()
        try:
            answer = client.get_object(Bucket=self._bucket, Key=self._prefix + name)
        except client.exceptions.ClientError as error:
            if _code(error) in MISSING:
                return None
            raise
        data: bytes = answer.get("Body").read()
        return data

    def _delete(self, keys: list[dict[str, str]]) -> None:
        answer = self._client().delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})
        for refused in answer.get("Errors", ()):
            raise HistoryFailed(AWAY, reason=refused.get("Code", "?"))


@contextmanager
def _meaning() -> Iterator[None]:
    """Turn what boto3 raises into a sentence, which has no address and no key in it."""
    try:
        yield
    except FAILURES as error:
        raise HistoryFailed(AWAY, reason=_code(error) or type(error).__name__) from error


def _code(error: Exception) -> str:
    """Return what a server called its refusal, "" for another error."""
    answer = getattr(error, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))


def _entry(prefix: str, **item: Any) -> Entry:
    return Entry(item["Key"].removeprefix(prefix), int(item["Size"]), item["LastModified"].timestamp())
