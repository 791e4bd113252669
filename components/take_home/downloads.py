"""Verified downloads: what the network says of each file stands on its button before it is pressed."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from PIL import Image, ImageOps

from components.i18n.text import named, say, told
from engine.base import EngineBase
from engine.export.carried import FORMATS, Format, Kind
from engine.export.making import Export, Wanted
from engine.export.verdict import Verdict
from engine.images.sources import decode
from engine.run import Run
from errors import FoolscopeError

KINDS: Mapping[Kind, str] = {
    "network": "At the network's size",
    "photo": "The whole photo",
    "added": "What was added",
}
SIDE = 360
"""Pixels of a preview's long side at most."""
MIME: Mapping[Format, str] = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}


def render(engine: EngineBase, base: str, run: Run, key: str) -> None:
    """Draw the part; see `components.take_home.panel.Part`."""
    format = st.segmented_control(
        say("Save as"), list(FORMATS), default="png", format_func=FORMATS.__getitem__, key=f"{key}.format"
    )
    for kind, column in zip(KINDS, st.columns(3, gap="medium", border=True), strict=True):
        with column:
            st.markdown(f"**{say(KINDS[kind])}**")
            try:
                _card(engine, run, _wanted(run, kind, format or "png", key), key)
            except FoolscopeError as error:
                st.caption(told(error))
    st.caption(
        say(
            "Each file was written, read back like any upload and shown to the network; what it said stands "
            "on the button. The files carry their recipe: dropped in here, one brings back its run."
        )
    )


def _wanted(run: Run, kind: Kind, format: Format, key: str) -> Wanted:
    finished = bool(st.session_state.get(_finish_key(key, kind))) and kind != "added"
    return Wanted(kind, len(run) - 1, finished, format)


def _finish_key(key: str, kind: Kind) -> str:
    return f"{key}.{kind}.finished"


def _card(engine: EngineBase, run: Run, wanted: Wanted, key: str) -> None:
    """Show one file: what it looks like, what the network says of it, and what to do about that."""
    export = engine.exported(run, wanted)
    if export is None:
        with st.spinner(say("Writing it and reading it back…")):
            export = engine.export(run, wanted)
    st.image(_preview(export), width="stretch")
    width, height = export.size
    st.caption(f"{width} x {height} · {_bytes(len(export.data))}")
    st.download_button(
        f"{say('Download')} · {said(run, export.verdict)}",
        export.data,
        export.name,
        MIME[wanted.format],
        key=f"{key}.{wanted.kind}.{wanted.format}.{wanted.finished}",
        on_click="ignore",
        width="stretch",
        icon=":material/download:",
        type="primary" if export.verdict.success and wanted.kind != "added" else "secondary",
    )
    _about(run, wanted, export, key)


def _about(run: Run, wanted: Wanted, export: Export, key: str) -> None:
    """Say what there is to note about a file; offer to make it hold where it does not fool."""
    if wanted.kind != "added":
        verdict = export.verdict
        before = f"{named(verdict.original)} {_percent(verdict.original_probability)}"
        change = f"linf {255 * verdict.linf:.3g}/255 · l2 {verdict.l2:.3g}"
        st.caption(f"{say('Untouched: {answer}', answer=before)} · {change}")
    for template, facts in export.notes:
        st.caption(say(template, **facts))
    if wanted.kind == "added" or export.verdict.success:
        return
    if wanted.finished:
        st.caption(say("The finish did not make it hold in this format."))
    elif st.button(
        say("Make it hold"),
        key=f"{key}.{wanted.kind}.hold",
        help=say("A few more steps in which every picture asked about is what would be saved."),
        width="stretch",
        icon=":material/build:",
    ):
        st.session_state[_finish_key(key, wanted.kind)] = True
        st.rerun(scope="fragment")


def said(run: Run, verdict: Verdict) -> str:
    """Return what the network says of a file in a few words."""
    answer = f"{named(verdict.label)} {_percent(verdict.probability)}"
    if not verdict.success and verdict.label == run.labels[run.original]:
        return say("back to {answer}", answer=answer)
    return answer


def _percent(probability: float) -> str:
    return f"{100 * probability:.0f} %"


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _preview(export: Export) -> Image.Image:
    return ImageOps.contain(decode(export.data), (SIDE, SIDE))
