"""The theme's colours as the variables that Streamlit gives to components only, for the rest of the page."""

from __future__ import annotations

import re

import streamlit as st

NAMES = (
    "primaryColor",
    "linkColor",
    "backgroundColor",
    "secondaryBackgroundColor",
    "textColor",
    "borderColor",
)


def palette() -> str:
    """Return a style that sets ``--st-primary-color`` and the like to the colours of the reader's theme."""
    kind = st.context.theme.type or "light"
    given = {name: st.get_option(f"theme.{kind}.{name}") for name in NAMES}
    said = ";".join(f"--st-{_dashed(name)}:{colour}" for name, colour in given.items() if colour)
    return f"<style>:root{{{said}}}</style>"


def _dashed(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"-{letter[0].lower()}", name)
