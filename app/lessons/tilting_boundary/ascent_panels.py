"""Digits on their way to the next one under several networks, computed while the reader looks ("lenet")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from components.display import charts
from components.display.image_grid import Tile, tiles
from components.i18n.text import say
from components.lesson import slides
from experiments.tanay2018 import lenet
from experiments.tanay2018.lenet import OnTheWay

AT_ONCE = 50
"""Steps between two drawings: a fifth of a second's work or so for ten digits and two small networks."""
PAUSE = 0.1

Shown = Mapping[str, list[dict[str, Any]]]
"""By the network's name in words, what `experiments.tanay2018.lenet.describe` says of ten digits."""


def race(result: Mapping[str, Any], names: Mapping[str, str], words: str, chosen: str, key: str) -> None:
    """Show where the changes of a ``result`` ended, and a button ``words`` that begins them again, step by
    step. ``names``: what each network is called; ``chosen``: the words with which the reader chooses a digit.

    The browser asks for each stretch of the way, so nothing is computed for a reader who left.
    """
    kept, of = f"{key}.going", (result["seed"], result["seconds"])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        icon, shortcut = ":material/play_arrow:", slides.enter()
        if st.button(words, type="primary", key=f"{key}.press", icon=icon, shortcut=shortcut):
            st.session_state[kept] = (of, lenet.again(result["figures"]))
        digit = st.select_slider(chosen, list(range(10)), key=f"{key}.digit")
    before, going = st.session_state.get(kept, (of, {}))
    if going and before == of:
        _follow({names[name]: each for name, each in going.items()}, digit, key)
    else:
        ended = result["figures"]["networks"].items()
        stand({names[name]: each["changes"]["shown"] for name, each in ended}, digit, key)


def _follow(going: Mapping[str, OnTheWay], digit: int, key: str) -> None:
    """Go on, draw, and so forth until all are over, the rest of the page staying as it is."""
    moving = any(not each.way.over for each in going.values())

    def stretch() -> None:
        for each in going.values():
            each.way.go_on(AT_ONCE)
        stand({name: each.shown() for name, each in going.items()}, digit, key)
        if moving and all(each.way.over for each in going.values()):
            st.rerun()

    st.fragment(stretch, run_every=PAUSE if moving else None)()


def stand(shown: Shown, digit: int, key: str) -> None:
    """Draw the networks side by side: where their digits stand, and how sure they are of the next ones, the
    curve of one ``digit`` standing out."""
    for side, (name, each) in zip(st.columns(len(shown), gap="large"), shown.items(), strict=True):
        facts = {"there": sum(one["score"] >= lenet.SCORE for one in each), "count": len(each)}
        facts["mean"] = f"{sum(one['length'] for one in each) / len(each):.2f}"
        with side:
            st.markdown(f"**{name}**: {say('{there} of {count} are there, mean length {mean}', **facts)}")
            tiles([[_tile(one) for one in each[start : start + 5]] for start in range(0, len(each), 5)])
    _curves(shown, digit, key)


def _tile(one: Mapping[str, Any]) -> Tile:
    words = say("The {digit}, changed into a {target}", digit=one["digit"], target=one["target"])
    return Tile(one["changed"], words, f"{one['length']:.2f}")


def _curves(shown: Shown, digit: int, key: str) -> None:
    """Draw how sure each network is of each digit's target, by step."""
    many = [_line("", one, colour, True) for colour, each in enumerate(shown.values()) for one in each]
    few = [_line(name, each[digit], colour, False) for colour, (name, each) in enumerate(shown.items())]
    pair = {"digit": digit, "target": (digit + 1) % 10}
    alt = say("Probability of {target} on the way from a {digit}, for both networks.", **pair)
    drawn: Sequence[charts.Series] = [*many, *few]
    where = f"{key}.curve"
    x, y = say("steps"), say("probability")
    charts.lines(drawn, x, y, alt=alt, key=where, percent=True, span=(-0.02, 1.0), height=250, room=110)


def _line(name: str, one: Mapping[str, Any], colour: int, faint: bool) -> charts.Series:
    steps, _, target = zip(*one["curve"], strict=True)
    return charts.Series(name, steps, target, colour=colour, faint=faint)
