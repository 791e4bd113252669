"""The way from a lesson to its neighbours."""

from __future__ import annotations

from typing import NamedTuple

from streamlit.navigation.page import StreamlitPage


class Way(NamedTuple):
    """A lesson's page, and those before and after it in its menu (None at an end)."""

    page: StreamlitPage
    back: StreamlitPage | None
    onward: StreamlitPage | None
