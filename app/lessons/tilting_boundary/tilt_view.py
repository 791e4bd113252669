"""The boundary that tilts under the reader's hand: the whole path is in the browser, nothing is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from components.i18n.text import say
from components.live.loader import facts, loader
from experiments.tanay2018.svm_path import SVMPathFigures
from experiments.toolkit import codec

_CSS = """
.tilt { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; min-height: 560px;
  color: var(--st-text-color); font-family: var(--st-font); }
.tilt figure { margin: 0; min-width: 0; }
.tilt figcaption { font-size: .85rem; opacity: .8; margin-top: .25rem; line-height: 1.35; }
.control { grid-column: 1 / -1; display: grid; grid-template-columns: auto 1fr 7rem; gap: 1rem;
  align-items: center; }
.control input { accent-color: var(--st-primary-color); width: 100%; min-height: 2rem; }
.control output, .numbers { font-variant-numeric: tabular-nums; }
.numbers { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; }
.plane canvas, .histogram canvas { border: 1px solid var(--st-border-color); border-radius: 6px; }
.strip { grid-column: 1 / -1; display: grid; grid-template-columns: repeat(5, 1fr); gap: .5rem; }
.strip figure:not(:first-child) canvas, .plane canvas { cursor: pointer; }
.strip canvas:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.strip canvas { width: 100%; aspect-ratio: 1; image-rendering: pixelated; border-radius: 4px; }
.curves { grid-column: 1 / -1; }
.ghost { grid-column: 1 / -1; display: flex; gap: .5rem; align-items: center; }
.ghost[hidden] { display: none; }
@media (min-width: 1000px) { /* the whole of it in sight while the slider moves */
  .tilt { grid-template-columns: repeat(20, 1fr); gap: .5rem 1rem; min-height: 0; }
  .plane { grid-column: span 8; }
  .histogram { grid-column: span 12; }
  .plane canvas, .histogram canvas { height: clamp(9rem, 100vh - 39rem, 24rem); }
  .strip { grid-column: span 11; }
  .curves { grid-column: span 9; }
  .curves canvas { height: clamp(5rem, 100vh - 43rem, 14rem); }
  .numbers { grid-column: 1 / 15; }
  .ghost { grid-area: 2 / 15 / 3 / -1; justify-self: end; font-size: .85rem; }
}
@media (max-width: 640px) {
  .tilt { grid-template-columns: 1fr; }
  .control { grid-template-columns: 1fr auto; }
  .control input { grid-column: 1 / -1; grid-row: 2; }
  .strip { grid-template-columns: repeat(3, 1fr); }
}
"""
CAPTIONS = ("slider", "plane", "histogram", "curves", "ghost", "w", "x", "xm", "y", "ym")

_component = st.components.v2.component("foolscope_tilt", css=_CSS, js=loader("tilt"))


@dataclass(frozen=True)
class Picked:
    """What was just pressed: ``what`` is "point" and ``index`` its number in the plane, or ``what`` is a
    picture ("x", "xm", "y" or "ym") and ``index`` that of lambda."""

    what: str
    index: int


def tilt(
    *,
    base: str,
    figures: SVMPathFigures,
    published: Mapping[str, list[float]] | None,
    words: Mapping[str, str],
    key: str,
) -> Picked | None:
    """Show the ``figures`` of the experiment "svm_path" with a slider over lambda.

    ``published``: the article's angle (radians), d_adv and errors over the same values of lambda, for a
    ghost line that can be switched on. ``words``: those of `CAPTIONS`, the last five of which say
    what the pictures are. Returns what was just pressed, else None.
    """
    captions = {name: str(words[name]) for name in CAPTIONS} | _words()
    data = facts(base, figures=codec.dump(figures), published=published, words=captions)
    result = _component(key=key, data=data, on_picked_change=lambda: None)
    return Picked(result.picked["what"], result.picked["index"]) if result.picked else None


def _words() -> dict[str, str]:
    """Return the words that the drawings themselves hold."""
    return {
        "test_error": say("test error"),
        "train_error": say("training error"),
        "d_adv": say("adversarial distance"),
        "angle": say("angle"),
        "wrong": say("wrong side"),
        "right": say("right side"),
        "strength": say("Strength of the regularisation"),
        "plane_alt": say("The images of both digits in the plane in which the boundary tilts"),
        "histogram_alt": say("How far the images are from the boundary, under the loss"),
        "curves_alt": say("Errors, adversarial distance and angle over lambda"),
    }
