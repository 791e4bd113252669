"""How people get into a room: its code, its address and a QR code; and how its teacher does."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

import streamlit as st
from markupsafe import Markup

from app.access import LOOPBACK, base
from components.i18n import preferences
from components.i18n.text import say
from engine.rooms.records import Room
from engine.sharing.address import qr

HALF = 3
"""Signs of a code that are read in one go."""
UNREACHABLE = (
    "This page is open as {host}, which no phone reaches. Stop the server and start it with `make room` (or "
    "`python start.py room`): that lets other machines in and prints the address to open here."
)
NO_CAMERA = (
    "Without https a page may not show a live camera. Phones offer their camera all the same where a picture "
    "is chosen; how to get https is in docs/deploy.md."
)
NEW = "teach.new"
"""In the session: the code of the room that was just opened here."""
KEEP_IT = "Keep it: it brings you back from any browser. Nobody else must have it."


def show(room: Room, key: str) -> None:
    """Draw how people and the teacher get in."""
    here = origin()
    join = f"{here}{base()}/rooms/{room.code}"
    st.html(_card(room, here, join))
    host = urlsplit(here).hostname or ""
    if host in LOOPBACK:
        st.warning(say(UNREACHABLE, host=host))
    elif here.startswith("http://") and room.allowed.camera:
        st.caption(say(NO_CAMERA))
    with st.container(horizontal=True):
        spoken = f"?lang={preferences.language()}" if preferences.query().get("lang") else ""
        st.link_button(
            say("Open the wall"), f"{join}/wall{spoken}#key={key}", icon=":material/present_to_all:"
        )
        st.link_button(say("As a student"), join, icon=":material/smartphone:")
    _key(key)
    if st.button(say("All rooms"), type="tertiary", icon=":material/arrow_back:", key="teach.all"):
        st.query_params.pop("room", None)
        st.rerun()


def key_once(room: Room, key: str) -> None:
    """Show the key plainly when the room was just opened; later only who asks sees it, for a class may look
    on."""
    if st.session_state.get(NEW) != room.code:
        return
    with st.container(border=True, key="teach_key"):
        st.markdown(f"**{say('Your key')}** · {say(KEEP_IT)}")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.code(key, language=None, width=320)
            if st.button(say("I have it"), key="teach.key.noted"):
                st.session_state.pop(NEW)
                st.rerun()


def _key(key: str) -> None:
    with st.popover(say("Your key"), icon=":material/key:", width="content"):
        st.caption(say(KEEP_IT))
        st.code(key, language=None)


def _card(room: Room, here: str, join: str) -> Markup:
    """Return code, QR code and address, for people to read from afar."""
    typed = f"{here}{base()}/rooms".removeprefix("http://")
    return Markup(
        '<div class="teach-card"><p class="title">{title}</p>'
        '<p class="code" data-test="code" aria-label="{label}">{code}</p>'
        '<img class="qr" src="data:image/svg+xml;base64,{qr}" alt="{qr_label}">'
        '<p class="join"><a href="{join}" target="_blank" rel="noopener">{typed}</a></p></div>'
    ).format(
        title=room.title or say("A room"),
        label=say("Code {code}", code=" ".join(room.code)),
        code=spelt_out(room.code),
        qr_label=say("QR code of {address}", address=join),
        qr=base64.b64encode(qr(join).encode()).decode(),
        join=join,
        typed=typed,
    )


def spelt_out(code: str) -> str:
    """Return a code in two halves, as people read it out."""
    return f"{code[:HALF]} {code[HALF:]}"


def origin() -> str:
    """Return the scheme and host of this page as its reader has it, "" where no browser said."""
    parts = urlsplit(str(st.context.url or ""))
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
