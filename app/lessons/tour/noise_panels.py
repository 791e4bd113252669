"""What chapter 9 shows: an attack beside chance of its own size, what survives handling, whom it fools."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import streamlit as st

import experiments
import models
from components.display import comparison_table
from components.display.answer_cells import answer, table
from components.display.probability_bars import percent
from components.i18n.text import say, told
from components.widgets.image_picker import Cast, picture_title
from engine.engine import Engine
from engine.images.sources import UPLOAD
from errors import FoolscopeError
from experiments.cache import Memory, Store, cache
from experiments.core import Progress, walk
from experiments.evans2016.survival import Survival
from experiments.methods.corruptions import HANDLINGS

LEVELS = (1, 2, 4, 8)
KINDS = {
    "clean": "the picture",
    "attack": "the attack",
    "noise": "noise of the same length",
    "coin": "the same change, signs by a coin",
}
PIECES = {
    "attack": "the attack",
    "noise": "throwing dice",
    "coin": "tossing coins",
    "handling": "rough handling",
    "transfer": "asking other networks",
}
Result = Mapping[str, Any]


def strength() -> float:
    """Let the reader choose how far any value may move; return it on the scale of [0, 1]."""
    words = say("No value may move by more than so many grey levels")
    chosen = st.select_slider(words, LEVELS, 4, key="survival.levels", width=360)
    return int(chosen) / 255


def result(engine: Engine, playing: Cast, epsilon: float) -> Result | None:
    """Show the button that attacks the picture, and where what is shown is from; return that, or None."""
    settings = {"network": playing.model, "picture": playing.image, "epsilon": epsilon}
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(say("Attack it, and throw dice"), type="primary", key="survival.press")
        place = st.empty()
    if pressed:
        with place:
            found = _computed(engine, settings)
        st.session_state["survival.found"] = found or st.session_state.get("survival.found")
    shown: Result | None = st.session_state.get("survival.found") or experiments.shipped("survival")
    place.caption(_origin(shown, settings) if shown else "")
    return shown


def _computed(engine: Engine, settings: dict[str, Any]) -> dict[str, Any] | None:
    own = settings["picture"].startswith(UPLOAD)
    try:
        bar = st.progress(0.0, say("Starting…"))
        experiment = Survival(**settings, open=engine.picture)
        for each in walk(experiment, Memory() if own else Store(cache())):
            if not isinstance(each, Progress):
                return each
            what, _, name = each.piece.partition(" ")
            who = models.card(name).title if what == "transfer" else ""
            text = f"{say(PIECES[what])} {who}" if what else ""
            bar.progress(each.done / each.total, f"{each.done} / {each.total} {text}")
    except FoolscopeError as error:
        st.error(told(error))
    return None


def _origin(shown: Result, settings: Mapping[str, Any]) -> str:
    """Return who is shown, and, when that is not who plays, that the button brings them."""
    of = shown["settings"]
    words = {"network": models.card(of["network"]).title, "picture": picture_title(of["picture"])}
    told = say(
        "Shown: {network}, {picture}, at most {levels} grey levels, {seconds} s of work.",
        levels=f"{255 * of['epsilon']:.3g}", seconds=f"{shown['seconds']:.0f}", **words,
    )  # fmt: skip
    same = all(of[name] == value for name, value in settings.items())
    return told if same else f"{told} {say('Press to do it with your choice.')}"


def side_by_side(found: Result) -> None:
    """Show the picture, the attack and chance: each picture, its change enlarged, and what it is called."""
    cells = "".join(_column(found, kind) for kind in KINDS)
    st.html(f'<div class="four">{cells}</div>')


def _column(found: Result, kind: str) -> str:
    name = say(KINDS[kind])
    said = found[kind].get("first", found[kind])
    shown = _img(found["pictures"][kind], name)
    told = say("beside: the changes, {gain} times enlarged", gain=found["gain"])
    change = f'<div class="blank">{html.escape(told)}</div>'
    if kind in found["changes"]:
        change = _img(found["changes"][kind], say("{name}: the change, enlarged, on grey", name=name))
    lines = [f"<strong>{html.escape(name)}</strong>", _answer(said, kind != "clean")]
    if "n" in found[kind]:
        lines.append(html.escape(say("fools {fooled} of {n} times", **found[kind])))
    if kind in found["sizes"]:
        lines.append(_size(found["sizes"][kind]))
    return f"<figure>{shown}{change}<figcaption>{'<br>'.join(lines)}</figcaption></figure>"


def _img(data: str, alt: str) -> str:
    return f'<img src="data:image/jpeg;base64,{data}" alt="{html.escape(alt)}">'


def _size(size: Mapping[str, float]) -> str:
    words = say(
        "length {l2}, largest {linf} levels", l2=f"{size['l2']:.2f}", linf=f"{255 * size['linf']:.1f}"
    )
    return f"<small>{html.escape(words)}</small>"


def _answer(said: Mapping[str, Any], judged: bool = True) -> str:
    return answer(said["label"], said["probability"], said["fooled"] if judged else None)


def handling(found: Result) -> None:
    """Show what the network says of the clean and of the attacked picture after each way of handling."""
    head = [
        say("Afterwards"),
        say("the picture"),
        say("the attacked picture"),
        say("what the original keeps"),
    ]
    rows = [[say("as computed"), _answer(found["clean"], False), _answer(found["attack"])]]
    for how in HANDLINGS:
        each = found["handling"][how]
        rows.append([say(how), _answer(each["clean"]), _answer(each["attack"])])
    kept = [found["attack"], *(found["handling"][how]["attack"] for how in HANDLINGS)]
    table(head, [[*row, percent(each["original"])] for row, each in zip(rows, kept, strict=True)], "handling")


def transfer(found: Result) -> None:
    """Show what the other networks say; each of its own answers."""
    if not found["transfer"]:
        st.info(say("No other network is on this server: put weights into its folder, and it is asked too."))
        return
    head = [say("Network"), say("the picture"), say("the attacked picture"), say("fooled by noise")]
    rows = []
    for name, each in found["transfer"].items():
        title = html.escape(models.card(name).title)
        title += f"<br><small>{html.escape(say('the same weights'))}</small>" if each["same"] else ""
        noise = say("{count} of {n}", count=each["noise"], n=each["drawn"])
        rows.append([title, _answer(each["clean"], False), _answer(each["attack"]), noise])
    table(head, rows, "transfer")


def claims(shown: Result) -> None:
    """Show what people ask, with a tick or a cross."""
    comparison_table.claims({say(claim): holds for claim, holds in shown["claims"].items()})
