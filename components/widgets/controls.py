"""Widgets made from what a model and an attack say of themselves."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import streamlit as st

import attacks
import models
from attacks.settings import Setting
from components.display import attack_families
from components.i18n import preferences
from components.i18n.text import named, say
from components.widgets import class_picker
from engine.links import ANYTHING
from engine.run import Prediction
from engine.targets import RankedTarget, class_by_rank, ranked_target
from models import weights
from models.core import Card

LEVELS = (
    0,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    0.9,
    1,
    1.5,
    2,
    3,
    4,
    6,
    8,
    12,
    16,
    24,
    32,
    48,
    64,
    96,
    128,
    255,
)
UNTARGETED = -1


def model_picker(chosen: str) -> str:
    """Let the person choose a network; each says whether its weights are here. The lab's come last."""
    cards = {card.name: card for card in sorted(models.cards(), key=lambda card: card.lab)}
    preferences.keep("model", chosen)
    help = say(cards[st.session_state.model].summary) if st.session_state.model in cards else None
    title = {name: model_title(card) for name, card in cards.items()}.__getitem__
    return str(st.selectbox(say("Network"), list(cards), format_func=title, key="model", help=help))


def target_picker(card: Card, ranking: Sequence[Prediction], wanted: int | None) -> int | None:
    """Let the person choose the class to reach, or None for "anything else"."""
    key = _target_key(card)
    preferences.keep(key, UNTARGETED if wanted is None else wanted)
    titles, favourites = _targets(card, ranking)
    help = say("Type to search. The attack pushes the picture until the network says this.")
    chosen = st.selectbox(
        say("Make it say"), list(titles), key=key, help=help, on_change=_chosen,
        format_func=titles.__getitem__,
    )  # fmt: skip
    class_picker.set_apart(say("Make it say"), 1, favourites)
    quick: dict[RankedTarget, str] = {
        "second likely": say("2nd likely"),
        "least likely": say("least likely"),
        "random": say("random"),
    }
    with st.container(horizontal=True, key="quick", gap="small"):
        for target, label in quick.items() if len(ranking) > 1 else ():
            picked = (key, class_by_rank(target, ranking, random.Random()))
            name = f"quick.{target.split()[0]}"
            st.button(label, key=name, on_click=_pick, args=picked, type="tertiary")
    return None if chosen == UNTARGETED else int(chosen)


def target_picker_again(card: Card, ranking: Sequence[Prediction]) -> None:
    """Show the list of `target_picker` in a second place; what is chosen in either is chosen in both."""
    key, again = _target_key(card), f"again.{_target_key(card)}"
    st.session_state[again] = st.session_state[key]
    titles, _ = _targets(card, ranking)
    st.selectbox(
        say("Make it say"), list(titles), key=again, on_change=_copy, args=(again, key),
        format_func=titles.__getitem__,
    )  # fmt: skip


def _target_key(card: Card) -> str:
    return f"target.{card.name}"


def _targets(card: Card, ranking: Sequence[Prediction]) -> tuple[dict[int, str], int]:
    """Return what stands in the list of targets by class, and how many favourites come first."""
    anything = say("anything but {label}", label=named(ranking[0].label))
    titles, favourites = class_picker.titled(card.labels, ranking[0].label)
    index = {label: i for i, label in enumerate(card.labels)}
    return {UNTARGETED: anything} | {index[label]: title for label, title in titles.items()}, favourites


def attack_picker(chosen: str) -> str:
    """Let the person choose an attack."""
    cards = {name: kind.card for name, kind in attacks.registry().items()}
    preferences.keep("attack", chosen)
    current = cards[st.session_state.attack] if st.session_state.attack in cards else cards[chosen]
    picked = st.selectbox(
        say("Attack"),
        attack_families.ordered(cards),
        format_func=attack_families.title,
        key="attack",
        help=say(current.summary),
    )
    return str(picked)


def settings(attack: str, params: dict[str, Any], main: bool) -> dict[str, Any]:
    """Show the attack's ``main`` fields, or its others, and return their values by name.

    A field whose range goes by the norm is another control under another norm, at its own default.
    """
    kind = attacks.get(attack)
    own = {setting.name: setting.default for setting in kind.settings()}
    before = params.get("norm", own.get("norm", ""))
    norm = str(st.session_state.get(f"{attack}.norm", before))
    values: dict[str, Any] = {}
    for setting in kind.settings(norm):
        if setting.main is main:
            value = params.get(setting.name) if norm == before or not setting.by else None
            values[setting.name] = _widget(
                setting, f"{attack}.{f'{norm}.' if setting.by else ''}{setting.name}", value
            )
    return values


def default_target(
    card: Card, ranking: Sequence[Prediction], wanted: str | None, seed: int = 0
) -> int | None:
    """Return the class that ``wanted`` means, by its label or by its rank (``seed`` draws the random one), if
    there is one, else a startling one that is not the current."""
    if wanted == ANYTHING:
        return None
    if target := ranked_target(wanted or ""):
        return class_by_rank(target, ranking, random.Random(seed))
    for label in [wanted, "vulture", "pizza", "flamingo", "3"]:
        if label in card.labels and card.labels.index(label) != ranking[0].index:
            return card.labels.index(label)
    return ranking[1].index if len(ranking) > 1 else None


def _widget(setting: Setting, key: str, value: Any) -> Any:
    value = setting.default if value is None else value
    preferences.keep(key, value)
    words = say(setting.label)
    label = words[:1].upper() + words[1:]
    help = f"{say(setting.help)} ({setting.name})"
    if setting.choices:
        return st.selectbox(label, list(setting.choices), format_func=say, key=key, help=help)
    if setting.type == "bool":
        return st.toggle(label, key=key, help=help)
    if setting.unit == "level":
        high = setting.soft_high or setting.high or 1
        options = sorted(
            {k / 255 for k in LEVELS if (setting.low or 0) <= k / 255 <= high} | {float(value), _held(key)}
        )
        return st.select_slider(label, options, format_func=_level, key=key, help=help)
    return _number(setting, label, help, key)


def _number(setting: Setting, label: str, help: str, key: str) -> Any:
    kind = int if setting.type == "int" else float
    low, soft = kind(setting.low or 0), kind(setting.soft_high or setting.high or 1)
    high = max(soft, kind(st.session_state[key]))
    step = kind(setting.step or (1 if kind is int else (soft - low) / 100))
    st.session_state[key] = kind(st.session_state[key])
    return st.slider(label, low, high, step=step, key=key, help=help)


def _held(key: str) -> float:
    return float(st.session_state[key])


def _level(value: float) -> str:
    percent = f"{100 * value:.2g}" if value < 0.1 else f"{100 * value:.3g}"
    return f"{value * 255:.4g}/255 · {percent} %"


def model_title(card: Card) -> str:
    """Return the network's title, and what is missing where its weights are not here."""
    if card.offline or weights.locate(card):
        return card.title
    if not card.weights.url:
        return f"{card.title} · {say('needs its file')}"
    size = say("{size} MB to fetch", size=f"{card.weights.bytes / 1e6:.0f}") if card.weights.bytes else ""
    return f"{card.title} · {size}" if size else card.title


def _pick(key: str, index: int) -> None:
    st.session_state[key] = index
    _chosen()


def _copy(key: str, onto: str) -> None:
    _pick(onto, st.session_state[key])


def _chosen() -> None:
    st.session_state.target_chosen = True
