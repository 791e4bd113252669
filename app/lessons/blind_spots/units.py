"""Single units against random directions."""

from __future__ import annotations

import html

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from experiments.datasets.digit_sets import digit_name, source_of
from experiments.szegedy2013.grid import DIGIT_NETWORKS
from experiments.szegedy2013.units import Family, Rotation, Row, Units, UnitsFigures
from models import card

SMALL = {"n": 1000, "units": 100, "directions": 200, "shuffles": 200}


def render() -> None:
    """Draw the lesson."""
    with layout.page("units") as prose:
        with layout.part():
            nets, first = DIGIT_NETWORKS, DIGIT_NETWORKS.index("lenet")
            model = st.selectbox(say("Network"), nets, first, lambda m: card(m).title, key="units.model")
            result = experiment_panel.result(Units, say("Compute it on 1,000 digits"), model=model, **SMALL)
            figures = result.figures
            _galleries(figures, source_of(result.data))
        with layout.part():
            st.markdown(prose("purity"))
            _purity(figures)
        with layout.part():
            st.markdown(prose("rotation"))
            if figures.rotation:
                _rotation(figures.rotation)
            comparison_table.claims(result.claims)
            cited = say("Szegedy et al. 2013, section 3, figures 1 to 4")
            layout.source(cited, "https://arxiv.org/abs/1312.6199")


def _name(family: str) -> str:
    named = {
        "units": say("single units"),
        "directions": say("mixtures"),
        "scaled": say("mixtures of scaled units"),
    }
    return named[family]


def _galleries(figures: UnitsFigures, source: str) -> None:
    """Show the pictures that most excite units, beside those that most excite mixtures."""
    titles = {"units": say("Single units"), "directions": say("Random mixtures")}
    one = {"units": say("Single unit {name}"), "directions": say("Random mixture {name}")}
    for side, (family, title) in zip(st.columns(2, gap="large"), titles.items(), strict=True):
        with side:
            st.subheader(title, anchor=False)
            shown = figures.families[family].shown
            st.html("".join(_strip(row, one[family], figures.model, source) for row in shown))
    st.caption(say("Press a picture to open it in the playground."))


def _strip(row: Row, named: str, model: str, source: str) -> str:
    """Return a row of pictures as HTML; on each that can be opened lies a link to the playground."""
    labels = ", ".join(map(str, row.labels))
    alt = say("{row}: pictures of {labels}", row=named.format(name=row.name), labels=labels)
    links = ""
    for index, label in zip(row.top, row.labels, strict=True):
        words = say("Open this {label} in the playground", label=label)
        href = html.escape(layout.playground_url(model, digit_name(source, "test", index), None))
        links += f'<a href="{href}" target="_self" aria-label="{words}"></a>' if href else "<span></span>"
    picture = f'<img src="data:image/png;base64,{row.png}" alt="{html.escape(alt)}">'
    return f'<div class="strip">{picture}<div class="links">{links}</div></div>'


def _purity(figures: UnitsFigures) -> None:
    """Show how often rows share a label, beside chance."""
    head = [say("Rows of eight"), say("Share of the most frequent label"), say("By chance")]
    comparison_table.beside(head, _rows(figures))
    count = figures.k
    labels = [say("{count} of {total}", count=one, total=count) for one in range(1, count + 1)]
    groups = {_name(key): _shares(family) for key, family in figures.families.items()}
    alt = say("How many rows have so many pictures of one label, for units and for mixtures.")
    charts.bars(groups, labels, say("of one label"), say("rows"), percent=True, alt=alt, key="purity")


def _shares(family: Family) -> list[float]:
    return [count / family.count for count in family.histogram]


def _rows(figures: UnitsFigures) -> list[list[str | Cell]]:
    return [
        [
            f"{_name(key)} ({family.count})",
            cell(family.purity, scale=100, unit=" %"),
            cell(family.chance, scale=100, unit=" %"),
        ]
        for key, family in figures.families.items()
    ]


def _rotation(rotation: Rotation) -> None:
    """Say what a rotation of the layer changes."""
    facts = {
        "logits": f"{rotation.logits:.1g}",
        "common": f"{rotation.common.value:.1%}",
        "chance": f"{rotation.by_chance:.1%}",
    }
    words = (
        "Largest difference of any output: **{logits}**. Pictures among the eight of the old unit and of the "
        "new one: **{common}** (by chance {chance})."
    )
    st.markdown(say(words, **facts))
