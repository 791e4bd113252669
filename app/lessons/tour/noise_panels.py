"""What chapter 9 shows: an attack beside chance of its own size, what survives handling, whom it fools."""

from __future__ import annotations

import html
from typing import NamedTuple

import streamlit as st

import experiments
import models
from components.display import comparison_table
from components.display.answer_cells import answer, table
from components.display.probability_bars import percent
from components.i18n.text import say, told
from components.lesson import experiment_panel
from components.widgets.image_picker import Subject, picture_title
from engine.base import EngineBase
from engine.images.sources import UPLOAD
from errors import FoolscopeError
from experiments.cache import Memory
from experiments.core import Progress, Result
from experiments.evans2016.survival import (
    Answer,
    Ask,
    Attack,
    Chance,
    Draw,
    Size,
    Survival,
    SurvivalFigures,
    SurvivalStage,
)
from experiments.methods.corruptions import CORRUPTIONS
from experiments.work import usual_store

LEVELS = (1, 2, 4, 8)
KINDS = {
    "clean": "the picture",
    "attack": "the attack",
    "noise": "noise of the same length",
    "coin": "the same change, signs by a coin",
}
DRAWS = {"noise": "throwing dice", "coin": "tossing coins"}


class Chosen(NamedTuple):
    """Which network is attacked, on which picture, and how far any value may move, on the scale of [0, 1]."""

    network: str
    picture: str
    epsilon: float


def strength() -> float:
    """Let the reader choose how far any value may move; return it on the scale of [0, 1]."""
    words = say("No value may move by more than so many grey levels")
    levels = st.select_slider(words, LEVELS, 4, key="survival.levels", width=360)
    return int(levels) / 255


def result(engine: EngineBase, playing: Subject, epsilon: float) -> Result[SurvivalFigures] | None:
    """Show the button that attacks the picture, and where what is shown is from; return that, or None."""
    chosen, key = Chosen(playing.model, playing.image, epsilon), "survival.result"
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(say("Attack it, and throw dice"), type="primary", key="survival.press")
        place = st.empty()
    if pressed:
        with place:
            computed = _computed(engine, chosen)
        st.session_state[key] = computed or st.session_state.get(key)
    shown: Result[SurvivalFigures] | None = st.session_state.get(key) or experiments.shipped(Survival)
    place.caption(_origin(shown, chosen) if shown else "")
    return shown


def _computed(engine: EngineBase, chosen: Chosen) -> Result[SurvivalFigures] | None:
    try:
        experiment = Survival(
            network=chosen.network, picture=chosen.picture, epsilon=chosen.epsilon, open=engine.picture
        )
    except FoolscopeError as error:
        st.error(told(error))
        return None
    stages = {stage.name: stage for stage in experiment.stages()}

    def words(at: Progress) -> str:  # replicas may have networks, and so stages, that are not here
        stage = _words(stages[at.stage]) if at.stage in stages else at.stage
        return f"{at.done} / {at.total} {stage}"

    own = chosen.picture.startswith(UPLOAD)
    return experiment_panel.carried_out(experiment, Memory() if own else usual_store(), words)


def _words(stage: SurvivalStage) -> str:
    """Return what is done in a stage, for beside the bar."""
    if isinstance(stage, Ask):
        return f"{say('asking other networks')} {models.card(stage.network).title}"
    if isinstance(stage, Draw):
        return f"{say(DRAWS[stage.kind])} "
    return f"{say('the attack') if isinstance(stage, Attack) else say('rough handling')} "


def _origin(shown: Result[SurvivalFigures], chosen: Chosen) -> str:
    """Return what is shown, and, when that is not what was chosen, that the button brings it."""
    settings = shown.settings
    of = Chosen(str(settings["network"]), str(settings["picture"]), float(settings["epsilon"]))
    words = {"network": models.card(of.network).title, "picture": picture_title(of.picture)}
    origin = say(
        "Shown: {network}, {picture}, at most {levels} grey levels, {seconds} s of work.",
        levels=f"{255 * of.epsilon:.3g}", seconds=f"{shown.seconds:.0f}", **words,
    )  # fmt: skip
    return origin if of == chosen else f"{origin} {say('Press to do it with your choice.')}"


def side_by_side(figures: SurvivalFigures) -> None:
    """Show the picture, the attack and chance: each picture, its change enlarged, and what it is called."""
    chances = {"noise": figures.noise, "coin": figures.coin}
    firsts = {"clean": figures.clean, "attack": figures.attack}
    firsts |= {kind: chance.first for kind, chance in chances.items()}
    columns = (_column(figures, kind, firsts[kind], chances.get(kind)) for kind in KINDS)
    st.html(f'<div class="four">{"".join(columns)}</div>')


def _column(figures: SurvivalFigures, kind: str, first: Answer, chance: Chance | None) -> str:
    name = say(KINDS[kind])
    picture = _img(figures.pictures[kind], name)
    beside = say("beside: the changes, {gain} times enlarged", gain=figures.gain)
    change = f'<div class="blank">{html.escape(beside)}</div>'
    if kind in figures.changes:
        change = _img(figures.changes[kind], say("{name}: the change, enlarged, on grey", name=name))
    lines = [f"<strong>{html.escape(name)}</strong>", _answer(first, kind != "clean")]
    if chance:
        words = say("fools {fooled} of {n} times", fooled=chance.fooled, n=chance.n)
        lines.append(html.escape(words))
    if kind in figures.sizes:
        lines.append(_size(figures.sizes[kind]))
    return f"<figure>{picture}{change}<figcaption>{'<br>'.join(lines)}</figcaption></figure>"


def _img(data: str, alt: str) -> str:
    return f'<img src="data:image/jpeg;base64,{data}" alt="{html.escape(alt)}">'


def _size(size: Size) -> str:
    words = say("length {l2}, largest {linf} levels", l2=f"{size.l2:.2f}", linf=f"{255 * size.linf:.1f}")
    return f"<small>{html.escape(words)}</small>"


def _answer(given: Answer, judged: bool = True) -> str:
    return answer(given.label, given.probability, given.fooled if judged else None)


def corruptions(figures: SurvivalFigures) -> None:
    """Show what the network says of the clean and of the attacked picture after each corruption."""
    head = [
        say("Afterwards"),
        say("the picture"),
        say("the attacked picture"),
        say("what the original keeps"),
    ]
    rows = [[say("as computed"), _answer(figures.clean, False), _answer(figures.attack)]]
    attacked = [figures.attack]
    for name in CORRUPTIONS:
        both = figures.corruptions[name]
        rows.append([say(name), _answer(both.clean), _answer(both.attack)])
        attacked.append(both.attack)
    original = [percent(after.original) for after in attacked]
    table(head, [[*row, share] for row, share in zip(rows, original, strict=True)], "handling")


def transfer(figures: SurvivalFigures) -> None:
    """Show what the other networks say; each of its own answers."""
    if not figures.transfer:
        st.info(say("No other network is on this server: put weights into its folder, and it is asked too."))
        return
    head = [say("Network"), say("the picture"), say("the attacked picture"), say("fooled by noise")]
    rows = []
    for name, asked in figures.transfer.items():
        title = html.escape(models.card(name).title)
        title += f"<br><small>{html.escape(say('the same weights'))}</small>" if asked.same else ""
        noise = say("{count} of {n}", count=asked.noise, n=asked.drawn)
        rows.append([title, _answer(asked.clean, False), _answer(asked.attack), noise])
    table(head, rows, "transfer")


def claims(shown: Result[SurvivalFigures]) -> None:
    """Show what people ask, with a tick or a cross."""
    comparison_table.claims({say(claim): holds for claim, holds in shown.claims.items()})
