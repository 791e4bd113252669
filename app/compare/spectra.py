"""Below a comparison, once its runs are over: the spectra of two of their perturbations side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st
from markupsafe import Markup
from PIL import Image

from app.inside import composition_part
from app.inside.looking import as_address, picture_of, start_of
from components.display import charts, image_views
from components.display.answer_cells import table
from components.display.probability_bars import percent
from components.i18n.text import say
from engine.inside.composition import BANDS, ChangeMaps, Composition, MadeOf, places_image, spectrum_image
from engine.inside.computed import COMPUTED, Key
from engine.run import Floats, Run

DARKEST = 1e-8
"""The least power that is drawn, as a share of the greatest: a logarithmic axis knows no 0."""


ABOUT = (
    "A frequency of 1 is a change from pixel to pixel along a row; low is below 1/8, high above 1/2. In "
    "brackets: normal noise of the same l2. Both spectra have one scale: white is the strongest frequency "
    "of the two, black a millionth of that."
)


@dataclass(frozen=True)
class Spectrum:
    """What the perturbation of a run's last step is made of; ``title``: what the run is called."""

    title: str
    composition: Composition
    maps: ChangeMaps


def beside(runs: Sequence[Run], titles: Mapping[str, str]) -> None:
    """Let the person choose two of ``runs``, and show their spectra; ``titles`` by run. Shows nothing where
    fewer than two changed their picture."""
    changed = {run.id: run for run in runs if len(run) > 1 and _change(run).any()}
    if len(changed) < 2:
        return
    st.markdown(f"### {say('What two changes are made of')}")
    chosen = _two({run: titles[run] for run in changed})
    pair = [spectrum(changed[run], titles[run]) for run in chosen]
    _curves(pair)
    _pictures(pair)
    table([say("Share of the squared l2"), *(one.title for one in pair)], rows(pair), "spectra")
    st.caption(say(ABOUT))


def _two(titles: Mapping[str, str]) -> list[str]:
    """Let the person choose two runs, by default the first two."""
    labels = (say("One perturbation"), say("The other one"))
    columns = zip(st.columns(2), labels, strict=True)
    return [
        str(column.selectbox(label, list(titles), at, format_func=titles.__getitem__, key=f"spectrum_{at}"))
        for at, (column, label) in enumerate(columns)
    ]


def spectrum(run: Run, title: str) -> Spectrum:
    """Return the spectrum of a run's last step, remembered as in “Look inside”; no network is asked."""
    question = MadeOf(_change(run))
    key = Key(run.id, composition_part.PART, len(run) - 1, composition_part.settings(question.seed))
    composition, maps = COMPUTED.ask_nobody(key, question.answers)
    assert isinstance(composition, Composition) and isinstance(maps, ChangeMaps)
    return Spectrum(title, composition, maps)


def _change(run: Run) -> Floats:
    return picture_of(run, len(run) - 1) - start_of(run)


def rows(pair: Sequence[Spectrum]) -> list[list[str]]:
    """Return the rows of the table: bands, the strongest frequency, and where the change sits."""
    bands = [
        [say(name), *(_share(one.composition.shares[at], one.composition.noise_shares[at]) for one in pair)]
        for at, name in enumerate(BANDS)
    ]
    peaks = [f"{math.hypot(*one.composition.peak):.3g}" for one in pair]
    halves = [percent(one.composition.half) for one in pair]
    touched = [percent(one.composition.visible / one.composition.pixels) for one in pair]
    return [
        *bands,
        [say("strongest frequency, in cycles across the picture"), *peaks],
        [say("pixels changed by half a grey level or more"), *touched],
        [say("pixels that hold half of it"), *halves],
    ]


def _share(own: float, noise: float) -> str:
    return f"{percent(own)} ({percent(noise)})"


def _curves(pair: Sequence[Spectrum]) -> None:
    least = DARKEST * max(max(one.composition.power) for one in pair)
    series = []
    for index, one in enumerate(pair):
        power = [max(value, least) for value in one.composition.power]
        noise = [max(value, least) for value in one.composition.noise]
        series.append(charts.Series(one.title, one.composition.radius, power, colour=index))
        series.append(
            charts.Series(
                say("noise as long"), one.composition.radius, noise, dash="dot", colour=index, faint=True
            )
        )
    charts.lines(
        series,
        say("frequency (1: from pixel to pixel)"),
        say("Power of a frequency, mean over the ring"),
        alt=say("Power by frequency, of two perturbations and of noise of the same l2, dotted"),
        key="spectra",
        log="y",
        room=110,
    )


def _pictures(pair: Sequence[Spectrum]) -> None:
    brightest = max(float(one.maps.power.max()) for one in pair)
    with image_views.row("spectra"):
        for one in pair:
            _picture(
                spectrum_image(one.maps.power, brightest), one.title, say("Spectrum of the perturbation")
            )
    with image_views.row("places"):
        for one in pair:
            _picture(places_image(one.maps.sizes), one.title, say("Size of the change at each pixel"))


def _picture(image: Image.Image, title: str, alt: str) -> None:
    figure = Markup(
        '<figure class="view"><img src="{}" alt="{}, {}"><figcaption>{}, {}</figcaption></figure>'
    )
    st.html(figure.format(as_address(image), title, alt, title, alt))
