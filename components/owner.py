"""Whose a run is: a browser's, known by a cookie that nobody can guess (`app.owner_cookie` sets it)."""

from __future__ import annotations

import hashlib
import re

import streamlit as st

COOKIE = "foolscope_owner"
VALID = re.compile(r"[\w-]{43}")
"""What `secrets.token_urlsafe` makes of 32 bytes."""


def owner() -> str:
    """Return whose the runs are that this page starts: a digest of the browser's cookie, "" without one."""
    return hashlib.sha256(secret().encode()).hexdigest() if secret() else ""


def secret() -> str:
    """Return the browser's cookie, "" without one; it is to be shown and kept nowhere."""
    cookie = st.context.cookies.to_dict().get(COOKIE, "")
    return cookie if VALID.fullmatch(cookie) else ""
