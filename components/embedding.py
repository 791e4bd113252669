"""Where the page is shown: in another site's frame or by itself, over https or bare http."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlencode, urlsplit

import streamlit as st

from components.i18n import preferences
from components.i18n.text import say


def embedded() -> bool:
    """Say whether the page is shown as a part of another (``?embed=1``)."""
    return bool(st.context.is_embedded)


def secure(url: str) -> bool:
    """Say whether a browser gives a camera to the page at ``url``: over https, or from its own machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        own = ip_address(host).is_loopback
    except ValueError:
        own = host == "localhost" or host.endswith(".localhost")
    return parts.scheme == "https" or own


def camera_given() -> bool:
    """Say, in a sentence on the page, why a browser gives no camera here, and return False; else True."""
    url = st.context.url
    if url is None or secure(url):
        return True
    words = (
        "A browser gives the camera only to pages from https or from its own machine; this one is from {url}."
    )
    st.caption(f"{say(words, url=url)} {say('A photo can be uploaded all the same.')}")
    return False


def in_a_tab(query: Mapping[str, str], words: str) -> None:
    """Show a link that says ``words`` and opens the page that ``query`` describes in a tab of its own."""
    address = urlencode(preferences.query() | dict(query))
    st.markdown(f"[{words}]({st.context.url or './'}?{address})")
