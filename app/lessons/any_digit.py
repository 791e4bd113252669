"""Every digit into every other, and the reader's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.subject import wake

if TYPE_CHECKING:
    from components.tiles import Tile

LAB, ORDER = "Blind spots", 110


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, trial, verdicts
    from components.tiles import tiles

    with lesson.page("any_digit") as said:
        _own(said["draw"])
        st.subheader("The whole grid", anchor=False)
        st.markdown(said["grid"])
        seed = st.session_state.get("any_digit.seed", 0)
        result = trial.result("grid", "Other digits", seed=seed + 1)
        st.session_state["any_digit.seed"] = result["seed"]
        tiles(_grid(result))
        verdicts.claims(result["claims"])
        lesson.source("Szegedy et al. 2013, section 4", "https://arxiv.org/abs/1312.6199")


def _own(hint: str) -> None:
    """Let the reader draw a digit, and take it to every class."""
    from app import service
    from components.drawing import drawing
    from components.tiles import tiles
    from experiments.grid import DIGIT_NETWORKS
    from models import card

    left, right = st.columns([1, 2], gap="large", vertical_alignment="top")
    with left:
        drawn = drawing("A black field: draw a white digit in it", key="drawing")
        first = DIGIT_NETWORKS.index("fc100")
        model = st.selectbox("Network", DIGIT_NETWORKS, first, lambda m: card(m).title, key="any_digit.model")
    if drawn:
        st.session_state["any_digit.drawn"] = service.engine().uploads.add(drawn, "drawing.png")
    token = st.session_state.get("any_digit.drawn", "seven")
    with right:
        st.markdown(hint)
        seen, rows = _turned(token, model)
        st.markdown(f"**The network reads {seen}.** Taken to each of the ten classes:")
        tiles(rows)
        st.caption("Under each: the size of the change. Press one to watch it happen in the playground.")


def _turned(token: str, model: str) -> tuple[str, list[list[Tile]]]:
    from app import service
    from components import lesson
    from components.tiles import Tile
    from engine.recipe import Recipe
    from experiments.grid import row

    engine = service.engine()
    seen = engine.classify(model, token)[0]
    made = []
    for target, cell in enumerate(row(model, engine.see(Recipe(model, token, "lbfgs"))[None])):
        alt = f"The drawing, changed until the network reads {target}"
        caption, href = f"{target}: {cell['distortion']:.2g}", lesson.digit(model, token, target)
        made.append(Tile(cell["picture"], alt, caption, href, cell["distortion"] == 0))
    return f"{seen.label} ({seen.probability:.0%})", [made[:5], made[5:]]


def _grid(result: dict[str, Any]) -> list[list[Tile | str]]:
    from components import lesson
    from components.tiles import Tile

    model = result["settings"]["model"]
    rows: list[list[Tile | str]] = [["", *map(str, range(10))]]
    for digit, line in enumerate(result["figures"]["rows"]):
        image, tiles = f"digit:test:{line['index']}", []
        for target, cell in enumerate(line["cells"]):
            alt = f"A {digit} that is read as {target}, changed by {cell['distortion']:.2g}"
            href = "" if target == digit else lesson.digit(model, image, target)
            caption = f"{cell['distortion']:.2g}" if cell["distortion"] else "as it is"
            tiles.append(Tile(cell["picture"], alt, caption, href, target == digit))
        rows.append([str(digit), *tiles])
    return rows
