"""Figures of lessons: plotly, drawn alike, in colours that all can tell apart, named at the line's end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go
import streamlit as st

# Okabe and Ito's, without yellow, which is hard to see on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#777777")


class Series(NamedTuple):
    """One line: its name, where, how high, and, if known, from where to where it may be. ``dash``: "dot" for
    what is there to compare with; ``colour``: an index into `COLOURS`; ``faint``: one of many, unnamed."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dash: str = "solid"
    colour: int | None = None
    faint: bool = False


def lines(
    series: Sequence[Series],
    x: str,
    y: str,
    *,
    alt: str,
    key: str,
    log: str = "",
    percent: bool = False,
    marker: float | Sequence[float] | None = None,
    height: int = 300,
    room: int = 190,
    dots: Sequence[tuple[float, float]] = (),
    span: tuple[float, float] | None = None,
) -> None:
    """Draw ``series`` over each other; ``x`` and ``y`` name the axes.

    ``log``: which of "x", "y" or "xy" are logarithmic. ``percent``: y in [0, 1] is shown in per cent.
    ``marker``: places on x where a vertical line stands. ``room``: pixels for the names at the lines' ends.
    ``dots``: points (x, y) that stand out. ``span``: the ends of the y axis, where it must not move.
    ``alt`` says in words what is to be seen.
    """
    figure = _figure(x, y, height)
    low, high = span or _range(series, "y" in log)
    painted = list(zip(series, _colours(series), strict=True))
    for line, colour in painted:
        _line(figure, line, colour)
    ends = [(_scaled(line.y[-1], "y" in log) - low) / (high - low) for line in series]
    _labels(figure, [(*of, end) for of, end in zip(painted, ends, strict=True) if not of[0].faint], height)
    if dots:
        at = {"color": COLOURS[1], "size": 13}
        figure.add_scatter(x=[x for x, _ in dots], y=[y for _, y in dots], mode="markers", marker=at)
    figure.update_yaxes(range=[low, high])
    figure.update_xaxes(**(_powers(_decades(series)) if "x" in log else {"type": "linear"}))
    figure.update_yaxes(**(_powers(high - low) if "y" in log else {"type": "linear"}))
    figure.update_yaxes(tickformat=".2~%" if percent else None)
    for place in [marker] if isinstance(marker, int | float) else marker or []:
        figure.add_vline(x=place, line={"color": "#777777", "width": 1, "dash": "dot"})
    figure.update_layout(margin={"r": room})
    _show(figure, alt, key)


def bars(
    groups: Mapping[str, Sequence[float]],
    labels: Sequence[str],
    x: str,
    y: str,
    *,
    alt: str,
    key: str,
    percent: bool = False,
    height: int = 320,
) -> None:
    """Draw groups of bars, one bar of each group over each of ``labels``."""
    figure = _figure(x, y, height)
    for index, (name, values) in enumerate(groups.items()):
        figure.add_bar(x=list(labels), y=list(values), name=name, marker_color=COLOURS[index])
    figure.update_layout(barmode="group", showlegend=len(groups) > 1, margin={"r": 12})
    figure.update_yaxes(tickformat=".2~%" if percent else None)
    _show(figure, alt, key)


def _figure(x: str, y: str, height: int) -> Any:
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 70, "r": 190, "t": 12, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
        legend={"orientation": "h", "y": 1.12, "x": 0},
        hovermode="x unified",
        font={"size": 14},
    )
    axis = {"gridcolor": "rgba(128,128,128,.25)", "zeroline": False, "title_standoff": 8}
    figure.update_xaxes(title=x, **axis)
    figure.update_yaxes(title=y, **axis)
    return figure


def _line(figure: Any, curve: Series, colour: str) -> None:
    if curve.low is not None and curve.high is not None:
        band = {"x": [*curve.x, *reversed(curve.x)], "y": [*curve.high, *reversed(curve.low)]}
        figure.add_scatter(
            **band, fill="toself", fillcolor=colour, opacity=0.15, line={"width": 0}, hoverinfo="skip"
        )
    line = {"color": colour, "width": 1 if curve.faint else 2, "dash": curve.dash}
    looks = {"opacity": 0.45, "hoverinfo": "skip"} if curve.faint else {}
    figure.add_scatter(x=list(curve.x), y=list(curve.y), name=curve.name, mode="lines", line=line, **looks)


def _colours(series: Sequence[Series]) -> list[str]:
    numbers = (index if curve.colour is None else curve.colour for index, curve in enumerate(series))
    return [COLOURS[number % len(COLOURS)] for number in numbers]


def _labels(figure: Any, named: Sequence[tuple[Series, str, float]], height: int) -> None:
    """Name each line, in its colour, beside where it ends (a share of the figure's height)."""
    shifts = _apart([end * (height - 60) for _, _, end in named], height - 60)
    for (curve, colour, end), shift in zip(named, shifts, strict=True):
        _label(figure, curve.name, colour, end, shift)


def _decades(series: Sequence[Series]) -> float:
    """Return over how many powers of ten x reaches."""
    ends = [value for curve in series for value in curve.x]
    return math.log10(max(ends) / min(ends))


def _powers(decades: float) -> dict[str, Any]:
    """Return a logarithmic axis: powers of ten, and what lies between where there are few of them."""
    return {"type": "log", "dtick": 1 if decades > 1.5 else "D1", "exponentformat": "power"}


def _label(figure: Any, name: str, colour: str, height: float, shift: float) -> None:
    """Write a line's name in the margin, beside where the line ends."""
    where = {"xref": "paper", "x": 1.0, "yref": "paper", "y": height, "xanchor": "left"}
    figure.add_annotation(
        **where, text=name, xshift=6, yshift=shift, showarrow=False, font={"color": colour}, align="left"
    )


def _scaled(value: float, log: bool) -> float:
    return math.log10(value) if log else float(value)


def _range(series: Sequence[Series], log: bool) -> tuple[float, float]:
    """Return the ends of the axis, in its own scale: all values with a little room."""
    values = [v for curve in series for part in (curve.y, curve.low or (), curve.high or ()) for v in part]
    low, high = _scaled(min(values), log), _scaled(max(values), log)
    room = 0.05 * ((high - low) or 1.0)
    return low - room, high + room


def _apart(places: Sequence[float], top: float, least: float = 17.0) -> list[float]:
    """Return by how many pixels labels at ``places`` (from the bottom) move, so that none covers another
    and none is above ``top``."""
    moved, floor = list(places), -math.inf
    order = sorted(range(len(places)), key=lambda i: places[i])
    for index in order:
        floor = moved[index] = max(places[index], floor + least)
    ceiling = top + least
    for index in reversed(order):
        ceiling = moved[index] = min(moved[index], ceiling - least)
    return [there - here for there, here in zip(moved, places, strict=True)]


def _show(figure: Any, alt: str, key: str) -> None:
    """Show the figure, with ``alt`` for those who cannot see it."""
    with st.container(key=f"figure.{key}"):
        st.plotly_chart(figure, width="stretch", config={"displayModeBar": False}, key=f"plot.{key}")
        st.caption(alt)
