"""A run as one page of HTML that holds all it shows, reads well in light, in dark and printed on A4."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup
from PIL import Image

import attacks
import models
from attacks.contract import Stop
from engine import checks
from engine.images.sources import PREPARED, UPLOAD, samples
from engine.recipe import FIELDS
from engine.render import encode, perturbation, suggest_gain, to_image
from engine.run import Run
from engine.sharing import address, inside_section, svg
from engine.sharing.curve import curve, goal
from engine.sharing.report_style import STYLE
from engine.sharing.voice import ENGLISH, Voice, percent

PAGE = Markup(
    """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header><p class="quiet">{about}</p><h1>{heading}</h1><p class="verdict {outcome}">{verdict}</p></header>
<section class="pictures">{pictures}</section>
<section><h2>{curve_title}</h2>{chart}</section>
{findings}
{inside}
<div class="pair"><section><h2>{figures_title}</h2>{figures}</section>
<section><h2>{settings_title}</h2>{settings}</section></div>
<section><h2>{answers_title}</h2>{answers}</section>
<section><h2>{sources_title}</h2>{sources}</section>
{again}
<section><details><summary>{recipe_title}</summary><pre>{recipe}</pre></details></section>
</main>
</body>
</html>
"""
)


def page(run: Run, at: str = "", voice: Voice = ENGLISH) -> str:
    """Return the page of a run that is over and has a step at least.

    ``at``: the address of the playground, for the link that opens the run again; without one the page has
    none. ``voice``: in which language it is.
    """
    say, card = voice.say, models.card(run.recipe.model)
    attack = attacks.get(run.recipe.attack).card
    last = len(run) - 1
    return PAGE.format(
        language={"zh": "zh-Hans"}.get(voice.language, voice.language),
        title=_heading(run, voice),
        style=Markup(STYLE),
        about=say("{attack} on {network}", attack=say(attack.title), network=card.title),
        heading=_heading(run, voice),
        outcome="fooled" if run.succeeded(last) else "not-fooled",
        verdict=f"{_outcome(run, voice)} {voice.sentence(run.said())}",
        pictures=_pictures(run, voice),
        curve_title=say("Probability by step"),
        chart=svg.chart(curve(run), voice),
        findings=_findings(run, voice),
        inside=inside_section.section(run, voice),
        figures_title=say("Figures"),
        figures=_facts(_figures(run, voice)),
        settings_title=say("Settings"),
        settings=_facts(_settings(run, voice)),
        answers_title=say("What the network says"),
        answers=_answers(run, voice),
        sources_title=say("Sources"),
        sources=_sources(run, voice),
        again=_again(run, at, voice),
        recipe_title=say("The recipe, for machines"),
        recipe=json.dumps(run.recipe.to_json(), ensure_ascii=False, indent=1),
    )


def _heading(run: Run, voice: Voice) -> str:
    end = goal(run)
    was = voice.named(run.labels[run.original])
    return was if end is None else f"{was} → {voice.named(run.labels[end])}"


def _outcome(run: Run, voice: Voice) -> str:
    if run.succeeded(len(run) - 1):
        return voice.say("The network is fooled.")
    return voice.say("The network is not fooled.")


def _pictures(run: Run, voice: Voice) -> Markup:
    last = len(run) - 1
    delta = run.picture(last) - run.picture(0)
    gain = suggest_gain(delta)
    (before,), (after,) = run.top(0, 1), run.top(last, 1)
    shown = [
        (voice.say("Original"), to_image(run.picture(0)), _answer(voice, before.label, before.probability)),
        (voice.say("Change"), perturbation(delta, gain), voice.say("{gain} times as large", gain=gain)),
        (voice.say("Attacked"), to_image(run.picture(last)), _answer(voice, after.label, after.probability)),
    ]
    return Markup("").join(_picture(*part) for part in shown)


def _picture(title: str, picture: Image.Image, below: str) -> Markup:
    data = base64.b64encode(encode(picture, "png")).decode()
    style = Markup(' class="coarse"') if picture.width < 100 else ""
    return Markup(
        "<figure><figcaption>{}</figcaption>"
        '<img{} src="data:image/png;base64,{}" alt="{}: {}"><p>{}</p></figure>'
    ).format(title, style, data, title, below, below)


def _answer(voice: Voice, label: str, probability: float) -> str:
    return f"{voice.named(label)} {percent(probability)}"


def _findings(run: Run, voice: Voice) -> Markup:
    known = checks.findings(run)
    if not known:
        return Markup("")
    lines = [
        Markup('<li>{} {} <a href="{}">{}</a></li>').format(
            voice.sentence(finding.said), voice.say(finding.means), finding.url, voice.say("Source")
        )
        for finding in known
    ]
    title = voice.say("Worth knowing")
    return Markup("<section><h2>{}</h2><ul>{}</ul></section>").format(title, Markup("").join(lines))


def _facts(rows: Iterable[tuple[str, str]]) -> Markup:
    lines = [Markup('<tr><th scope="row">{}</th><td>{}</td></tr>').format(*row) for row in rows]
    return Markup("<table>{}</table>").format(Markup("").join(lines))


def _figures(run: Run, voice: Voice) -> list[tuple[str, str]]:
    """Return the figures that are known: a run that ships with the program may lack some."""
    say, last = voice.say, len(run) - 1
    figures, values = run.figures(last), run.start.size
    texts: list[tuple[str, float | None, Callable[[float], str]]] = [
        (say("Steps"), last, "{:,.0f}".format),
        (say("Largest change of a value (linf)"), figures["linf"], lambda size: f"{255 * size:.3g}/255"),
        (say("Length of the change (l2)"), figures["l2"], "{:.4g}".format),
        (say("Values that changed"), figures["l0"], lambda count: percent(count / values)),
        (say("Pictures asked about"), run.queries, "{:,.0f}".format),
        (say("Gradients"), run.gradient_evaluations, "{:,.0f}".format),
        (say("Seconds"), figures["seconds"], "{:.1f}".format),
    ]
    return [(name, text(value)) for name, value, text in texts if value is not None]


def _settings(run: Run, voice: Voice) -> list[tuple[str, str]]:
    say, recipe, attack = voice.say, run.recipe, run.recipe.build()
    aim = say("any other class") if recipe.target is None else voice.named(run.labels[recipe.target])
    rows = [
        (say("Picture"), _picture_name(recipe.image, voice)),
        (say("Network"), models.card(recipe.model).title),
        (say("Target"), aim),
        (say("Attack"), say(attack.card.title)),
    ]
    for setting in attack.settings(getattr(attack, "norm", None)):
        rows.append((say(setting.label), setting.format(getattr(attack, setting.name))))
    rows.append((say("Stop"), _stop(recipe.stop, voice)))
    rows.append((say("Seed"), str(recipe.seed)))
    written = {"crop": say("Crop"), "region": say("Part that may change")}
    for field in FIELDS:
        value = getattr(recipe, field.name)
        if field.name in written and value is not None:
            rows.append((written[field.name], field.text(value)))
    return rows


def _picture_name(image: str, voice: Voice) -> str:
    known = samples().get(image)
    if known:
        return f"{voice.say(known.label)} ({known.author}, {known.licence})"
    own = image.removeprefix(PREPARED).startswith(UPLOAD)
    return voice.say("the visitor's own") if own else image


def _stop(stop: Stop, voice: Voice) -> str:
    words = {
        "steps": voice.say("after all steps"),
        "success": voice.say("at the first success"),
        "probability": voice.say("at {percent}", percent=percent(stop.at)),
        "row": voice.say("after {times} successes in a row", times=stop.times),
    }
    return words[stop.rule]


def _answers(run: Run, voice: Voice) -> Markup:
    """Return the five most probable classes before and after, side by side."""
    before, after = run.top(0), run.top(len(run) - 1)
    head = Markup('<tr><th scope="col" colspan="2">{}</th><th scope="col" colspan="2">{}</th></tr>').format(
        voice.say("Original"), voice.say("Attacked")
    )
    rows = [
        Markup("<tr>{}{}</tr>").format(
            _cells(one.label, one.probability, voice), _cells(two.label, two.probability, voice)
        )
        for one, two in zip(before, after, strict=True)
    ]
    return Markup('<table class="answers">{}{}</table>').format(head, Markup("").join(rows))


def _cells(label: str, probability: float, voice: Voice) -> Markup:
    return Markup('<td>{}</td><td class="number">{}</td>').format(voice.named(label), percent(probability))


def _sources(run: Run, voice: Voice) -> Markup:
    attack, card = attacks.get(run.recipe.attack).card, models.card(run.recipe.model)
    lines = [_source(voice.say(attack.title), f"{attack.paper} ({attack.year})", attack.url)]
    facts: Sequence[str] = [
        card.training_set,
        card.licence,
        f"{card.weights.file}, sha256 {card.weights.sha256[:16]}",
    ]
    lines.append(_source(card.title, "; ".join(voice.say(fact) for fact in facts if fact), card.paper))
    return Markup("<ul>{}</ul>").format(Markup("").join(lines))


def _source(name: str, facts: str, url: str) -> Markup:
    link = Markup(' <a href="{}">{}</a>').format(url, url) if url.startswith("http") else url
    return Markup("<li><strong>{}</strong>: {}.{}</li>").format(name, facts, link)


def _again(run: Run, at: str, voice: Voice) -> Markup:
    """Return the link that opens the run again, with its QR code; nothing where no address is known."""
    if not at.startswith(("http://", "https://")):
        return Markup("")
    link = address.link(run, at, voice.language)
    words = voice.say("Open this run, or run it again")
    return Markup(
        '<section class="again"><div><h2>{}</h2><p><a href="{}">{}</a></p></div>'
        '<div class="qr">{}</div></section>'
    ).format(words, link, link, Markup(address.qr(link)))
