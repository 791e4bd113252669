"""Every digit into every other, and the reader's own."""

from __future__ import annotations

import streamlit as st

from app import service
from app.lessons.blind_spots.drawing_field import drawing
from components.display import comparison_table
from components.display.image_grid import Tile, tiles
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from engine.recipe import Recipe
from engine.work import only_answer
from experiments.core import Result
from experiments.datasets.digit_sets import digit_name, source_of
from experiments.szegedy2013.grid import DIGIT_NETWORKS, Cell, Grid, GridFigures, ToEveryClass
from models import card


def render() -> None:
    """Draw the lesson."""
    with layout.page("any_digit") as prose:
        with layout.part():
            _own(prose("draw"))
        with layout.part():
            st.markdown(prose("grid"))
            seed = st.session_state.get("any_digit_seed", 0)
            result = experiment_panel.result(Grid, say("Other digits"), seed=seed + 1)
            st.session_state.any_digit_seed = result.seed
            tiles(_grid(result))
        with layout.part():
            comparison_table.claims(result.claims)
            layout.source(say("Szegedy et al. 2013, section 4"), "https://arxiv.org/abs/1312.6199")


def _own(hint: str) -> None:
    """Let the reader draw a digit, and take it to every class."""
    left, right = st.columns([1, 2], gap="large", vertical_alignment="top")
    with left:
        drawn = drawing(say("A black field: draw a white digit in it"), key="drawing")
        nets, first = DIGIT_NETWORKS, DIGIT_NETWORKS.index("fc100")
        model = st.selectbox(say("Network"), nets, first, lambda m: card(m).title, key="any_digit.model")
    if drawn:
        st.session_state.any_digit_drawn = service.engine().uploads.add(drawn, "drawing.png")
    token = st.session_state.get("any_digit_drawn", "seven")
    with right:
        st.markdown(hint)
        read, rows = _tiles(token, model)
        st.markdown(say("**The network reads {read}.** Taken to each of the ten classes:", read=read))
        tiles(rows)
        st.caption(say("Under each: the size of the change. Press one to watch it happen in the playground."))


def _tiles(token: str, model: str) -> tuple[str, list[list[Tile]]]:
    """Return what the network reads, and the picture taken to each class: two rows of five."""
    read, cells = _turned(token, model)
    shown = []
    for target, cell in enumerate(cells):
        alt = say("The drawing, changed until the network reads {target}", target=target)
        own, caption = cell.distortion == 0, f"{target}: {cell.distortion:.2g}"
        href = "" if own else layout.playground_url(model, token, target)
        shown.append(Tile(cell.picture, alt, caption, href, own))
    return read, [shown[:5], shown[5:]]


def _turned(token: str, model: str) -> tuple[str, list[Cell]]:
    """Return what ``model`` reads in the picture and the ten attacks on it; computed once for each two."""
    key, engine = f"any_digit.turned.{token}.{model}", service.engine()
    if key not in st.session_state:
        seen = engine.classify(model, token)[0]
        x = engine.preprocess(Recipe(model, token, "lbfgs"))
        cells = only_answer(engine, ToEveryClass(model, x))
        st.session_state[key] = f"{seen.label} ({seen.probability:.0%})", cells
    turned: tuple[str, list[Cell]] = st.session_state[key]
    return turned


def _grid(result: Result[GridFigures]) -> list[list[Tile | str]]:
    """Return the grid with a head of the targets; a tile opens its digit, taken to its target."""
    model, source = str(result.settings["model"]), source_of(result.data)
    rows: list[list[Tile | str]] = [["", *map(str, range(10))]]
    for digit, line in enumerate(result.figures.rows):
        image, tiles = digit_name(source, "test", line.index), []
        for target, cell in enumerate(line.cells):
            size = f"{cell.distortion:.2g}"
            alt = say(
                "A {digit} that is read as {target}, changed by {size}", digit=digit, target=target, size=size
            )
            href = "" if target == digit else layout.playground_url(model, image, target)
            caption = size if cell.distortion else say("unchanged")
            tiles.append(Tile(cell.picture, alt, caption, href, target == digit))
        rows.append([str(digit), *tiles])
    return rows
