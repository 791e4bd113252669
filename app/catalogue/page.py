"""What there is: a card for every attack, and tables of networks and samples, each with its source."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlencode

import streamlit as st

import attacks
from app.catalogue import attack_card, networks
from app.catalogue.tables import TABLES
from components import address
from components.display import attack_families
from components.i18n import preferences
from components.i18n.text import say
from components.widgets.unknown_names import Refusals
from errors import UnknownName

PARTS = {
    "attacks": "Attacks",
    "models": "Networks",
    "samples": "Sample pictures",
    "experiments": "Experiments",
}


def render() -> None:
    """Draw the page."""
    if address.returned():
        address.forget({"catalogue.part", "card_attack", networks.KEY}.__contains__)
    named = st.query_params.get("part", "attacks")
    preferences.keep("catalogue.part", named if named in PARTS else "attacks")
    part = st.segmented_control(
        say("Show"), list(PARTS), format_func=lambda p: say(PARTS[p]), key="catalogue.part", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    if part == "attacks":
        _attacks()
        return
    if part == "models":
        networks.render()
        return
    address.write({"part": str(part)})
    st.markdown(TABLES[str(part)]())


def _attacks() -> None:
    known = attacks.registry()
    if "card_attack" not in st.session_state:
        named = st.query_params.get("card", "pgd")
        st.session_state.card_attack = named if named in known else "pgd"
        st.session_state.card_refusals = refusals = Refusals()
        if named not in known:
            refusals.add("card", UnknownName.of("attack", named, known))
    chosen = st.session_state.card_attack
    for sentence in st.session_state.card_refusals.sentences({"card": chosen}):
        st.error(sentence)
    side = st.columns([1, 3], gap="large")
    with side[0], st.container(key="attack_list", gap=None):
        for key, names in attack_families.grouped().items():
            st.caption(say(attack_families.FAMILIES[key]))
            for name in names:
                title, its = attack_families.called(name), name == chosen
                kind: Literal["secondary", "tertiary"] = "secondary" if its else "tertiary"
                st.button(title, type=kind, key=f"card.{name}", on_click=_choose, args=(name,))
    address.write({"card": chosen})
    with side[1]:
        _card(chosen)


def _choose(name: str) -> None:
    st.session_state.card_attack = name


def _card(name: str) -> None:
    card = attacks.get(name).card
    st.header(attack_families.called(name), anchor=False)
    st.caption(attack_card.headline(name))
    st.markdown(f"**{say(card.summary)}** {say(card.use)}")
    if card.rule:
        st.latex(card.rule)
    address = urlencode(preferences.query() | {"attack": name})
    st.markdown(f"[{card.paper}]({card.url}), {card.year} · [{say('Try it')}](./?{address})")
    st.subheader(say("Settings"), anchor=False)
    st.markdown(attack_card.settings_table(name))
    st.subheader(say("How it was proved"), anchor=False)
    proof = attack_card.proof_lines(name)
    contract = "By the contract that every attack keeps; no other library has it to compare with."
    st.markdown(proof or say(contract))
    if proof:
        with st.expander(say("Every comparison")):
            if preferences.language() != "en":
                st.caption(say("The records of the comparisons are in English."))
            st.markdown(attack_card.proof_table(name))
    with st.expander(say("Show the code")):
        st.code(attack_card.code(name), language="python")
