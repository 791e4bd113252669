"""What was computed about the inside of a network, as a section of the report: words, maps, layers."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from PIL import Image

from engine.inside.classes import other_class
from engine.inside.computed import COMPUTED
from engine.inside.layers import Profile
from engine.inside.saliency import (
    GRAD_CAM,
    GRADIENT_ATTENTION,
    INTEGRATED,
    NO_CLASS,
    OCCLUSION,
    ROLLOUT,
    SaliencyMap,
    share_inside,
)
from engine.inside.words import Shares, clauses
from engine.render import encode, to_image
from engine.run import Run
from engine.sharing import around_section, people_section
from engine.sharing.curve import spread
from engine.sharing.voice import Voice

FOR, AGAINST = (213, 70, 0), (0, 114, 178)
"""Colours of what speaks for a class and against it, as in the live view."""
NAMES = {
    GRAD_CAM: "Grad-CAM",
    GRADIENT_ATTENTION: "gradient x attention",
    ROLLOUT: "attention rollout",
    INTEGRATED: "integrated gradients",
    OCCLUSION: "occlusion",
}
BY_CLASS = "What speaks for a class (orange) and against it (blue), by {method}; each map has its own scale."
ANY_CLASS = (
    "What the answer rests on (orange), by {method}, which is the same for every class; each map has its own "
    "scale."
)
TITLES = {
    (False, False): "“{label}” at step {step}",
    (False, True): "“{label}” at step {step}, weights shuffled",
    (True, False): "At step {step}",
    (True, True): "At step {step}, weights shuffled",
}
"""Titles of maps: whether they are the same for every class, and whether the weights are shuffled."""
WIDTH, HEIGHT, LEFT, RIGHT = 760, 220, 8, 190
ROLES = {"changed": "goal", "noise": "n1", "towards": "n0"}
"""The style of a line by the pair of pictures that it is about."""
LINES = {"changed": "attacked from clean", "noise": "noise of the same size", "towards": "attacked from that"}
"""What a line is called."""
PIXELS = 224


@dataclass(frozen=True)
class Map:
    """A map that was computed: at ``step``, on ``shuffled`` weights or not."""

    step: int
    shuffled: bool
    map: SaliencyMap


def section(run: Run, voice: Voice) -> Markup:
    """Return the section, nothing where nothing was computed."""
    maps, profiles = _maps(run), _profiles(run)
    around = around_section.parts(run, voice) + people_section.parts(run, voice)
    parts = [around]
    if maps or profiles:
        step = max([one.step for one in maps] + list(profiles))
        parts = [_words(run, voice, step, maps, profiles.get(step)), _rows(run, voice, maps), around]
    if profiles:
        last = max(profiles)
        parts.insert(2, _layers(voice, last, profiles[last]))
    if not any(parts):
        return Markup("")
    title = voice.say("Inside the network")
    return Markup("<section><h2>{}</h2>{}</section>").format(title, Markup("").join(parts))


def _maps(run: Run) -> list[Map]:
    answers = [
        (key, answer)
        for key, known in COMPUTED.of(run.id).items()
        for answer in known
        if isinstance(answer, SaliencyMap)
    ]
    return [Map(key.step, True in key.settings, answer) for key, answer in answers]


def _profiles(run: Run) -> dict[int, Profile]:
    """Return the profiles by step."""
    known = COMPUTED.of(run.id).items()
    return {key.step: one for key, answers in known for one in answers if isinstance(one, Profile)}


def _words(run: Run, voice: Voice, step: int, maps: list[Map], profile: Profile | None) -> Markup:
    parts = clauses(run, step, shares(run, step, maps, voice), profile)
    sentences = [
        Markup("{}<sup>{}</sup>").format(voice.sentence(part.sentence), number)
        for number, part in enumerate(parts, 1)
    ]
    figures = [Markup("<li>{}</li>").format(voice.sentence(part.rests)) for part in parts]
    return Markup('<p>{}</p><ol class="quiet">{}</ol>').format(
        Markup(" ").join(sentences), Markup("").join(figures)
    )


def shares(run: Run, step: int, maps: list[Map], voice: Voice) -> Shares | None:
    """Return the shares of `engine.inside.words` from maps up to ``step`` that were computed, None where
    there are too few."""
    for method in (GRAD_CAM, GRADIENT_ATTENTION, INTEGRATED):
        own = [one for one in maps if one.map.method == method and not one.shuffled and one.step <= step]
        clean = [one for one in own if one.step == 0 and one.map.label == run.original]
        spoken = {one.step: one.map for one in own if one.map.label == run.top(one.step, 1)[0].index}
        if clean and len(spoken) > 1 and step in spoken:
            by_step = [(at, share_inside(clean[0].map.values, spoken[at].values)) for at in sorted(spoken)]
            known = tuple((at, share) for at, share in by_step if share is not None)
            return Shares(voice.say(NAMES[method]), known, clean[0].map.network)
    return None


def _rows(run: Run, voice: Voice, maps: list[Map]) -> Markup:
    """Return, for each method of which there are maps, those of the last step that has one."""
    return Markup("").join(_method(run, voice, method, maps) for method in NAMES)


def _method(run: Run, voice: Voice, method: str, maps: list[Map]) -> Markup:
    own = [one for one in maps if one.map.method == method]
    if not own:
        return Markup("")
    last = max(one.step for one in own)
    labels = (run.original, other_class(run, last))
    shown = [one for label in labels for one in own if one.map.label == label and one.step in (0, last)]
    figures = Markup("").join(_figure(run, voice, one) for one in shown)
    about = voice.say(ANY_CLASS if method in NO_CLASS else BY_CLASS, method=voice.say(NAMES[method]))
    return Markup('<p class="quiet">{}</p><div class="pictures maps">{}</div>').format(about, figures)


def _figure(run: Run, voice: Voice, one: Map) -> Markup:
    label = voice.named(run.labels[one.map.label])
    title = voice.say(TITLES[one.map.method in NO_CLASS, one.shuffled], label=label, step=one.step)
    picture = overlaid(run.picture(one.step), one.map)
    data = base64.b64encode(encode(picture, "png")).decode()
    return Markup(
        '<figure><figcaption>{}</figcaption><img src="data:image/png;base64,{}" alt="{}"><p>{}</p></figure>'
    ).format(title, data, title, voice.say("logit {logit}", logit=f"{one.map.logit:.3g}"))


def overlaid(picture: np.ndarray, answer: SaliencyMap) -> Image.Image:
    """Return a picture ``(c, h, w)`` in [0, 1], grey, with a map over it in two colours."""
    values = answer.values
    scale = float(np.percentile(np.abs(values), 99)) or float(np.abs(values).max()) or 1.0
    strength = Image.fromarray(np.clip(np.abs(values) / scale, 0, 1).astype(np.float32))
    sign = Image.fromarray((values > 0).astype(np.uint8) * 255)
    size = (PIXELS, PIXELS)
    grey = to_image(picture).convert("L").convert("RGB").resize(size)
    colours = Image.composite(
        Image.new("RGB", size, FOR), Image.new("RGB", size, AGAINST), sign.resize(size, 0)
    )
    alpha = np.asarray(strength.resize(size, Image.Resampling.BILINEAR)) * 255
    return Image.composite(colours, grey, Image.fromarray(alpha.astype(np.uint8)))


def _layers(voice: Voice, step: int, profile: Profile) -> Markup:
    """Return the distances by layer as an SVG, whose lines are named at their ends."""
    names = {
        "changed": "attacked from clean",
        "noise": "noise of the same size",
        "towards": "attacked from that",
    }
    curves = {name: getattr(profile, name) for name in names if getattr(profile, name) is not None}
    top = max(float(one.cosine.max()) for one in curves.values()) or 1.0
    lines = Markup("").join(_line(one.cosine.tolist(), top, ROLES[name]) for name, one in curves.items())
    heights = spread([_y(float(one.cosine[-1]), top) for one in curves.values()], 17, 10, HEIGHT - 10)
    labels = Markup("").join(
        _label(voice.say(LINES[name]), y, ROLES[name]) for name, y in zip(curves, heights, strict=True)
    )
    about = _about(voice, step, top, profile)
    return Markup(
        '<p class="quiet">{}</p><svg viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<path class="grid" d="M{} {}H{}"/>{}{}</svg>'
    ).format(about, WIDTH, HEIGHT, about, LEFT, HEIGHT - 10, WIDTH - RIGHT, lines, labels)


def _about(voice: Voice, step: int, top: float, profile: Profile) -> str:
    return voice.say(
        "1 minus the cosine by layer at step {step}, from 0 to {top}, from {first} to {last}: of the "
        "attacked picture from the clean one, of noise of the same size from the clean one, and of the "
        "attacked picture from another one of the target's class, where the shelf has one.",
        step=step,
        top=f"{top:.2g}",
        first=profile.layers[0].name.removeprefix("network."),
        last=profile.layers[-1].name.removeprefix("network."),
    )


def _line(values: list[float], top: float, role: str) -> Markup:
    count = max(1, len(values) - 1)
    points = " ".join(
        f"{LEFT + (WIDTH - LEFT - RIGHT) * index / count:.1f},{_y(value, top):.1f}"
        for index, value in enumerate(values)
    )
    return Markup('<polyline class="{}" points="{}"/>').format(role, points)


def _y(value: float, top: float) -> float:
    return 10 + (HEIGHT - 20) * (1 - value / top)


def _label(text: str, y: float, role: str) -> Markup:
    return Markup('<text class="name {}" x="{}" y="{:.1f}">{}</text>').format(
        role, WIDTH - RIGHT + 8, y + 4, text
    )
