"""The live view: one component that follows a run by itself, beside Streamlit.

What it says itself is in the reader's language: ``assets/text/LANGUAGE/phrases/live.po`` goes with it.
"""

from typing import Any

import streamlit as st

from components.i18n import preferences
from components.i18n.text import phrases
from components.live.loader import facts, loader, place

_component = st.components.v2.component("foolscope_player", html=place(640), js=loader("player"))


def player(
    *,
    base: str,
    run: str | None,
    idle: dict[str, Any] | None,
    key: str,
    present: bool = False,
    beside: bool = False,
    compact: bool = False,
    waiting: bool = False,
) -> dict[str, Any]:
    """Show the run ``run``, or the picture in ``idle`` while there is none.

    ``base`` is the path of the run routes (``/foolscope``). ``idle`` holds ``model`` (title, size,
    channels), ``image_url``, ``top`` (five of label and probability in [0, 1]), ``target`` (label)
    or None, and ``hint``. ``beside``: it is one of several views on the page;
    ``compact``: it has a part of a screen only, where that is wide enough; ``waiting``: the run was not over
    when the page was drawn, which is to hear of its end. The answer has ``start``
    (bool: the person asks for a new run) and ``ended`` (the id of a run that has just ended, else None);
    each is set for one script run.
    """
    language = preferences.language()
    words = phrases(language, part="live") or None
    shown = {
        "run": run,
        "present": present,
        "beside": beside,
        "compact": compact,
        "waiting": waiting,
        "idle": None if run else idle,
    }
    result = _component(
        key=key,
        data=facts(base, language=language, words=words, **shown),
        on_start_change=lambda: None,
        on_ended_change=lambda: None,
    )
    return {"start": result.start is not None, "ended": result.ended}
