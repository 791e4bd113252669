"""What there is: attacks, networks and samples, each with its source; made from their cards."""

from __future__ import annotations

import streamlit as st

from app import service


def render() -> None:
    """Draw the page."""
    service.engine()
    import attacks
    import models
    from engine.images import samples
    from models import weights

    st.title("What there is")
    st.write("Every attack, network and sample picture of this server, with where it comes from.")
    st.header("Attacks")
    for kind in attacks.registry().values():
        card = kind.card
        with st.container(border=True):
            st.markdown(f"**{card.title}** · {card.access}, {card.year}")
            st.write(card.summary)
            st.caption(f"[{card.paper}]({card.url})")
            with st.expander("Settings"):
                st.table([_field(each) for each in kind.settings()])
    st.header("Networks")
    st.table(
        [
            {
                "network": card.title,
                "sees": f"{card.size} × {card.size}",
                "classes": f"{len(card.labels):,}",
                "accuracy": ", ".join(f"{name} {value:.1f} %" for name, value in card.accuracy.items())
                or "not measured",
                "weights": "here"
                if weights.locate(card)
                else "fetched at first use"
                if card.weights.url
                else f"needs {card.weights.file}",
                "licence": card.licence or "not stated",
            }
            for card in models.cards()
        ]
    )
    st.header("Sample pictures")
    st.table(
        [
            {
                "picture": s.label,
                "author": s.author or "computed",
                "licence": s.licence or "–",
                "source": s.source or "–",
            }
            for s in samples().values()
        ]
    )


def _field(each: object) -> dict[str, str]:
    from attacks.core import Setting

    assert isinstance(each, Setting)
    reach = ", ".join(each.choices) or (
        "yes or no" if each.type == "bool" else f"{each.low:,g} to {each.high:,g}"
    )
    return {
        "setting": each.name,
        "default": each.format(each.default),
        "range": reach,
        "what it does": each.help,
    }
