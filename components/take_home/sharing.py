"""Files and links that show a run to others."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial

import streamlit as st
from markupsafe import Markup

from components.i18n import preferences
from components.i18n.text import say, told
from components.take_home.voice import voice
from engine.base import EngineBase
from engine.images.sources import PREPARED, UPLOAD
from engine.inside.computed import COMPUTED
from engine.run import Run
from engine.sharing import address, animation, data, files, script
from engine.sharing.frames import LAYOUTS, shown_steps

Draw = Callable[[Run, str], None]
"""Draws one choice for a run that is over and a key for its widgets."""
SIZES = {"slide": "For a slide", "chat": "For a chat"}
FORMATS = {"webp": "WebP", "gif": "GIF", "mp4": "MP4"}


def render(engine: EngineBase, base: str, run: Run, key: str) -> None:
    """Draw the part; see `components.take_home.panel.Part`."""
    files.check(run)
    choice = st.segmented_control(
        say("As what"),
        list(CHOICES),
        format_func=say,
        default="Animation",
        required=True,
        key=f"{key}.as",
        label_visibility="collapsed",
    )
    CHOICES[choice](run, key)


def playground() -> str:
    """Return the address of the playground as this reader has it, whichever page is open; "" where no browser
    said."""
    url, page = str(st.context.url or ""), str(st.session_state.get("page") or "")
    if not url:
        return ""
    root = url.rstrip("/")
    return f"{root.removesuffix(f'/{page}') if page else root}/"


def _offer(run: Run, key: str, name: str, label: str, line: str) -> None:
    """Draw a button that makes and downloads a file when it is pressed, and beside it what the file is."""
    language, at = preferences.language(), playground()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.download_button(
            label,
            partial(files.made, run, name, voice(language), at),
            files.file_name(run, name),
            files.FILES[name].media,
            key=f"{key}.{name}",
            on_click="ignore",
            icon=":material/download:",
            width=200,
        )
        st.caption(line, width="stretch")


def _animation(run: Run, key: str) -> None:
    files.check_pictures(run)
    with st.container(horizontal=True):
        size = st.segmented_control(
            say("Size"),
            list(SIZES),
            format_func=lambda s: say(SIZES[s]),
            default="slide",
            required=True,
            key=f"{key}.size",
        )
        ext = st.segmented_control(
            say("Format"),
            list(FORMATS),
            format_func=FORMATS.__getitem__,
            default="webp",
            required=True,
            key=f"{key}.ext",
        )
    if ext == "mp4" and not animation.video():
        st.info(say(animation.NO_VIDEO))
        return
    name, layout = f"animation-{size}.{ext}", LAYOUTS[size]
    shown = len(shown_steps(run, layout.gif_frames if ext == "gif" else layout.frames))
    line = say(
        "{width} x {height} pixels; shows {shown} of {count} steps, evenly spaced.",
        width=layout.width,
        height=layout.height,
        shown=shown,
        count=f"{len(run):,}",
    )
    _offer(run, key, name, say("Animation"), line)
    if st.toggle(say("Play it here"), key=f"{key}.play"):
        with st.spinner(say("Drawing {shown} frames", shown=shown)):
            content = files.made(run, name, voice(preferences.language()), playground())
        show = st.video if ext == "mp4" else st.image
        show(content, width=min(layout.width, 640))


def _report(run: Run, key: str) -> None:
    files.check_pictures(run)
    line = say(
        "One HTML page that needs nothing else: pictures, curve, figures, sources. Print it for a PDF."
    )
    _offer(run, key, "report.html", say("Report"), line)


def _code(run: Run, key: str) -> None:
    refused = script.unavailable(run)
    if refused:
        st.info(told(refused))
        return
    text = script.script(run)
    line = say("A script and the picture it starts from: repeats the run with torch, without this program.")
    _offer(run, key, "repeat.zip", say("As Python"), line)
    _offer(run, key, "repeat.ipynb", say("As a notebook"), say("The same for Jupyter, its picture inside."))
    with st.expander(say("Read it")):
        st.code(text, "python", height=400)


def _data(run: Run, key: str) -> None:
    count, stored = f"{len(run):,}", len(data.picture_steps(run))
    line = say("Network, picture, attack, settings, target, stop and seed.")
    _offer(run, key, "recipe.json", say("Recipe (JSON)"), line)
    line = say(
        "Every step, {count} in all: its figures, and the probabilities of all classes that mattered.",
        count=count,
    )
    _offer(run, key, "trajectory.csv", say("Curve (CSV)"), line)
    files.check_pictures(run)
    line = say(
        "The same for NumPy, with both pictures and the perturbations of {stored} of {count} steps.",
        stored=stored,
        count=count,
    )
    _offer(run, key, "trajectory.npz", say("Arrays (NPZ)"), line)
    if COMPUTED.of(run.id):
        line = say("What was computed below the run, in “Look inside the network”; the arrays are beside it.")
        _offer(run, key, "inside.json", say("Inside (JSON)"), line)
        line = say("The same for NumPy: maps and whatever else is long.")
        _offer(run, key, "inside.npz", say("Inside (NPZ)"), line)


def _link(run: Run, key: str) -> None:
    link = address.link(run, playground(), preferences.language())
    st.caption(
        say("Opens this run while the server remembers it, and else its settings, ready to run again.")
    )
    if run.recipe.image.removeprefix(PREPARED).startswith(UPLOAD):
        st.caption(
            say("The picture is your own and not in the link: who opens it later has to bring the picture.")
        )
    st.code(link, None, wrap_lines=True)
    code = base64.b64encode(address.qr(link).encode()).decode()
    image = Markup('<img width="200" height="200" alt="{}" src="data:image/svg+xml;base64,{}">')
    st.html(image.format(say("QR code of the link"), code))
    _offer(run, key, "qr.svg", say("QR code (SVG)"), say("For a slide or a poster, at any size."))


CHOICES: dict[str, Draw] = {
    "Animation": _animation,
    "Report": _report,
    "Code": _code,
    "Data": _data,
    "Link": _link,
}
"""What a visitor may take, by its name."""
