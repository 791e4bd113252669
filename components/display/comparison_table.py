"""Claims with a tick or a cross, and a paper's numbers beside this run's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st
from markupsafe import Markup

from components.display import html_table
from components.i18n.text import say
from components.lesson import tabs
from engine.intervals import Estimate

if TYPE_CHECKING:
    from experiments.core import Published

BREAK = Markup("<br>")


class Cell(NamedTuple):
    """One number of this run: with its 95 % interval, what the paper says, whether that was only recalled,
    and where a press on it leads. ``scale``: by which all of them are shown multiplied; ``places``: digits
    after the point to show, in all of which the paper's number must agree."""

    value: float
    low: float | None = None
    high: float | None = None
    published: float | None = None
    recalled: bool = False
    href: str = ""
    digits: int = 3
    scale: float = 1.0
    unit: str = ""
    places: int | None = None

    @property
    def agrees(self) -> bool | None:
        """Return whether the paper's number is in the interval or within 20 % of the paper's, or, to so many
        ``places``, equal to it; None without one."""
        if self.published is None:
            return None
        if self.places is not None:
            return _number(self, self.value) == _number(self, self.published)
        inside = self.low is not None and self.high is not None and self.low <= self.published <= self.high
        return inside or abs(self.value - self.published) <= 0.2 * abs(self.published)


def cell(figure: Estimate, **facts: Any) -> Cell:
    """Return the cell of an estimate."""
    return Cell(figure.value, figure.low, figure.high, **facts)


def percent(printed: Published) -> Cell:
    """Return the cell of a paper's own number, in percent."""
    unit = say(" % (recalled)") if printed.recalled else " %"
    return Cell(printed.value, unit=unit, digits=4)


def claims(verdicts: Mapping[str, bool], *, folded: bool = False) -> None:
    """Show each claim, in the reader's language, with a tick where this run bears it out and a cross where
    it does not; ``folded``: behind a button that counts them, where the lesson is one screen."""
    items = html_table.joined([_claim(say(claim), holds) for claim, holds in verdicts.items()])
    summary = say("{held} of {n} statements hold", held=sum(verdicts.values()), n=len(verdicts))
    behind = folded and tabs.here()
    with st.popover(summary, icon=":material/checklist:") if behind else nullcontext():
        st.html(Markup('<ul class="claims">{}</ul>').format(items))


def _claim(words: str, holds: bool) -> Markup:
    kind, verdict = ("holds", say("Holds")) if holds else ("fails", say("Fails"))
    return Markup('<li class="{}"><span class="sr">{}: </span>{}</li>').format(kind, verdict, words)


def beside(head: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> None:
    """Show a table: words as they are, numbers with interval and the paper's number under them.

    Where the paper has a number the cell says by colour and by a sign (= or ≠) whether the two agree.
    """
    many = len(head) > 6
    html_table.show(head, [[_td(cell, many) for cell in row] for row in rows], "many" if many else "")
    printed = [cell for row in rows for cell in row if isinstance(cell, Cell) and cell.published is not None]
    if printed and printed[0].places is not None:
        st.caption(say("Small: what the paper prints."))
    elif printed:
        st.caption(
            say(
                "Large: this run, with its 95 % interval. Small: = the paper's number lies in the interval "
                "or within 20 %, ≠ it does not; “recalled” where it could not be read in the paper itself."
            )
        )


def _td(content: str | Cell, many: bool) -> Markup:
    """Return a cell; where there are ``many`` columns its interval stands below the number."""
    if isinstance(content, str):
        return html_table.row_head(content)
    number = Markup("{}").format(_number(content, content.value))
    if content.low is not None and content.high is not None:
        interval = _interval(content, content.low, content.high, many)
        number += Markup("{}<small>({})</small>").format(BREAK if many else " ", interval)
    if content.href:
        number = Markup('<a href="{}" target="_self">{}</a>').format(content.href, number)
    if content.published is None:
        return html_table.cell(number)
    published = _number(content, content.published)
    if content.recalled:
        published = say("recalled {number}", number=published)
    sign, kind = ("=", "agrees") if content.agrees else ("≠", "differs")
    between = BREAK if content.places is None else " "
    template = Markup('<td class="{}">{}{}<small>{} {}</small></td>')
    return template.format(kind, number, between, sign, published)


def _interval(cell: Cell, low: float, high: float, many: bool) -> str:
    first, last = (_number(cell._replace(unit="") if many else cell, value) for value in (low, high))
    return f"{first}–{last}" if many else say("{low} to {high}", low=first, high=last)


def _number(cell: Cell, value: float) -> str:
    scaled = value * cell.scale
    if cell.places is not None:
        return f"{scaled:.{cell.places}f}{cell.unit}"
    short = f"{scaled:.{cell.digits}g}"
    return f"{scaled:,.0f}{cell.unit}" if "e+" in short else f"{short}{cell.unit}"


def words(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show a table of words."""
    html_table.show(head, [list(map(html_table.cell, row)) for row in rows], "words")
