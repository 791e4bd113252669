"""Rooms: a teacher opens one by one press, sees who is in, says what is allowed, asks, and ends it."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st
from markupsafe import Markup

from app import service
from app.teach import (
    broadcasting,
    challenges,
    invitation,
    keys,
    leaving,
    people,
    permissions,
    problems,
    questions,
)
from components import address
from components.display.html_table import joined
from components.i18n import preferences
from components.i18n.text import say, told
from engine.rooms.records import TITLE, Room
from errors import FoolscopeError

WHAT_FOR = (
    "A room is for a class. People join it on their phones, by a code and a name; they see what you allow, "
    "and the wall shows everybody's curves."
)
GET_BACK = (
    "A browser that opened a room finds it here again. In any other browser, type the room's code and key."
)
SWITCHES = {
    "frozen": ("Freeze", "Nothing can be started or handed in until you switch this off."),
    "hide_names": ("Hide names", "The wall shows numbers instead."),
    "judging": ("Do people still see it?", "Everybody is asked what they see in others' pictures."),
}


def render() -> None:
    """Draw the page and carry out what was pressed."""
    service.engine()
    code = st.query_params.get("room", "")
    opened = None
    with st.container(key="teach"):
        problems.show()
        try:
            opened = keys.room(code) if code else None
            if opened is None:
                _door(code)
            else:
                _room(opened.room, opened.key)
        except FoolscopeError as error:
            st.error(told(error))
    entered = opened.room.code if opened else code
    address.write({"room": entered} if entered else {})


def _door(code: str) -> None:
    """Offer to open a room, and to get back into one."""
    st.header(say("Rooms"), anchor=False)
    st.markdown(say(WHAT_FOR))
    with st.container(key="teach_open", horizontal=True, vertical_alignment="bottom"):
        title = st.text_input(
            say("What it is called, if you like"),
            max_chars=TITLE,
            key="teach.title",
            placeholder=say("Friday, 9 o'clock"),
            width=320,
        )
        if st.button(say("Open a room"), type="primary", key="teach.open"):
            problems.carry_out(lambda: _open(title))
            st.rerun()
    rooms = [opened.room for opened in keys.known()]
    if rooms:
        st.markdown(f"**{say('Your open rooms')}**")
        st.html(Markup('<div class="teach-rooms">{}</div>').format(joined([_link(room) for room in rooms])))
    with st.expander(say("Get back into a room"), expanded=bool(code)):
        _get_back(code)


def _open(title: str) -> None:
    code = keys.open_room(title).room.code
    st.session_state[invitation.NEW] = code
    _go(code)


def _link(room: Room) -> Markup:
    query = urlencode(preferences.query() | {"room": room.code})
    words = " · ".join(filter(None, [invitation.spelt_out(room.code), room.title]))
    return Markup('<a class="link-button" href="./teach?{}" target="_self">{}</a>').format(query, words)


def _get_back(code: str) -> None:
    with st.form("teach.back", border=False):
        st.caption(say(GET_BACK))
        typed = st.text_input(say("The room's code"), code, max_chars=20, key="teach.back.code", width=320)
        key = st.text_input(say("Key"), max_chars=60, key="teach.back.key", width=320)
        if st.form_submit_button(say("Get back in")):
            problems.carry_out(lambda: _go(keys.enter(typed, key).room.code))
            st.rerun()


def _go(code: str) -> None:
    st.query_params.room = code


def _room(room: Room, key: str) -> None:
    """Draw a room: how to get in at the left, all else at the right."""
    left, right = st.columns([2, 3], gap="large")
    with left:
        invitation.show(room, key)
    with right:
        invitation.key_once(room, key)
        with st.container(key="teach_switches", horizontal=True):
            for name in SWITCHES:
                _switch(room, name)
        _parts(room, key)


def _switch(room: Room, name: str) -> None:
    words, help = SWITCHES[name]
    place = f"teach.{name}.{room.code}"
    st.session_state[place] = getattr(room, name)  # the wall's buttons change it too
    st.toggle(say(words), key=place, help=say(help), on_change=_switched, args=(room.code, name, place))


def _switched(code: str, name: str, place: str) -> None:
    wanted = bool(st.session_state[place])
    problems.carry_out(lambda: service.rooms().change(code, **{name: wanted}))


def _parts(room: Room, key: str) -> None:
    titles = ["Who is in", "What is allowed", "Ask everybody", "Challenges", "Export and end"]
    who, allowed, asking, tasks, end = st.tabs([say(title) for title in titles], key="teach.parts")
    with who:
        people.show(room)
    with allowed:
        permissions.show(room)
    with asking:
        broadcasting.show(room)
        questions.render(room, key)
    with tasks:
        challenges.render(room, key)
    with end:
        leaving.show(room, key)
