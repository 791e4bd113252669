"""What was computed around a run's picture, for the report: the plane, the boundary, parts of the change."""

from __future__ import annotations

import base64
import math
import statistics
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from markupsafe import Markup
from PIL import Image

from engine.inside.boundary import Distance, Straightness
from engine.inside.composition import (
    BANDS,
    ChangeMaps,
    Composition,
    Filtered,
    Largest,
    places_image,
    spectrum_image,
)
from engine.inside.computed import COMPUTED, Key
from engine.inside.plane import Asked, Grid, grid_of
from engine.render import encode
from engine.run import Run
from engine.sharing.voice import Voice, percent

T = TypeVar("T")
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#56b4e9", "#d55e00") + (
    "#882255",
    "#44aa99",
    "#999933",
)
"""Okabe and Ito's colours and three of Tol's, as in the live view."""
REST = "#8a8a8a"
UNSURE = 0.3
PIXELS = 325
SWATCH = Markup(
    '<span style="white-space: nowrap"><svg width="11" height="11" viewBox="0 0 11 11" style="width: 11px; '
    'display: inline"><rect width="11" height="11" fill="{}"/></svg> {} {}</span>'
)
MAPS = (
    "In the spectra the middle is the lowest frequency, white the strongest of the perturbation, black a "
    "millionth of that, for the noise too. Where it sits: white is the greatest change."
)
MAP = Markup('<figure><figcaption>{}</figcaption><img src="data:image/png;base64,{}" alt="{}"></figure>')
FIGURE = Markup(
    '<p class="quiet">{}</p><p>{}</p><div class="pictures"><figure><img src="data:image/png;base64,{}" '
    'alt="{}"></figure></div>'
)


def parts(run: Run, voice: Voice) -> Markup:
    """Return paragraphs about all that was computed, nothing where nothing was."""
    known = COMPUTED.of(run.id)
    texts = [*_boundary(run, voice, known), *_made_of(voice, known), *_change(run, voice, known)]
    paragraphs = Markup("").join(Markup("<p>{}</p>").format(text) for text in texts)
    return _planes(run, voice, known) + paragraphs + _maps(voice, known)


def _last(known: dict[Key, tuple[Any, ...]], kind: type[T]) -> tuple[int, list[T]]:
    """Return the last step of which there are answers of a kind, and these."""
    of_kind = [(key.step, one) for key, answers in known.items() for one in answers if isinstance(one, kind)]
    last = max((step for step, _ in of_kind), default=0)
    return last, [one for step, one in of_kind if step == last]


def _boundary(run: Run, voice: Voice, known: dict[Key, tuple[Any, ...]]) -> Iterator[str]:
    step, distances = _last(known, Distance)
    lengths = [one.length for one in distances if one.direction >= 0 and one.length is not None]
    own = [one.length for one in distances if one.direction < 0 and one.length is not None]
    if lengths and own:
        middle = statistics.median(lengths)
        yield voice.say(
            "Distance to the boundary: {crossed} of {of} random directions leave the class, half of them "
            "within an l2 of {middle}; the adversarial direction of step {step} at {own}, {ratio} times "
            "nearer.",
            crossed=len(lengths),
            of=sum(one.direction >= 0 for one in distances),
            step=step,
            middle=f"{middle:.3g}",
            own=f"{own[0]:.3g}",
            ratio=f"{middle / own[0]:.3g}",
        )
    _, lines = _last(known, Straightness)
    if len(lines) == 2:
        yield voice.say(
            "How straight the margin is (R²): {adversarial} along the adversarial direction, {sign} along "
            "the sign of the gradient.",
            adversarial=f"{lines[0].margin:.3f}",
            sign=f"{lines[1].margin:.3f}",
        )


def _made_of(voice: Voice, known: dict[Key, tuple[Any, ...]]) -> Iterator[str]:
    step, answers = _last(known, Composition)
    for composition in answers[-1:]:
        yield voice.say(
            "At step {step}, {touched} of the {pixels} pixels have changed, {visible} by half a grey level "
            "or more; half of the squared l2 is on {half} of them. {levels} of the values have changed by "
            "two grey levels of 255 or more, rounded.",
            step=step,
            pixels=f"{composition.pixels:,}",
            touched=percent(composition.touched / composition.pixels),
            visible=percent(composition.visible / composition.pixels),
            half=percent(composition.half),
            levels=percent(sum(composition.levels[2:]) / sum(composition.levels)),
        )
        yield _frequencies(voice, composition)


def _frequencies(voice: Voice, composition: Composition) -> str:
    shares = zip(BANDS, composition.shares, composition.noise_shares, strict=True)
    parts = {name: f"{percent(own)} ({percent(noise)})" for name, own, noise in shares}
    return voice.say(
        "Of its squared l2 (in brackets: of normal noise of the same l2), the low frequencies hold {low}, "
        "the middle ones {middle}, the high ones {high}; the strongest has {cycles} cycles across the "
        "picture.",
        cycles=f"{math.hypot(*composition.peak):.3g}",
        **parts,
    )


def _maps(voice: Voice, known: dict[Key, tuple[Any, ...]]) -> Markup:
    """Return the spectrum of the perturbation, that of noise, and where it sits, as pictures."""
    _, answers = _last(known, ChangeMaps)
    if not answers:
        return Markup("")
    maps, brightest = answers[-1], float(answers[-1].power.max())
    pictures = {
        "Spectrum of the perturbation": spectrum_image(maps.power),
        "Spectrum of noise": spectrum_image(maps.noise, brightest),
        "Size of the change at each pixel": places_image(maps.sizes),
    }
    figures = [
        MAP.format(voice.say(title), _data(picture), voice.say(title)) for title, picture in pictures.items()
    ]
    about = voice.say(MAPS)
    return Markup('<p class="quiet">{}</p><div class="pictures">{}</div>').format(
        about, Markup("").join(figures)
    )


def _data(picture: Image.Image) -> str:
    return base64.b64encode(encode(picture, "png")).decode()


def _change(run: Run, voice: Voice, known: dict[Key, tuple[Any, ...]]) -> Iterator[str]:
    by_band = {(one.low, one.high): one for one in _last(known, Filtered)[1]}
    for name, cut in BANDS.items():
        if cut in by_band:
            answer = by_band[cut]
            yield voice.say(
                "Of the perturbation, the frequencies “{band}” ({share} of its squared l2) alone: the "
                "network says {label}, {percent}.",
                band=voice.say(name),
                share=percent(answer.share),
                label=voice.named(run.labels[answer.label]),
                percent=percent(answer.probability),
            )
    still = [one for one in _last(known, Largest)[1] if one.label != run.original]
    if still:
        fewest = min(still, key=lambda one: one.values)
        label = voice.named(run.labels[fewest.label])
        yield voice.say(
            "Its {values} largest values alone are enough for another class: {label}.",
            values=f"{fewest.values:,}",
            label=label,
        )


def _planes(run: Run, voice: Voice, known: dict[Key, tuple[Any, ...]]) -> Markup:
    """Return the plane of the last window that was looked at on the run's own network."""
    asked: dict[tuple[Any, ...], list[Asked]] = {}
    for key, answers in known.items():
        if key.part == "plane" and run.recipe.model in key.settings:
            window = (key.step, *key.settings[:-1])
            asked.setdefault(window, []).extend(one for one in answers if isinstance(one, Asked))
    if not asked:
        return Markup("")
    last, corners = max(asked.items(), key=lambda entry: entry[0][0])
    grid = grid_of(corners, max(corner.cells for corner in corners))
    return _plane(run, voice, grid, last)


def _plane(run: Run, voice: Voice, grid: Grid, window: tuple[Any, ...]) -> Markup:
    """Return a plane with its classes; ``window``: step, third point, seed, middle, half a side, network."""
    step, third, _, _, _, half, _ = window
    shares = Counter(grid.labels.ravel().tolist())
    order = [label for label, _ in shares.most_common()]
    colours = dict(zip(order, (*PALETTE, *[REST] * len(order)), strict=False))
    items = [
        (colours[label], voice.named(run.labels[label]), shares[label] / grid.labels.size) for label in order
    ]
    legend = Markup(" ").join(SWATCH.format(colour, label, percent(share)) for colour, label, share in items)
    about = voice.say(
        "Plane through the original, the picture of step {step} and a third point ({third}), {cells} × "
        "{cells} squares, {side} in l2 from side to side; of its corners {asked} were asked about and "
        "{filled} filled in. The paler, the less sure.",
        step=step,
        third=third,
        cells=grid.cells,
        side=f"{2 * half:.3g}",
        asked=int(grid.asked.sum()),
        filled=int((~grid.asked).sum()),
    )
    data = _data(coloured(grid, colours))
    return FIGURE.format(about, legend, data, voice.say("The plane, coloured by class"))


def coloured(grid: Grid, colours: dict[int, str]) -> Image.Image:
    """Return a plane as a picture, its first row at the lower end: ``colours``, as ``#rrggbb``, by class, the
    paler the less probable."""
    table = {label: [int(colour[at : at + 2], 16) for at in (1, 3, 5)] for label, colour in colours.items()}
    full = np.array([[table[int(label)] for label in row] for row in grid.labels], float)
    strength = UNSURE + (1 - UNSURE) * grid.numbers[0][..., None]
    levels = np.rint(255 + (full - 255) * strength).astype(np.uint8)[::-1]
    return Image.fromarray(levels).resize((PIXELS, PIXELS), Image.Resampling.NEAREST)
