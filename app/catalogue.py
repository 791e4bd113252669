"""What there is: a card for every attack, and tables of networks and samples, each with its source."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from app.subject import wake
from components import reader

PARTS = {
    "attacks": "Attacks",
    "models": "Networks",
    "samples": "Sample pictures",
    "experiments": "Experiments",
}


def render() -> None:
    """Draw the page."""
    wake()  # cards come with torch, which the first visitor waits for
    if "catalogue.part" not in st.session_state:
        st.session_state["catalogue.part"] = st.query_params.get("part", "attacks")
    part = st.segmented_control(
        "Show", list(PARTS), format_func=lambda p: PARTS[p], key="catalogue.part", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    if part == "attacks":
        _attacks()
        return
    from components.tables import TABLES

    st.query_params.from_dict(reader.query() | {"part": str(part)})
    st.markdown(TABLES[str(part)]())


def _attacks() -> None:
    import attacks
    from components import families

    known = attacks.registry()
    if "catalogue.attack" not in st.session_state:
        named = st.query_params.get("card", "pgd")
        st.session_state["catalogue.attack"] = named if named in known else "pgd"
    chosen, side = st.session_state["catalogue.attack"], st.columns([1, 3], gap="large")
    with side[0], st.container(key="attack_list", gap=None):
        for key, names in families.grouped().items():
            st.caption(families.FAMILIES[key])
            for name in names:
                title, its = known[name].card.title, name == chosen
                kind: Literal["secondary", "tertiary"] = "secondary" if its else "tertiary"
                st.button(title, type=kind, key=f"card.{name}", on_click=_choose, args=(name,))
    st.query_params.from_dict(reader.query() | {"card": chosen})
    with side[1]:
        _card(chosen)


def _choose(name: str) -> None:
    st.session_state["catalogue.attack"] = name


def _card(name: str) -> None:
    import attacks
    from components import attack_card

    card = attacks.get(name).card
    st.header(card.title, anchor=False)
    st.caption(attack_card.headline(name))
    st.markdown(f"**{card.summary}** {card.use}")
    if card.rule:
        st.latex(card.rule)
    st.markdown(f"[{card.paper}]({card.url}), {card.year} · [Try it](./?attack={name})")
    st.subheader("Settings", anchor=False)
    st.markdown(attack_card.settings_table(name))
    st.subheader("How it was proved", anchor=False)
    proof = attack_card.proof_lines(name)
    st.markdown(proof or "By the contract that every attack keeps; no other library has it to compare with.")
    if proof:
        with st.expander("Every comparison"):
            st.markdown(attack_card.proof_table(name))
    with st.expander("Show the code"):
        st.code(attack_card.code(name), language="python")
