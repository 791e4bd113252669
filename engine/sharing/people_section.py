"""How alike the pictures of a run are, and the same attack on the twin of its network, for the report."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from markupsafe import Markup

import models
from engine.inside.computed import COMPUTED
from engine.inside.people import Perturbed, Similarity
from engine.render import encode, perturbation, suggest_gain, to_image
from engine.run import Run
from engine.sharing.voice import Voice, percent

SSIM = (
    "Structural similarity (SSIM; Wang et al. 2004) of the original and the picture of step {step}: {ssim}, "
    "where 1 is the same picture."
)
BESIDE = (
    "The same attack on this network and on its twin: each perturbation × {gain}, and the picture "
    "that was shown last."
)
FOOLED = "{network}, fooled after {steps} steps: {before} → {after}, {percent}"
NOT_FOOLED = "{network}, not fooled after {steps} steps: {before} → {after}, {percent}"
SIZES = "l2 {l2}, linf {linf}, {low} of the squared l2 in the low frequencies, SSIM {ssim}"
PICTURE = Markup('<img src="data:image/png;base64,{}" alt="{}">')
FIGURE = Markup('<figure><figcaption>{}</figcaption>{}{}<p class="quiet">{}</p></figure>')


def parts(run: Run, voice: Voice) -> Markup:
    """Return paragraphs about what was computed of this, nothing where nothing was."""
    known = COMPUTED.of(run.id).items()
    alike = [(key.step, one) for key, answers in known for one in answers if isinstance(one, Similarity)]
    twins = [answers for key, answers in known if any(isinstance(one, Perturbed) for one in answers)]
    return Markup("").join([*_similarity(voice, alike), *(_beside(run, voice, both) for both in twins[-1:])])


def _similarity(voice: Voice, alike: list[tuple[int, Similarity]]) -> Iterator[Markup]:
    if alike:
        step, last = max(alike, key=lambda one: one[0])
        yield Markup("<p>{}</p>").format(voice.say(SSIM, step=step, ssim=f"{last.ssim:.5f}"))


def _beside(run: Run, voice: Voice, both: tuple[Perturbed, ...]) -> Markup:
    gain = min(suggest_gain(one.perturbation) for one in both)
    figures = Markup("").join(_figure(run, voice, one, gain) for one in both)
    about = voice.say(BESIDE, gain=gain)
    return Markup('<p class="quiet">{}</p><div class="pictures">{}</div>').format(about, figures)


def _figure(run: Run, voice: Voice, one: Perturbed, gain: int) -> Markup:
    title = voice.say(
        FOOLED if one.fooled else NOT_FOOLED,
        network=voice.say(models.card(one.network).title),
        steps=one.step,
        before=voice.named(run.labels[one.original]),
        after=voice.named(run.labels[one.label]),
        percent=percent(one.probability),
    )
    sizes = {"l2": f"{one.length:.3g}", "linf": f"{one.largest:.3g}", "low": percent(one.low)}
    delta, seen = perturbation(one.perturbation, gain), to_image(one.picture)
    pictures = [
        PICTURE.format(base64.b64encode(encode(picture, "png")).decode(), title) for picture in (delta, seen)
    ]
    return FIGURE.format(title, *pictures, voice.say(SIZES, **sizes, ssim=f"{one.ssim:.5f}"))
