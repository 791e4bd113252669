"""One network as a card: what it is, what it takes, where it came from, what was checked when it was
added."""

from __future__ import annotations

import math

import models
from components.i18n.text import say
from engine.layouts import Choice
from models.added import shelf
from models.added.record import AddedModel, CheckResult
from models.core import Card
from models.layouts import Layout

ICONS = {"fine": ":material/check_circle:", "note": ":material/info:", "refused": ":material/error:"}
OUTPUTS = {
    "logits": "logits",
    "probabilities": "probabilities",
    "log_probabilities": "log-probabilities",
    "one_logit": "one logit",
    "one_probability": "one probability",
    "sigmoids": "a sigmoid for each class",
}


def facts(card: Card) -> list[tuple[str, str]]:
    """Return what is known of a network, as pairs of words."""
    rows = [
        (say("Name in addresses and commands"), f"`{card.name}`"),
        (say("Sees"), sees(card)),
        (say("Classes"), f"{len(card.labels):,}"),
        (say("Learnt numbers"), f"{card.parameters:,}" if card.parameters else ""),
        (say("Learnt from"), say(card.training_set) if card.training_set else ""),
        (say("Accuracy"), accuracy(card)),
        (say("Normalisation"), _normalisation(card)),
        (say("Weights"), _weights(card)),
        (say("Licence"), say(card.licence) if card.licence else ""),
        (say("Source"), f"[{card.paper}]({card.paper})" if card.paper else ""),
    ]
    if card.added:
        rows += _added_facts(shelf.get(card.name))
    return [(name, value) for name, value in rows if value]


def table(card: Card) -> str:
    """Return the facts as a Markdown table."""
    head, *lines = (f"| {name} | {_cell(value)} |" for name, value in facts(card))
    return "\n".join([head, "| --- | --- |", *lines])


def checks(added: AddedModel) -> str:
    """Return what was checked as a Markdown list, the gravest first."""
    return "\n".join(f"- {ICONS[result.verdict]} {_said(result)}" for result in added.checks)


def sees(card: Card) -> str:
    """Return the size of the images that a network takes, in words."""
    size = f"{card.size} x {card.size}"
    return say("{size} grey", size=size) if card.channels == 1 else size


def rejections(choice: Choice) -> list[str]:
    """Return a sentence for every layout in which a network's gradients are not those of the CPU."""
    return [
        say(
            "On {device} it runs as {layout}: as {other}, its gradients there are not those of the CPU (they "
            "differ by {difference} of their length).",
            device=choice.device,
            layout=_layout(choice.layout),
            other=_layout(rejected.layout),
            difference=f"{rejected.difference:.0%}" if math.isfinite(rejected.difference) else "NaN",
        )
        for rejected in choice.rejected
    ]


def _layout(layout: Layout) -> str:
    memory = say("channels-last memory") if layout.channels_last else say("plain memory")
    return say("{memory} with folded batch norm", memory=memory) if layout.folded else memory


def grouped() -> dict[str, list[Card]]:
    """Return all networks under what is said above them in a list."""
    cards = models.cards()
    return {
        "Added here": [card for card in cards if card.added],
        "Here without a download": [card for card in cards if card.offline and not (card.lab or card.added)],
        "Downloaded at first use": [card for card in cards if not card.offline],
        "For the labs": [card for card in cards if card.offline and card.lab],
    }


def _added_facts(added: AddedModel) -> list[tuple[str, str]]:
    """Return what is known of a network because it was added here."""
    own = added.input
    versions = ", ".join(f"{package} {release}" for package, release in added.versions.items())
    shape = f"{own.width} x {own.height} x {own.channels}"
    return [
        (say("Added from"), f"`{added.source}`"),
        (say("Takes"), shape if own.width != own.height else ""),
        (say("Gives"), say(OUTPUTS[added.output.kind])),
        (say("Added on"), added.added[:10]),
        (say("Read with"), versions),
        *((say("SHA-256 of {file}", file=kept.name), f"`{kept.sha256[:16]}…`") for kept in added.files[:3]),
    ]


def _said(result: CheckResult) -> str:
    return say(result.sentence, **result.facts)


def accuracy(card: Card) -> str:
    """Return how often a network is right, by measure, in words."""
    measured = (f"{say(measure)} {value:.1f} %" for measure, value in card.accuracy.items())
    return say(", ").join(measured)


def _normalisation(card: Card) -> str:
    if card.parts:
        return ""
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (card.mean, card.std))
    return say("mean {mean}; deviation {std}", mean=mean, std=std)


def _weights(card: Card) -> str:
    size = f"{card.weights.bytes / 1e6:,.1f} MB" if card.weights.bytes else ""
    return say(", ").join(filter(None, (f"`{card.weights.file}`" if card.weights.file else "", size)))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
