"""Whose a run is: a browser's, known by a cookie that nobody can guess (`app.owner_cookie` sets it)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import streamlit as st

COOKIE = "foolscope_owner"
VALID = re.compile(r"[\w-]{43}")
"""What `secrets.token_urlsafe` makes of 32 bytes."""


def owner() -> str:
    """Return whose the runs are that this page starts: a digest of the browser's cookie, "" without one."""
    return owner_by(st.context.cookies.to_dict())


def owner_by(cookies: Mapping[str, str]) -> str:
    """Return whose the runs are of a browser that sent ``cookies``, "" without the one that says it."""
    cookie = cookies.get(COOKIE, "")
    return hashlib.sha256(cookie.encode()).hexdigest() if VALID.fullmatch(cookie) else ""


def secret() -> str:
    """Return the browser's cookie, "" without one; it is to be shown and kept nowhere."""
    cookie = st.context.cookies.to_dict().get(COOKIE, "")
    return cookie if VALID.fullmatch(cookie) else ""
