"""A run as the page of one's own runs shows it, and where its links lead."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st
from babel.dates import format_date, format_time
from markupsafe import Markup

import models
from components.display.attack_families import called
from components.display.html_table import joined
from components.i18n import preferences
from components.i18n.text import named, say, translated
from components.lesson.layout import address
from components.widgets.image_picker import picture_title
from engine.history.records import RunRecord
from engine.recipe import Recipe
from errors import FoolscopeError

Order = Callable[[], None]
"""What a press of a button asks for; raises `errors.FoolscopeError`."""


def card(record: RunRecord) -> Markup:
    """Return a run's pictures and words; a press opens it in the playground, where that is possible."""
    pictures = joined([_picture(data) for data in (record.before, record.after)])
    lines = [Markup("<strong>{}</strong>").format(_title(record))]
    lines += [Markup("<span>{}</span>").format(_change(record))] if record.name else []
    lines += [
        Markup("<span>{}</span>").format(_standing(record)),
        Markup("<small>{}</small>").format(_facts(record)),
    ]
    inside = Markup('<span class="pair">{}</span><span class="words">{}</span>').format(
        pictures, joined(lines)
    )
    href = opened(record)
    if not href:
        return Markup('<div class="own-run">{}</div>').format(inside)
    return Markup('<a class="own-run" href="{}" target="_self">{}</a>').format(href, inside)


def opened(record: RunRecord) -> str:
    """Return the address that opens a run in the playground, "" where it cannot be shown again."""
    return _address(record.recipe, run=record.id) if record.opens else ""


def again(record: RunRecord) -> str:
    """Return the address of the playground with a run's settings, "" where they no longer mean anything."""
    return _address(record.recipe)


def comparison(runs: Sequence[str], mode: str) -> str:
    """Return the address that opens runs side by side."""
    return f"./compare?{urlencode(preferences.query() | {'mode': mode, 'runs': ','.join(runs)})}"


def link(href: str, words: str) -> Markup:
    """Return a link that looks like a button."""
    return Markup('<a class="link-button" href="{}" target="_self">{}</a>').format(href, words)


def _address(recipe: Recipe, **more: str) -> str:
    try:
        return address(recipe, **(preferences.query() | more))
    except FoolscopeError:  # a model or an attack that this version no longer has
        return ""


def _picture(data: bytes | None) -> Markup:
    if data is None:
        return Markup('<span class="none"></span>')
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    text = base64.b64encode(data).decode()
    return Markup('<img class="{0}" src="data:image/{0};base64,{1}" alt="">').format(kind, text)


def _title(record: RunRecord) -> str:
    return record.name or _change(record)


def _change(record: RunRecord) -> Markup:
    """Return what the network said first and last."""
    first = named(record.first_label)
    if record.last_label is None or record.probability is None:
        return Markup("{}").format(first)
    last = f"{named(record.last_label)} {_share(record.probability)}"
    marked = (
        Markup('<em class="fooled">{}</em>').format(last) if record.success else Markup("{}").format(last)
    )
    return Markup("{} → {}").format(first, marked)


def _share(probability: float) -> str:
    """Return a probability in [0, 1] in per cent; what is not certain is not called so."""
    percent = f"{100 * probability:.0f}"
    return "> 99 %" if percent == "100" else f"{percent} %"


def _standing(record: RunRecord) -> str:
    template, facts = record.standing
    return say(template, **translated(facts))


def _facts(record: RunRecord) -> str:
    """Return picture, network, attack, target, steps and date in one line."""
    recipe = record.recipe
    target = say("any other class")
    try:
        network, attack = models.card(recipe.model).title, called(recipe.attack)
        if recipe.target is not None:
            target = named(models.card(recipe.model).labels[recipe.target])
    except (FoolscopeError, IndexError):  # they are no longer here, or are others now
        network, attack = recipe.model, recipe.attack
    steps = say("1 step") if record.steps == 1 else say("{count} steps", count=record.steps)
    facts = [
        picture_title(recipe.image),
        network,
        attack,
        say("target: {target}", target=target),
        steps,
        _date(record),
    ]
    return " · ".join(facts)


def _date(record: RunRecord) -> str:
    """Return when a run was started, by the reader's clock and in the reader's manner."""
    try:
        zone: tzinfo = ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        zone = UTC
    when, locale = datetime.fromtimestamp(record.started, zone), preferences.language()
    return f"{format_date(when, 'medium', locale=locale)} {format_time(when, 'short', locale=locale)}"
