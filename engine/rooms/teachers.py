"""Which rooms a browser has the key of: it gets back in by its cookie, on any other by the key itself.

The database holds the key sealed: only whoever has the browser's cookie, of 256 random bits, can read it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging

import sqlalchemy as sa

from engine.rooms import tables
from engine.rooms.records import Opened
from engine.rooms.rooms import Rooms, digest
from errors import NotAllowed

log = logging.getLogger("foolscope")
PURPOSE = b"key of room "


def remember(rooms: Rooms, code: str, key: str, cookie: str) -> None:
    """Let a browser back into a room by its ``cookie``; raises what `Rooms.teacher` raises."""
    room, teachers = rooms.teacher(code, key), tables.teachers
    row = {"room": room.code, "owner": digest(cookie), "sealed": _sealed(key, room.code, cookie)}
    with rooms.database.writing(room.code) as connection:
        mine = (teachers.c.room == room.code) & (teachers.c.owner == row["owner"])
        connection.execute(sa.delete(teachers).where(mine))
        connection.execute(sa.insert(teachers).values(row))


def forget(rooms: Rooms, code: str, cookie: str) -> None:
    """Let a browser in by its cookie no longer."""
    teachers = tables.teachers
    with rooms.database.writing(code) as connection:
        mine = (teachers.c.room == code) & (teachers.c.owner == digest(cookie))
        connection.execute(sa.delete(teachers).where(mine))


def remembered(rooms: Rooms, cookie: str) -> list[Opened]:
    """Return the rooms that a browser has the key of, with that key, the newest first."""
    teachers = tables.teachers
    query = sa.select(teachers).where(teachers.c.owner == digest(cookie))
    with rooms.database.reading() as connection:
        rows = connection.execute(query).all()
    opened = []
    for row in rows:
        key = _opened(row.sealed, row.room, cookie)
        try:
            opened.append(Opened(rooms.teacher(row.room, key), key))
        except NotAllowed:  # somebody changed the database by hand
            log.warning("the key of room %s that a browser had does not fit", row.room)
    return sorted(opened, key=lambda room: -room.room.opened)


def _sealed(key: str, code: str, cookie: str) -> str:
    return base64.urlsafe_b64encode(_mixed(key.encode(), code, cookie)).decode()


def _opened(sealed: str, code: str, cookie: str) -> str:
    return _mixed(base64.urlsafe_b64decode(sealed), code, cookie).decode("ascii", "replace")


def _mixed(text: bytes, code: str, cookie: str) -> bytes:
    """Return ``text``, of 32 bytes at most, with each bit changed where one of a digest that only the
    cookie's owner can compute is set; done twice, it is ``text`` again. A digest serves one text alone."""
    pad = hmac.digest(cookie.encode(), PURPOSE + code.encode(), hashlib.sha256)
    if len(text) > len(pad):
        raise ValueError(f"Expected at most {len(pad)} bytes, got {len(text)}.")
    return bytes(a ^ b for a, b in zip(text, pad, strict=False))
