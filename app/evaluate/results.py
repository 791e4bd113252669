"""How an evaluation stands: progress, summary, curve, and a row for each picture."""

from __future__ import annotations

from functools import partial

import streamlit as st
from markupsafe import Markup

from app.evaluate.shelf import shelf
from components.display import charts
from components.display.html_table import joined
from components.i18n import preferences
from components.i18n.text import say, told
from components.take_home.voice import voice
from engine.evaluation.contact_sheet import HOW, Showing, line_names, rows_table, summary_table
from engine.evaluation.leaving import stem
from engine.evaluation.record import Row
from engine.evaluation.shelf import Going
from engine.evaluation.summary import Group, Line, groups, lines
from engine.evaluation.tables import has_parquet

SHOWN = 100
"""Rows that the page shows; the files hold all."""
FILES = {"rows.csv": "CSV", "rows.parquet": "Parquet", "index.html": "HTML", "pictures.zip": "PNG"}
EVERY = 1.0
"""Seconds between two looks at an evaluation that goes on."""


def show(going: Going, base: str) -> None:
    """Show an evaluation, again and again while it goes on. ``base``: the path of our routes."""
    if going.over:
        _draw(going, base)
        return

    def look() -> None:
        if going.over:
            st.rerun()
        _draw(going, base)

    st.fragment(look, run_every=EVERY)()


def _draw(going: Going, base: str) -> None:
    rows = going.rows
    _standing(going, rows)
    if not rows:
        return
    several = groups(rows)
    at = f"{base}/evaluations/{going.id}"
    _downloads(going, at)
    _summary(going, several)
    st.html(_pictures(going, rows, at))
    if len(rows) > SHOWN:
        st.caption(say("The first {most} rows are shown; all are in the table.", most=SHOWN))


def _standing(going: Going, rows: list[Row]) -> None:
    """Say how far it is, in a sentence, and offer to cancel it."""
    total, fooled = going.evaluation.total, sum(bool(row.success) for row in rows)
    facts = {"done": f"{len(rows):,}", "total": f"{total:,}", "fooled": f"{fooled:,}"}
    sentence = say("{done} of {total} done, {fooled} fooled", **facts)
    if going.status == "waiting":
        sentence = say("Waiting: {ahead} evaluations are to end first.", ahead=shelf().ahead(going))
    if going.over:
        st.markdown(f"### {sentence}")
    else:
        with st.container(key="evaluation_progress", horizontal=True, vertical_alignment="center"):
            st.progress(len(rows) / max(1, total), sentence)
            if st.button(say("Cancel"), key="evaluate.cancel"):
                going.stop.set()
    if going.error is not None:
        st.error(told(going.error))
    if going.status == "cancelled":
        st.caption(say("Cancelled: what is here was finished before."))


def _downloads(going: Going, at: str) -> None:
    """Offer the files of what is there."""
    pictures = any(row.picture for row in going.rows)
    offered = {"rows.csv": True, "rows.parquet": has_parquet(), "index.html": True, "pictures.zip": pictures}
    query = "".join(f"?lang={code}" for name, code in preferences.query().items() if name == "lang")
    links = [
        Markup('<a class="link-button" href="{}/{}{}" download="{}">{}</a>').format(
            at, name, query, name, f"{title} ↓"
        )
        for name, title in FILES.items()
        if offered.get(name)
    ]
    st.html(Markup('<p class="evaluation-files">{}</p>').format(joined(links)))


def _summary(going: Going, several: list[Group]) -> None:
    table = summary_table(several, voice(preferences.language()))
    st.html(Markup('<div class="beside evaluation" tabindex="0">{}</div>').format(table))
    st.caption(say(HOW))
    curves = [_series(line, name) for line, name in zip(lines(several), line_names(several), strict=True)]
    if curves:
        title = say("What withstands, by budget")
        st.markdown(f"### {title}")
        charts.lines(
            curves,
            say("budget ε, on the scale of [0, 1]"),
            "",
            alt=title,
            key=f"evaluation.curve.{going.id}",
            percent=True,
            span=(0.0, 1.0),
        )


def _series(line: Line, name: str) -> charts.Series:
    """Return a robustness curve with its intervals."""
    points = [(group.epsilon or 0.0, group.held) for group in line.groups if group.held is not None]
    return charts.Series(
        name,
        [epsilon for epsilon, _ in points],
        [held.value for _, held in points],
        [held.low or 0.0 for _, held in points],
        [1.0 if held.high is None else held.high for _, held in points],
    )


def _pictures(going: Going, rows: list[Row], at: str) -> Markup:
    """Return the rows with their pictures; a file's name opens its run in the playground."""
    showing = Showing(partial(_strip, going, at), partial(_link, at))
    table = rows_table(rows[:SHOWN], showing, voice(preferences.language()))
    return Markup('<div class="beside evaluation sheet" tabindex="0">{}</div>').format(table)


def _strip(going: Going, at: str, row: Row) -> str:
    return f"{at}/thumbnails/{stem(row.key)}.png" if row.attacked and row.epsilon != 0 else ""


def _link(at: str, row: Row) -> str:
    return f"{at}/open/{stem(row.key)}" if row.attacked and row.epsilon != 0 else ""
