"""Who is in a room, live, and the way to send somebody out."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from app import service
from app.teach import problems
from components.display.html_table import joined
from components.i18n.text import say, told
from engine.rooms.records import Member, Room
from errors import FoolscopeError, UnknownName

PERIOD = 2.0
"""Seconds between two looks at who is in."""
SENT_OUT = (
    "Whoever is sent out can do nothing more in this room under that name; what was done stays, until the "
    "room ends."
)


@st.fragment(run_every=PERIOD)
def show(room: Room) -> None:
    """Draw who is in the room, as it is now."""
    rooms = service.rooms()
    try:
        rooms.room(room.code)
        members, counts = rooms.members(room.code), rooms.run_counts(room.code)
    except UnknownName:
        st.rerun()  # it has ended meanwhile
    except FoolscopeError as error:
        st.error(told(error))
        return
    if not members:
        st.caption(say("Nobody yet. Show the code or the QR code, on the wall for one."))
        return
    st.markdown(say("People: {people} · runs: {runs}", people=len(members), runs=sum(counts.values())))
    items = joined([_item(member, counts.get(member.id, 0)) for member in members])
    st.html(Markup('<ol class="teach-people" data-test="people">{}</ol>').format(items))
    with st.popover(say("Send somebody out"), icon=":material/person_remove:", width="content"):
        _send_out(room, members)


def _item(member: Member, runs: int) -> Markup:
    return Markup("<li><small>{}</small> {} <span>{}</span></li>").format(member.number, member.name, runs)


def _send_out(room: Room, members: list[Member]) -> None:
    names = {member.id: f"{member.number} · {member.name}" for member in members}
    st.caption(say(SENT_OUT))
    who = st.selectbox(
        say("Who"), list(names), index=None, format_func=names.__getitem__, key=f"teach.out.{room.code}"
    )
    pressed = st.button(say("Send out"), key="teach.send_out", disabled=who is None)
    if pressed and who is not None:
        problems.carry_out(lambda: service.rooms().remove(room.code, who))
        st.rerun()
