"""An experiment that can be watched: what is done already is drawn while the rest is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from components.i18n.text import say, told
from errors import FoolscopeError
from experiments.cache import Store, cache
from experiments.core import Experiment, Progress, walk


def watched(
    experiment: Experiment, draw: Callable[[Mapping[str, Any]], None], store: Store | None = None
) -> dict[str, Any] | None:
    """Carry out ``experiment``, with ``draw`` called after each piece with the answers so far, and a bar of
    its progress; return its result, or None after saying why there is none.

    Pieces computed before are kept in ``store``, in the server's cache by default, so that a reader who left
    in between goes on from there.
    """
    store = store or Store(cache())
    mine = store.under(f"{experiment.card.name}-{experiment.key()}")
    bar, done, before = st.progress(0.0, say("Starting…")), {}, ""
    try:
        for each in walk(experiment, store):
            if not isinstance(each, Progress):
                bar.empty()
                return each
            if before:
                done[before] = mine.get(before)
                draw(done)
            before = each.piece
            bar.progress(
                each.done / each.total, say("{done} of {total} cells", done=each.done, total=each.total)
            )
    except FoolscopeError as error:
        bar.empty()
        st.error(told(error))
    return None
