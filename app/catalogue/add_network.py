"""The form that adds a network: what it is called, where it comes from, and what its owner knows of it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from components.i18n.text import say, told
from engine.admission.admit import add
from errors import BadSetting, FoolscopeError
from models.added import source
from models.added.record import Request
from models.added.source import Source

LARGEST = 500
"""Megabytes of a file that the page takes: it is in memory meanwhile."""
STAGES, CHECKS = {"reading": "Reading the network…"}, "Checking it…"


@dataclass(frozen=True)
class Filled:
    """What was typed into the form, and the files that were chosen."""

    name: str
    source: str
    weights: UploadedFile | None
    labels: UploadedFile | None
    input: str
    mean: str
    std: str
    words: tuple[str, ...] = ()


def form(added: Callable[[str], None]) -> None:
    """Draw the form; carry it out when it is sent, and call ``added`` with the network's name."""
    st.header(say("Add a network"), anchor=False)
    words = "It is read as plain numbers, never run as code, and checked before anything is kept."
    st.markdown(say(words))
    kinds = {kind: one for kind, one in source.registry().items() if not one.runs_code}
    first = sorted(kinds, key=lambda kind: len(kinds[kind].packages))  # what needs nothing more comes first
    kind = st.selectbox(
        say("Where it comes from"), first, format_func=lambda k: say(kinds[k].title), key="added.kind"
    )
    st.caption(say(kinds[kind].help))
    # A form sends all fields with the press, which a field that is left in that moment would else swallow.
    with st.form("added", enter_to_submit=False, border=False):
        filled = _fields(kinds[kind])
        with st.container(horizontal=True, vertical_alignment="center"):
            pressed = st.form_submit_button(say("Check and add"), type="primary", key="added.send")
            st.caption(say("Other kinds, which run code of their own: python -m app models add --help"))
    if pressed and (name := _carried_out(filled)):
        added(name)


def _fields(kind: Source) -> Filled:
    """Draw the fields of a kind of source; return what they hold."""
    left, right = st.columns(2)
    name = left.text_input(say("Call it"), key="added.name", placeholder="my_resnet", max_chars=48)
    example = kind.example.partition(":")[2]
    rest = ""
    if not kind.is_file:
        rest = right.text_input(
            say("Name there"), key=f"added.rest.{kind.kind}", placeholder=example, max_chars=200
        )
    weights = None
    if kind.takes_file:
        label = say("The file") if kind.is_file else say("Your own weights (else those that are published)")
        weights = st.file_uploader(label, key=f"added.file.{kind.kind}", max_upload_size=LARGEST)
    if kind.is_file and weights is not None:
        rest = weights.name
    words: tuple[str, ...] = ()
    if kind.takes_words:
        label, example = say("Your own words, a class on every line"), "giant panda\ntoaster"
        text = st.text_area(label, key="added.words", placeholder=example, height=100)
        words = tuple(line.strip() for line in text.splitlines() if line.strip())
    with st.expander(say("What you know of it")):
        labels = st.file_uploader(
            say("Labels: a text file, a class on every line"), key="added.labels", max_upload_size=4
        )
        columns = st.columns(3)
        size = columns[0].text_input(
            say("Side of its images in pixels"), key="added.input", placeholder="224"
        )
        mean = columns[1].text_input(say("Mean"), key="added.mean", placeholder="0.485, 0.456, 0.406")
        std = columns[2].text_input(say("Deviation"), key="added.std", placeholder="0.229, 0.224, 0.225")
    return Filled(name, f"{kind.kind}:{rest}", weights, labels, size, mean, std, words)


def _carried_out(filled: Filled) -> str:
    """Add what the form says, with its progress; return the network's name, "" after saying why not."""
    with tempfile.TemporaryDirectory() as place, st.status(say("Reading the network…")) as status:
        bar = st.empty()

        def progress(done: int, total: int) -> None:
            bar.progress(min(1.0, done / total) if total else 0.0, f"{done / 1e6:,.1f} MB")

        def stage(name: str) -> None:
            status.update(label=say(STAGES.get(name, CHECKS)))

        try:
            request = _request(filled, Path(place))
            return add(request, progress, stage).name
        except FoolscopeError as error:
            status.update(label=say("It was not added."), state="error", expanded=True)
            st.error(told(error))
            return ""


def _request(filled: Filled, folder: Path) -> Request:
    """Return what the form asks for, with its files in ``folder``; raises `errors.BadSetting`."""
    rest = filled.source.partition(":")[2].strip()
    if not rest:
        raise BadSetting("Expected the name of a network, or a file, got nothing.")
    weights = _stored(filled.weights, folder)
    kind = filled.source.partition(":")[0]
    if weights and source.registry()[kind].is_file:
        return Request(filled.name.strip(), f"{kind}:{weights}", None, *_known(filled, folder))
    asked = Request(filled.name.strip(), filled.source, weights, *_known(filled, folder))
    return replace(asked, words=filled.words)


def _known(
    filled: Filled, folder: Path
) -> tuple[Path | None, int | None, tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return labels, input, mean and std of a request."""
    side = filled.input.strip()
    if side and not (side.isdecimal() and 1 <= int(side) <= 4096):
        raise BadSetting("Expected the side in pixels to be from 1 to 4,096, got “{got}”.", got=side[:40])
    labels = _stored(filled.labels, folder)
    return labels, int(side) if side else None, _numbers(filled.mean), _numbers(filled.std)


def _stored(file: UploadedFile | None, folder: Path) -> Path | None:
    """Return where an uploaded file was written, under a name of letters and digits."""
    if file is None:
        return None
    path = folder / (re.sub(r"[^\w.-]", "_", file.name).lstrip(".")[-80:] or "file")
    path.write_bytes(file.getbuffer())
    return path


def _numbers(text: str) -> tuple[float, ...] | None:
    """Return the numbers in a text, with commas or spaces between; None when it is empty."""
    parts = text.replace(",", " ").split()
    try:
        return tuple(map(float, parts)) or None
    except ValueError as error:
        raise BadSetting("Expected numbers with commas between, got “{got}”.", got=text[:60]) from error
