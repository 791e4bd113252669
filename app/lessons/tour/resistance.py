"""Chapter 8: how far pictures are from other classes, and whether a dog is harder to trick."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import experiments
from app import service
from app.lessons.tour import superclass_tables
from components.display import comparison_table
from components.display.probability_bars import percent
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from components.lesson.questions import RightAnswer
from components.widgets import image_picker
from components.widgets.image_picker import Subject
from engine.images.sources import UPLOAD
from engine.links import DEFAULT
from experiments.cache import Memory
from experiments.core import Result, Stage
from experiments.evans2016 import article
from experiments.evans2016.confusion import Confusion
from experiments.evans2016.imbalance import Imbalance
from experiments.evans2016.resistance import Measurement, Resistance, ResistanceFigures, table
from experiments.karpathy2015.templates import here


def render() -> None:
    """Draw the chapter."""
    with layout.page("resistance", answer) as prose:
        with layout.aside():
            playing = image_picker.pick(service.engine())
        with layout.part():
            result = _cells(playing)
        with layout.part():
            st.markdown(prose("near"))
            if result:
                superclass_tables.medians(result.figures.networks[playing.model])
                comparison_table.claims(result.claims)
        with layout.part():
            st.markdown(prose("confusion"))
            _confusion(playing)
        with layout.part():
            st.markdown(prose("imbalance"))
            _imbalance()
        layout.source(say("How to trick a neural network into thinking a panda is a vulture"), article.URL)


def answer() -> RightAnswer:
    """Return how many dogs stay dogs with the network that opens, in the result that ships."""
    dogs = experiment_panel.shipped(Confusion).figures.networks[DEFAULT.model]["dogs"]
    share = dogs.stays.value
    number = 0 if share < 0.3 else 1 if share <= 0.75 else 2
    facts = {"share": percent(share), "chance": percent(dogs.chance)}
    return RightAnswer(number, facts | {"n": str(dogs.stays.n), "size": str(dogs.size), "of": str(dogs.of)})


def _cells(playing: Subject) -> Result[ResistanceFigures] | None:
    """Show the heat map of the network on stage, from what ships or as it is computed; return the result,
    None where nothing was measured yet."""
    with st.container(horizontal=True, vertical_alignment="center"):
        title = playing.card.title
        pressed = st.button(say("Measure it here, with {network}", network=title), type="primary")
        kinds = {"distance": say("Distance (l2)"), "steps": say("Steps of .9 grey levels")}
        what = st.segmented_control(
            say("Shown"), list(kinds), format_func=kinds.__getitem__, default="distance",
            required=True, key="resistance.what", label_visibility="collapsed",
        )  # fmt: skip
    place = st.empty()
    if pressed:
        st.session_state[f"resistance.{playing}"] = _computed(playing, place, str(what))
    result: Result[ResistanceFigures] | None = st.session_state.get(f"resistance.{playing}")
    result = result or experiments.shipped(Resistance)
    table = result.figures.networks.get(playing.model) if result else None
    if not table:
        st.caption(say("Nothing was measured with this network yet: press the button."))
        return None
    superclass_tables.distances(place, table, str(what))
    words = (
        "Underlined: the family of {family}, {size} of the {of} classes of {network}. "
        "The stronger the colour, the nearer."
    )
    facts = {"family": say(table.superclass), "size": table.size, "of": table.of}
    st.caption(say(words, network=playing.card.title, **facts))
    return result


def _computed(playing: Subject, place: DeltaGenerator, what: str) -> Result[ResistanceFigures] | None:
    """Measure with the network and picture on stage, and fill the table cell by cell."""
    experiment = Resistance(
        networks=playing.model, extra=playing.image, n=6, steps=20, open=service.engine().picture
    )
    images, own = experiment.images(), playing.image.startswith(UPLOAD)

    def draw(done: Sequence[tuple[Stage, Measurement]]) -> None:
        superclass_tables.distances(place, table(playing.card, images, dict(done)), what)

    return experiment_panel.watched(experiment, draw, Memory() if own else None)


def _confusion(playing: Subject) -> None:
    """Show what share of photos stays in its superclass."""
    if here():
        words = say("Measure the families of {network}", network=playing.card.title)
        result = experiment_panel.result(Confusion, words, networks=playing.model, n=10, steps=20)
    else:
        result = experiment_panel.shipped(Confusion)
    superclass_tables.staying(result.figures.networks)
    comparison_table.claims(result.claims)


def _imbalance() -> None:
    """Show what an over-represented superclass of digits changes."""
    seed = int(st.session_state.get("imbalance_seed", 0)) + 1
    result = experiment_panel.result(Imbalance, say("Train six networks here"), n=60, many=500, seed=seed)
    st.session_state.imbalance_seed = result.seed
    superclass_tables.unbalanced(result.figures)
    comparison_table.claims(result.claims)
