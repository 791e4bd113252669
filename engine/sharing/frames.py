"""Drawn frames of a run: pictures, perturbation, what the network says, and the curve as it grows.

The colours are those of the live view's light theme; the curve beyond the step that is shown is pale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image, ImageDraw

import attacks
import models
from engine.render import perturbation, suggest_gain, to_image
from engine.run import Run
from engine.sharing import fonts
from engine.sharing.curve import Curve, Line, curve, spread, thinned
from engine.sharing.voice import Voice, percent

PAPER, INK, QUIET, GRID, ACCENT = "#ffffff", "#1c1917", "#6b6763", "#e7e5e4", "#b33c0b"
OTHERS = ("#0072b2", "#009e73", "#cc79a7")
"""Of the further classes; Okabe and Ito's."""
FINE = 3
"""The curve is drawn so many times larger and made smaller, which smooths its lines."""
PALE = 0.75
"""How far the curve ahead is from its own colours to the paper's."""


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Layout:
    """A size of frame, in pixels. ``heading``: size of the letters of the verdict, ``text`` of all others.
    ``pictures``: where each picture stands, by what it shows; ``chart``: the curve without its labels, for
    which there are ``labels`` pixels on its right. ``frames``: how many there are at most, ``gif_frames``:
    in a GIF, which is larger and takes longer.
    """

    width: int
    height: int
    heading: int
    text: int
    margin: int
    pictures: dict[str, Box]
    chart: Box
    labels: int
    frames: int
    gif_frames: int


SLIDE = Layout(
    width=1280,
    height=720,
    heading=38,
    text=20,
    margin=60,
    pictures={
        "original": Box(60, 158, 320, 320),
        "perturbation": Box(480, 158, 320, 320),
        "adversarial": Box(900, 158, 320, 320),
    },
    chart=Box(120, 516, 900, 156),
    labels=188,
    frames=64,
    gif_frames=36,
)
CHAT = Layout(
    width=480,
    height=472,
    heading=22,
    text=13,
    margin=16,
    pictures={"perturbation": Box(16, 88, 218, 218), "adversarial": Box(246, 88, 218, 218)},
    chart=Box(56, 326, 290, 112),
    labels=110,
    frames=40,
    gif_frames=32,
)
LAYOUTS = {"slide": SLIDE, "chat": CHAT}
"""Sizes of frames by name."""


def shown_steps(run: Run, frames: int) -> list[int]:
    """Return the steps that have a frame, about ``frames`` at most: those whose pictures are stored, or,
    where these are few, evenly spaced ones, at which the picture shortly before stands for theirs."""
    even = [int(step) for step in thinned(len(run), frames)]
    stored = {run.picture_step(step) for step in even}
    wanted = stored if 2 * len(stored) > len(even) else set(even)
    return sorted({*wanted, len(run) - 1})


class Painter:
    """Draws the frames of one run in one layout."""

    def __init__(self, run: Run, layout: Layout, voice: Voice) -> None:
        """Draw what all frames share. ``run`` has a step at least."""
        self.run, self.layout = run, layout
        chinese = voice.language == "zh" and fonts.chinese()
        self.voice = voice if chinese or voice.language != "zh" else Voice()
        self.gain = suggest_gain(run.delta(len(run) - 1))
        self.curve = curve(run)
        self.ahead, self.behind = self._background()

    def frame(self, step: int) -> Image.Image:
        """Return the frame of one step, RGB."""
        at = self.layout.chart
        frame, edge = self.ahead.copy(), at.left + round(at.width * step / max(1, self.curve.last))
        past = (0, at.top - 4, edge + 1, at.top + at.height + 4)
        frame.paste(self.behind.crop(past), past[:2])
        pen = ImageDraw.Draw(frame)
        pen.line((edge, at.top, edge, at.top + at.height), fill=QUIET)
        for name, box in self.layout.pictures.items():
            frame.paste(self._picture(name, step, box.width), box[:2])
        self._verdict(pen, step)
        return frame

    def _picture(self, name: str, step: int, side: int) -> Image.Image:
        if name == "perturbation":
            small = perturbation(self.run.delta(step), self.gain)
        else:
            small = to_image(self.run.picture(step if name == "adversarial" else 0))
        sharp = small.width * 4 <= side  # single pixels are to be seen, not smeared
        return small.resize((side, side), Image.Resampling.NEAREST if sharp else Image.Resampling.BICUBIC)

    def _verdict(self, pen: ImageDraw.ImageDraw, step: int) -> None:
        """Write what the network says, beside what it said first where that differs."""
        layout, (best,) = self.layout, self.run.top(step, 1)
        counter = self.voice.say("step {step} of {last}", step=f"{step:,}", last=f"{len(self.run) - 1:,}")
        face, top = self._font(layout.heading, bold=True), layout.margin * 0.55
        right = layout.width - layout.margin
        if layout is CHAT:
            pen.text((right, 56), counter, QUIET, self._font(layout.text), anchor="rs")
        else:
            pen.text((right, top + layout.heading), counter, QUIET, self._font(layout.text), anchor="rs")
            right -= 230
        left, base = float(layout.margin), top + layout.heading
        now = f"{self.voice.named(best.label)} {percent(best.probability)}"
        changed = best.index != self.run.original
        if changed:
            room = right - left - face.getlength(now) - 2 * layout.heading
            was = fonts.fitted(self.voice.named(self.run.labels[self.run.original]), room, face)
            if room > 2 * layout.heading:
                pen.text((left, base), was, QUIET, face, anchor="ls")
                left = _arrow(pen, left + face.getlength(was), base, layout.heading)
        text = fonts.fitted(now, right - left, face)
        pen.text((left, base), text, ACCENT if changed else INK, face, anchor="ls")

    def _font(self, size: int, bold: bool = False) -> fonts.Font:
        return fonts.font(size, self.voice.language, bold)

    def _background(self) -> tuple[Image.Image, Image.Image]:
        """Return a frame without what changes, its curve pale, and the same with the curve in full colour."""
        plain = Image.new("RGB", (self.layout.width, self.layout.height), PAPER)
        pen = ImageDraw.Draw(plain)
        self._captions(pen)
        self._axes(pen)
        full = plain.copy()
        drawn = _drawn(self.curve, self.layout.chart)
        place = (self.layout.chart.left - 4, self.layout.chart.top - 4)
        full.paste(drawn, place, drawn)
        pale = Image.blend(full, plain, PALE)
        for image in (pale, full):
            self._line_labels(ImageDraw.Draw(image))
        return pale, full

    def _captions(self, pen: ImageDraw.ImageDraw) -> None:
        """Write what was done to which network, and what each picture shows."""
        say, layout, face = self.voice.say, self.layout, self._font(self.layout.text)
        attack = say(attacks.get(self.run.recipe.attack).card.title)
        done = say("{attack} on {network}", attack=attack, network=models.card(self.run.recipe.model).title)
        below = 56 if layout is CHAT else 108
        room = layout.width - 2 * layout.margin - (110 if layout is CHAT else 0)
        pen.text((layout.margin, below), fonts.fitted(done, room, face), QUIET, face, anchor="ls")
        titles = {
            "original": say("Original"),
            "perturbation": say("Change, {gain} times", gain=self.gain),
            "adversarial": say("What the network sees"),
        }
        for name, box in layout.pictures.items():
            text = fonts.fitted(titles[name], box.width, face)
            pen.text((box.left, box.top - 7), text, INK, face, anchor="ls")
        boxes = list(layout.pictures.values())
        if layout is SLIDE:
            for sign, (one, other) in zip("+=", zip(boxes, boxes[1:], strict=False), strict=True):
                middle = (one.left + one.width + other.left) / 2
                pen.text((middle, one.top + one.height / 2), sign, QUIET, self._font(38), anchor="mm")

    def _axes(self, pen: ImageDraw.ImageDraw) -> None:
        at, face = self.layout.chart, self._font(self.layout.text)
        for share in (0, 0.5, 1):
            y = at.top + round((1 - share) * at.height)
            pen.line((at.left, y, at.left + at.width, y), fill=GRID)
            pen.text((at.left - 8, y), f"{100 * share:.0f} %", QUIET, face, anchor="rm")
        below = at.top + at.height + 5
        pen.text((at.left, below), "0", QUIET, face, anchor="lt")
        pen.text((at.left + at.width, below), f"{self.curve.last:,}", QUIET, face, anchor="rt")
        pen.text((at.left + at.width / 2, below), self.voice.say("Step"), QUIET, face, anchor="mt")

    def _line_labels(self, pen: ImageDraw.ImageDraw) -> None:
        """Name each line at its end, the labels moved apart."""
        at, size = self.layout.chart, self.layout.text
        ends = [at.top + (1 - float(line.p[-1])) * at.height for line in self.curve.lines]
        places = spread(ends, size * 1.15, at.top, at.top + at.height)
        for (line, colour), y in zip(painted(self.curve.lines), places, strict=True):
            face = self._font(size, bold=line.role != "other")
            text = fonts.fitted(self.voice.named(line.label), self.layout.labels, face)
            pen.text((at.left + at.width + 12, y), text, colour, face, anchor="lm")


def painted(lines: tuple[Line, ...]) -> list[tuple[Line, str]]:
    """Return each line with its colour on light paper."""
    others = iter(OTHERS)
    colours = {"original": INK, "goal": ACCENT}
    return [(line, colours.get(line.role) or next(others)) for line in lines]


def _drawn(shape: Curve, at: Box) -> Image.Image:
    """Return the lines alone, RGBA, 4 pixels larger than ``at`` on every side."""
    size = ((at.width + 8) * FINE, (at.height + 8) * FINE)
    large = Image.new("RGBA", size, f"{PAPER}00")
    pen = ImageDraw.Draw(large)
    for line, colour in painted(shape.lines):
        points = [
            ((4 + at.width * step / max(1, shape.last)) * FINE, (4 + at.height * (1 - p)) * FINE)
            for step, p in zip(shape.steps.tolist(), line.p.tolist(), strict=True)
        ]
        width = FINE * 2 if line.role == "other" else FINE * 3
        pen.line(points, fill=colour, width=width, joint="curve")
    return large.resize((at.width + 8, at.height + 8), Image.Resampling.BOX)


def _arrow(pen: ImageDraw.ImageDraw, left: float, base: float, size: int) -> float:
    """Draw an arrow to the right, which not every font has; return where the next text begins."""
    start, end, y = left + 0.4 * size, left + 1.2 * size, base - 0.33 * size
    width = max(2, size // 12)
    pen.line((start, y, end, y), fill=QUIET, width=width)
    tip = 0.24 * size
    pen.line(((end - tip, y - tip), (end, y), (end - tip, y + tip)), fill=QUIET, width=width, joint="curve")
    return left + 1.6 * size
