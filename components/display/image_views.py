"""Pictures of a chapter: what a network sees, with words for those who cannot see it."""

from __future__ import annotations

import base64

import streamlit as st
from markupsafe import Markup
from streamlit.delta_generator import DeltaGenerator

from components.display.html_table import NOTHING
from components.i18n.text import say
from components.widgets.image_picker import Subject, picture_title
from engine.base import EngineBase
from engine.images.sources import samples
from engine.recipe import Recipe
from engine.render import encode, perturbation, to_image
from engine.run import Floats


def row(key: str) -> DeltaGenerator:
    """Return a container whose pictures stand beside each other, on a phone too."""
    return st.container(horizontal=True, key=f"pictures_{key}")


def see(engine: EngineBase, playing: Subject) -> Floats:
    """Return what the network sees of the picture: ``(c, size, size)`` in [0, 1]."""
    return engine.preprocess(Recipe(playing.model, playing.image, "bim"))


def seen(engine: EngineBase, playing: Subject, caption: str = "", credit: str = "") -> None:
    """Show what the network sees of the picture."""
    sample = samples().get(playing.image)
    alt = say(sample.alt) if sample else picture_title(playing.image)
    picture(see(engine, playing), alt, caption, credit)


def picture(x: Floats, alt: str, caption: str = "", credit: str = "") -> None:
    """Show ``x`` ``(c, h, w)`` in [0, 1] as a square."""
    _square(encode(to_image(x), "png"), alt, caption, credit)


def change(delta: Floats, gain: float, caption: str = "") -> None:
    """Show ``delta`` ``(c, h, w)`` on grey, ``gain`` times as strong."""
    alt = say("The change, {gain} times enlarged, on grey", gain=f"{gain:g}")
    _square(encode(perturbation(delta, gain, "signed"), "png"), alt, caption, "")


def _square(png: bytes, alt: str, caption: str, credit: str) -> None:
    small = Markup("<small>{}</small>").format(credit) if credit else NOTHING
    below = Markup("<figcaption>{}{}</figcaption>").format(caption, small) if caption or small else NOTHING
    image = Markup('<img src="data:image/png;base64,{}" alt="{}">').format(
        base64.b64encode(png).decode(), alt
    )
    st.html(Markup('<figure class="view">{}{}</figure>').format(image, below))
