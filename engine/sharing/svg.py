"""The curve as inline SVG, in colours that the page's style sets."""

from __future__ import annotations

from markupsafe import Markup

from engine.sharing.curve import Curve, Line, spread
from engine.sharing.voice import Voice

WIDTH, HEIGHT = 760, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 180, 12, 30
"""Room around the lines; on the right stand their names."""


def chart(shape: Curve, voice: Voice) -> Markup:
    """Return the curve as an ``<svg>``; its classes are styled by `engine.sharing.report_page`."""
    lines = [_line(shape, line, f"{line.role} n{i}") for i, line in enumerate(shape.lines)]
    about = voice.say("Probability by step")
    return Markup(
        '<svg viewBox="0 0 {width} {height}" role="img" aria-label="{about}">{axes}{lines}{names}</svg>'
    ).format(
        width=WIDTH,
        height=HEIGHT,
        about=about,
        axes=_axes(shape, voice),
        lines=Markup("").join(lines),
        names=_names(shape, voice),
    )


def _x(step: float, last: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * step / max(1, last)


def _y(p: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - p)


def _line(shape: Curve, line: Line, classes: str) -> Markup:
    points = " ".join(
        f"{_x(step, shape.last):.1f},{_y(p):.1f}"
        for step, p in zip(shape.steps.tolist(), line.p.tolist(), strict=True)
    )
    return Markup('<polyline class="{}" points="{}"/>').format(classes, points)


def _axes(shape: Curve, voice: Voice) -> Markup:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        parts.append(
            Markup(
                '<path class="grid" d="M{} {:.1f}H{}"/><text class="tick" x="{}" y="{:.1f}">{} %</text>'
            ).format(LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 4, round(100 * share))
        )
    for place, text in ((0, "0"), (0.5, voice.say("Step")), (1, f"{shape.last:,}")):
        x = LEFT + (WIDTH - LEFT - RIGHT) * place
        parts.append(Markup('<text class="step" x="{:.0f}" y="{}">{}</text>').format(x, HEIGHT - 8, text))
    return Markup("").join(parts)


def _names(shape: Curve, voice: Voice) -> Markup:
    places = spread([_y(float(line.p[-1])) for line in shape.lines], 17, TOP, HEIGHT - BOTTOM)
    names = [
        Markup('<text class="name {} n{}" x="{}" y="{:.1f}">{}</text>').format(
            line.role, i, WIDTH - RIGHT + 10, y + 4, _short(voice.named(line.label))
        )
        for i, (line, y) in enumerate(zip(shape.lines, places, strict=True))
    ]
    return Markup("").join(names)


def _short(label: str, limit: int = 22) -> str:
    return label if len(label) <= limit else f"{label[: limit - 1].rstrip()}…"
