"""Digits changed into the next one under several models, computed while the reader looks ("lenet")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app import service
from components.display import charts
from components.display.image_grid import Tile, tiles
from components.i18n.text import say
from components.lesson import slides
from experiments.core import Result
from experiments.tanay2018 import lenet
from experiments.tanay2018.lenet import ChangedDigit, DigitAscents, LeNetFigures

AT_ONCE = 50
"""Steps between two drawings: a fifth of a second's work or so for ten digits and two small models."""
PAUSE = 0.1

Shown = Mapping[str, Sequence[ChangedDigit]]
"""Ten digits by the model's name in words."""


def race(result: Result[LeNetFigures], names: Mapping[str, str], words: str, choose: str, key: str) -> None:
    """Show where the changes of a ``result`` ended, and a button ``words`` that begins them again, step by
    step. ``names``: what each model is called; ``choose``: the words with which the reader chooses a digit.

    The browser asks for each stretch of steps, so nothing is computed for a reader who left.
    """
    stored, identity = f"{key}.going", (result.seed, result.seconds)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        icon, shortcut = ":material/play_arrow:", slides.enter()
        if st.button(words, type="primary", key=f"{key}.press", icon=icon, shortcut=shortcut):
            st.session_state[stored] = (identity, Going(DigitAscents.of(result.figures, AT_ONCE)))
        digit = st.select_slider(choose, list(range(10)), key=f"{key}.digit")
    before, going = st.session_state.get(stored, (identity, None))
    if going is not None and before == identity:
        _follow(going, names, digit, key)
    else:
        models = result.figures.networks.items()
        stand({names[name]: model.changes.shown for name, model in models}, digit, key)


class Going:
    """Ascents that an engine carries out as far as they are asked for; ``shown``: the digits as they are, by
    the model's name; ``over``: whether all are finished."""

    def __init__(self, work: DigitAscents) -> None:
        """Begin, with the digits as they were."""
        self._coming = service.engine().carry_out(work)
        self.shown, self.over = next(self._coming), False

    def advance(self) -> None:
        """Take a stretch of steps, none where all are finished."""
        shown = next(self._coming, None)
        self.shown, self.over = shown or self.shown, shown is None


def _follow(going: Going, names: Mapping[str, str], digit: int, key: str) -> None:
    """Take steps, draw, and so forth until all are finished, the rest of the page staying as it is."""
    moving = not going.over

    def stretch() -> None:
        going.advance()
        stand({names[name]: digits for name, digits in going.shown.items()}, digit, key)
        if moving and going.over:
            st.rerun()

    st.fragment(stretch, run_every=PAUSE if moving else None)()


def stand(shown: Shown, digit: int, key: str) -> None:
    """Draw the models side by side: where their digits stand, and how sure they are of the next ones, the
    curve of one ``digit`` standing out."""
    for side, (name, digits) in zip(st.columns(len(shown), gap="large"), shown.items(), strict=True):
        there, mean = sum(one.score >= lenet.SCORE for one in digits), sum(one.length for one in digits)
        facts = {"there": there, "count": len(digits), "mean": f"{mean / len(digits):.2f}"}
        with side:
            st.markdown(f"**{name}**: {say('{there} of {count} are there, mean length {mean}', **facts)}")
            tiles([[_tile(one) for one in digits[start : start + 5]] for start in range(0, len(digits), 5)])
    _curves(shown, digit, key)


def _tile(one: ChangedDigit) -> Tile:
    words = say("The {digit}, changed into a {target}", digit=one.digit, target=one.target)
    return Tile(one.changed, words, f"{one.length:.2f}")


def _curves(shown: Shown, digit: int, key: str) -> None:
    """Draw how sure each model is of each digit's target, by step."""
    many = [_line("", one, colour, True) for colour, digits in enumerate(shown.values()) for one in digits]
    few = [_line(name, digits[digit], colour, False) for colour, (name, digits) in enumerate(shown.items())]
    pair = {"digit": digit, "target": (digit + 1) % 10}
    alt = say("Probability of {target} on the way from a {digit}, for both networks.", **pair)
    x, y = say("steps"), say("probability")
    charts.lines(
        [*many, *few],
        x,
        y,
        alt=alt,
        key=f"{key}.curve",
        percent=True,
        span=(-0.02, 1.0),
        height=250,
        room=110,
    )


def _line(name: str, one: ChangedDigit, colour: int, faint: bool) -> charts.Series:
    steps = [step for step, _, _ in one.curve]
    target = [probability for _, _, probability in one.curve]
    return charts.Series(name, steps, target, colour=colour, faint=faint)
