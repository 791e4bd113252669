"""What was computed for one visitor, so that another rerun of the page need not compute it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import streamlit as st

Made = TypeVar("Made")
MOST = 40


def kept(key: tuple[object, ...], make: Callable[[], Made]) -> Made:
    """Return ``make()``, or what it gave this visitor before under the same ``key``."""
    store: dict[tuple[object, ...], object] = st.session_state.setdefault("kept", {})
    if key not in store:
        store[key] = make()
        while len(store) > MOST:
            store.pop(next(iter(store)))
    return cast(Made, store[key])
