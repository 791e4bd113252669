"""Claims with a tick or a cross, and a paper's numbers beside this run's."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import streamlit as st

from components.i18n.text import say
from components.lesson import tabs
from experiments.toolkit.intervals import Estimate


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
        """Return whether the paper's number is in the interval or within 20 % of this run's, or, to so many
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


def claims(found: Mapping[str, bool], *, folded: bool = False) -> None:
    """Show each claim, in the reader's language, with a tick where this run bears it out and a cross where
    it does not; ``folded``: behind a button that counts them, where the lesson is one screen."""
    items = "".join(_claim(say(claim), holds) for claim, holds in found.items())
    told = say("{held} of {n} statements hold", held=sum(found.values()), n=len(found))
    behind = folded and tabs.here()
    with st.popover(told, icon=":material/checklist:") if behind else nullcontext():
        st.html(f'<ul class="claims">{items}</ul>')


def _claim(words: str, holds: bool) -> str:
    kind, verdict = ("holds", say("Holds")) if holds else ("fails", say("Fails"))
    return f'<li class="{kind}"><span class="sr">{verdict}: </span>{html.escape(words)}</li>'


def beside(head: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> None:
    """Show a table: words as they are, numbers with interval and the paper's number under them.

    Where the paper has a number the cell says by colour and by a sign (= or ≠) whether the two agree.
    """
    top = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in head)
    many = len(head) > 6
    body = "".join(f"<tr>{''.join(_td(each, many) for each in row)}</tr>" for row in rows)
    kind = ' class="many"' if many else ""
    table = f"<table{kind}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    st.html(f'<div class="beside" tabindex="0">{table}</div>')
    printed = [each for row in rows for each in row if isinstance(each, Cell) and each.published is not None]
    if printed and printed[0].places is not None:
        st.caption(say("Small: what the paper prints."))
    elif printed:
        st.caption(
            say(
                "Large: this run, with its 95 % interval. Small: = the paper's number lies in the interval "
                "or within 20 %, ≠ it does not; “recalled” where it could not be read in the paper itself."
            )
        )


def _td(each: str | Cell, many: bool) -> str:
    """Return a cell; where there are ``many`` columns its interval stands below the number."""
    if isinstance(each, str):
        return f'<th scope="row">{html.escape(each)}</th>'
    number = _number(each, each.value)
    if each.low is not None and each.high is not None:
        number += f"{'<br>' if many else ' '}<small>({_interval(each, each.low, each.high, many)})</small>"
    if each.href:
        number = f'<a href="{html.escape(each.href)}" target="_self">{number}</a>'
    if each.published is None:
        return f"<td>{number}</td>"
    published = _number(each, each.published)
    if each.recalled:
        published = say("recalled {number}", number=published)
    sign, kind = ("=", "agrees") if each.agrees else ("≠", "differs")
    said = f"{'<br>' if each.places is None else ' '}<small>{sign} {published}</small>"
    return f'<td class="{kind}">{number}{said}</td>'


def _interval(each: Cell, low: float, high: float, many: bool) -> str:
    first, last = (_number(each._replace(unit="") if many else each, value) for value in (low, high))
    return f"{first}–{last}" if many else say("{low} to {high}", low=first, high=last)


def _number(each: Cell, value: float) -> str:
    scaled = value * each.scale
    if each.places is not None:
        return f"{scaled:.{each.places}f}{each.unit}"
    short = f"{scaled:.{each.digits}g}"
    return f"{scaled:,.0f}{each.unit}" if "e+" in short else f"{short}{each.unit}"


def words(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show a table of words."""
    top = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in head)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in row)}</tr>" for row in rows)
    table = f'<table class="words"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    st.html(f'<div class="beside" tabindex="0">{table}</div>')
