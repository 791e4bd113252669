"""Widgets made from what the fields of a recipe declare (`engine.fields.Widget`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

import models
from attacks.contract import Stop
from components.i18n import preferences
from components.i18n.text import say
from engine.fields import Field, Region, Widget
from engine.recipe import FIELDS, Recipe
from models.core import Crop

SURE_ENOUGH = {0.5, 0.75, 0.9, 0.95, 0.99, 0.999}


def show(recipe: Recipe, place: str) -> dict[str, Any]:
    """Show the widgets of the fields that stand at ``place``, at the recipe's values; return what the person
    chose, by the fields' names."""
    return {
        field.name: KINDS[field.widget.kind](field, field.widget, recipe)
        for field in FIELDS
        if field.widget and field.widget.place == place
    }


def _whole_number(field: Field, widget: Widget, recipe: Recipe) -> int:
    preferences.keep(field.name, getattr(recipe, field.name))
    low, high, step = int(widget.low), int(widget.high), int(widget.step)
    return int(st.number_input(say(widget.label), low, high, step=step, key=field.name, help=_help(widget)))


def _number(field: Field, widget: Widget, recipe: Recipe) -> float:
    preferences.keep(field.name, float(getattr(recipe, field.name)))
    ends = float(widget.low), float(widget.high)
    return float(
        st.slider(say(widget.label), *ends, step=float(widget.step), key=field.name, help=_help(widget))
    )


def _toggle(field: Field, widget: Widget, recipe: Recipe) -> bool:
    preferences.keep(field.name, getattr(recipe, field.name))
    return st.toggle(say(widget.label), key=field.name, help=_help(widget))


def _choice(field: Field, widget: Widget, recipe: Recipe) -> str:
    preferences.keep(field.name, getattr(recipe, field.name))
    words = {value: say(label) for value, label in widget.choices.items()}
    title = words.__getitem__
    return str(
        st.selectbox(say(widget.label), list(words), format_func=title, key=field.name, help=_help(widget))
    )


def _several(field: Field, widget: Widget, recipe: Recipe) -> tuple[str, ...]:
    preferences.keep(field.name, list(getattr(recipe, field.name)))
    words = {value: say(label) for value, label in widget.choices.items()}
    chosen = st.multiselect(
        say(widget.label),
        list(words),
        format_func=words.__getitem__,
        key=field.name,
        help=_help(widget),
        placeholder=say("choose"),
    )
    return tuple(name for name in words if name in chosen)


def _stop(field: Field, widget: Widget, recipe: Recipe) -> Stop:
    """Let the person choose when to stop early."""
    rules = {
        "probability": say("sure enough"),
        "success": say("just fooled"),
        "row": say("fooled for good"),
        "steps": say("all steps done"),
    }
    stop = recipe.stop
    preferences.keep(field.name, stop.rule)
    rule = st.selectbox(say(widget.label), list(rules), format_func=rules.__getitem__, key=field.name)
    if rule == "row":
        return Stop("row", stop.at, _in_a_row(stop.times))
    if rule != "probability":
        return Stop(str(rule), stop.at)
    preferences.keep("stop_at", stop.at)
    help = say("The run ends as soon as the network is this sure of the target.")
    at = st.select_slider(
        say("Sure enough"),
        sorted(SURE_ENOUGH | {stop.at}),
        format_func=lambda p: f"{100 * p:g} %",
        key="stop_at",
        help=help,
    )
    return Stop("probability", float(at))


def _in_a_row(times: int) -> int:
    preferences.keep("stop_times", times)
    help = say("The run ends once the network has been fooled this many steps in a row.")
    return int(st.number_input(say("Steps in a row"), 1, 10_000, step=1, key="stop_times", help=help))


def _region(field: Field, widget: Widget, recipe: Recipe) -> Region | None:
    """Let the person say which part of what the network sees may change."""
    preferences.keep("part", recipe.region is not None)
    if not st.toggle(say(widget.label), key="part", help=_help(widget)):
        return None
    before = recipe.region or Region(0.25, 0.25, 0.75, 0.75)
    across = _span(say("From left to right"), "region_x", (before.left, before.right))
    down = _span(say("From top to bottom"), "region_y", (before.top, before.bottom))
    return Region(across[0], down[0], across[1], down[1])


def _span(label: str, key: str, value: tuple[float, float]) -> tuple[float, float]:
    """Return two edges at least a twentieth apart."""
    preferences.keep(key, value)
    chosen: Any = st.slider(label, 0.0, 1.0, step=0.05, key=key, format="percent")
    low, high = chosen
    return (low, high) if high > low else (min(low, 0.95), min(low, 0.95) + 0.05)


def _crop(field: Field, widget: Widget, recipe: Recipe) -> Crop | None:
    """Let the person choose the square that the network sees; None is the model's own."""
    own = models.card(recipe.model).default_crop()
    now = recipe.crop or own
    for key, value in zip(("crop.x", "crop.y", "crop.size"), now, strict=True):
        preferences.keep(key, round(float(value), 3))
    size = st.slider(say(widget.label), 0.1, 1.0, step=0.005, key="crop.size")
    x = st.slider(say("Left to right"), 0.0, 1.0, step=0.01, key="crop.x")
    y = st.slider(say("Top to bottom"), 0.0, 1.0, step=0.01, key="crop.y")
    chosen = Crop(x, y, size)
    near = all(abs(a - b) < 0.0051 for a, b in zip(chosen, own, strict=True))
    return None if near else chosen


def _help(widget: Widget) -> str | None:
    return say(widget.help) if widget.help else None


KINDS: dict[str, Callable[[Field, Widget, Recipe], Any]] = {
    "whole number": _whole_number,
    "number": _number,
    "toggle": _toggle,
    "choice": _choice,
    "several": _several,
    "stop": _stop,
    "region": _region,
    "crop": _crop,
}
"""What makes a widget of each kind. Numbers: `Widget.low` to `Widget.high` by `Widget.step`."""
