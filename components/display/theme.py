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
    """Return a style that sets ``--st-primary-color`` and the like to the colours of the reader's theme.

    Inside the page they follow the theme at once. What Streamlit draws over it, such as a list, does not know
    the scheme: there they are those of the theme at the last run of the script.
    """
    light, dark = (
        {name: st.get_option(f"theme.{kind}.{name}") for name in NAMES} for kind in ("light", "dark")
    )
    both = {name: f"light-dark({light[name]}, {dark[name]})" for name in NAMES}
    last = dark if st.context.theme.type == "dark" else light
    return f'<style>:root {{{_set(last)}}} [data-testid="stApp"] {{{_set(both)}}}</style>'


def _set(colours: dict[str, str]) -> str:
    return ";".join(f"--st-{dashed(name)}:{colour}" for name, colour in colours.items())


def dashed(name: str) -> str:
    """Return a name of the theme as CSS spells it."""
    return re.sub("[A-Z]", lambda letter: f"-{letter[0].lower()}", name)
