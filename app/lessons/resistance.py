"""Chapter 8: how far pictures are from other classes, and whether a dog is harder to trick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.subject import wake

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.cast import Cast

LAB, ORDER = "Tour", 80


def render() -> None:
    """Draw the chapter."""
    wake()
    from app import service
    from components import cast, kinship, lesson, verdicts
    from components.text import say
    from experiments import vulture

    with lesson.page("resistance") as said:
        with lesson.aside():
            playing = cast.pick(service.engine())
        with lesson.part():
            found = _cells(playing)
        with lesson.part():
            st.markdown(said["near"])
            if found:
                kinship.medians(found["figures"]["networks"][playing.model])
                verdicts.claims(found["claims"])
        with lesson.part():
            st.markdown(said["confusion"])
            _confusion(playing)
        with lesson.part():
            st.markdown(said["imbalance"])
            _imbalance()
        lesson.source(say("How to trick a neural network into thinking a panda is a vulture"), vulture.URL)


def _cells(playing: Cast) -> dict[str, Any] | None:
    """Show the heat map of the network on stage, from what ships or as it is computed; return the result,
    None where nothing was measured yet."""
    import experiments
    from components import kinship
    from components.text import say

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
    found = st.session_state.get(f"resistance.{playing}") or experiments.shipped("resistance")
    table = found["figures"]["networks"].get(playing.model) if found else None
    if not found or not table:
        st.caption(say("Nothing was measured with this network yet: press the button."))
        return None
    kinship.distances(place, table, str(what))
    words = (
        "Underlined: the family of {family}, {size} of the {of} classes of {network}. "
        "The stronger the colour, the nearer."
    )
    facts = {"family": say(table["family"]), "size": table["size"], "of": table["of"]}
    st.caption(say(words, network=playing.card.title, **facts))
    return found


def _computed(playing: Cast, place: Any, what: str) -> dict[str, Any] | None:
    """Measure with the network and picture on stage, and fill the table cell by cell."""
    from app import service
    from components import kinship
    from components.watching import watched
    from engine.images import UPLOAD
    from experiments.resistance import Resistance, table
    from experiments.store import Memory

    experiment = Resistance(
        networks=playing.model, extra=playing.image, n=6, steps=20, open=service.engine().picture
    )
    rows, own = experiment.rows(), playing.image.startswith(UPLOAD)

    def draw(done: Mapping[str, Any]) -> None:
        kinship.distances(place, table(playing.card, rows, done), what)

    return watched(experiment, draw, Memory() if own else None)


def _confusion(playing: Cast) -> None:
    """Show what share of photos stays in its family."""
    from components import kinship, trial, verdicts
    from components.text import say
    from experiments.templates import here

    if here():
        words = say("Measure the families of {network}", network=playing.card.title)
        result = trial.result("confusion", words, networks=playing.model, n=10, steps=20)
    else:
        result = trial.shipped("confusion")
    kinship.staying(result["figures"]["networks"])
    verdicts.claims(result["claims"])


def _imbalance() -> None:
    """Show what an over-represented family of digits changes."""
    from components import kinship, trial, verdicts
    from components.text import say

    seed = int(st.session_state.get("imbalance.seed", 0)) + 1
    result = trial.result("imbalance", say("Train six networks here"), n=60, many=500, seed=seed)
    st.session_state["imbalance.seed"] = result["seed"]
    kinship.unbalanced(result["figures"])
    verdicts.claims(result["claims"])
