"""The networks: a list, a card for the one that is chosen, and a form that adds one's own."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlencode

import streamlit as st

import models
from app import service
from app.access import may_add_models
from app.catalogue import add_network, network_card
from app.catalogue.tables import models_table
from components import address
from components.i18n import preferences
from components.i18n.text import say, told
from components.widgets.unknown_names import Refusals
from errors import FoolscopeError, UnknownName
from models.added import shelf

NEW = "add"
"""What the address says in place of a network's name where the form is shown."""
KEY = "card_network"


def render() -> None:
    """Draw this part of the page."""
    chosen = _chosen()
    side = st.columns([1, 3], gap="large")
    with side[0], st.container(key="attack_list", gap=None):
        _list(chosen)
    with side[1]:
        if chosen == NEW:
            add_network.form(_added)
        else:
            _card(chosen)
        with st.expander(say("All others in a table")):
            st.markdown(models_table())
    address.write({"part": "models", "network": chosen})


def _chosen() -> str:
    """Return the network that was chosen, in the address at first."""
    known = [*models.registry(), *([NEW] if may_add_models() else [])]
    if KEY not in st.session_state:
        named = st.query_params.get("network", models.FIRST)
        st.session_state[KEY] = named if named in known else models.FIRST
        st.session_state.network_refusals = refusals = Refusals()
        if named not in known:
            refusals.add("network", UnknownName.of("model", named, known))
    if st.session_state[KEY] not in known:  # it was removed meanwhile
        st.session_state[KEY] = models.FIRST
    for sentence in st.session_state.network_refusals.sentences({"network": st.session_state[KEY]}):
        st.error(sentence)
    return str(st.session_state[KEY])


def _list(chosen: str) -> None:
    if may_add_models():
        label, icon = say("Add a network"), ":material/add:"
        kind: Literal["primary", "secondary"] = "secondary" if chosen == NEW else "primary"
        st.button(label, icon=icon, type=kind, key="network.add", on_click=_choose, args=(NEW,))
    for heading, cards in network_card.grouped().items():
        if cards:
            st.caption(say(heading))
        for card in cards:
            style: Literal["secondary", "tertiary"] = "secondary" if card.name == chosen else "tertiary"
            key = f"network.{card.name}"
            st.button(card.title, type=style, key=key, on_click=_choose, args=(card.name,))


def _choose(name: str) -> None:
    st.session_state[KEY] = name


def _added(name: str) -> None:
    """Show a network that was just added."""
    st.session_state[KEY] = name
    st.rerun()


def _card(name: str) -> None:
    card = models.card(name)
    st.header(card.title, anchor=False)
    if card.added:
        st.markdown(say("Added from {source}.", source=f"`{shelf.get(name).source}`"))
    else:
        st.markdown(f"**{say(card.summary)}**")
    choice = service.engine().layout(name)
    for sentence in network_card.rejections(choice) if choice else ():
        st.info(sentence)
    query = urlencode(preferences.query() | {"model": name})
    st.markdown(f"[{say('Try it')}](./?{query})")
    if card.added:
        st.subheader(say("What was checked"), anchor=False)
        st.markdown(network_card.checks(shelf.get(name)))
    st.subheader(say("What is known of it"), anchor=False)
    st.markdown(network_card.table(card))
    if card.added and may_add_models():
        _removing(name)


def _removing(name: str) -> None:
    """Offer to remove an added network, with a second press to be sure."""
    with st.popover(say("Remove it"), icon=":material/delete:"):
        st.markdown(say("Its files are deleted from this machine. Runs that are under way go on."))
        if st.button(say("Delete for good"), type="primary", key=f"remove.{name}"):
            try:
                shelf.remove(name)
            except FoolscopeError as error:
                st.error(told(error))
                return
            st.rerun()
