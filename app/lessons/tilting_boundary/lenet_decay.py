"""LeNet with weak and with strong weight decay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.lessons.tilting_boundary import ascent_panels
from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell
from components.display.image_grid import Tile, tiles
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from experiments.datasets.digit_sets import digit_name, source_of
from experiments.tanay2018.lenet import ChangedDigit, LayerFigures, LeNetDecay, ModelFigures

URL = "https://arxiv.org/abs/1806.11186"


def render() -> None:
    """Draw the lesson."""
    with layout.page("lenet_decay") as prose:
        with layout.part():
            words = say("Change other digits here")
            result = experiment_panel.result(LeNetDecay, words, draws=1, seed=_next())
            st.session_state.lenet_decay_seed = result.seed
            networks = result.figures.networks
            _errors(networks, prose("errors"))
        with layout.part():
            st.markdown(prose("filters"))
            _filters(networks)
        with layout.part():
            st.markdown(prose("changes"))
            for name, model in networks.items():
                st.markdown(f"**{_name(name)}**")
                _changes(name, model.changes.shown, source_of(result.data))
        with layout.part():
            names = {name: _name(name) for name in networks}
            ascent_panels.race(result, names, prose("press"), prose("curve"), "lenet_decay")
            comparison_table.claims(result.claims, folded=True)
            layout.source(say("Tanay & Griffin 2018, the section on LeNet"), URL)


def _name(network: str) -> str:
    return {"lenet_low": say("Weak decay"), "lenet_high": say("Strong decay")}[network]


def _next() -> int:
    return int(st.session_state.get("lenet_decay_seed", 0)) + 1


def _errors(networks: Mapping[str, ModelFigures], words: str) -> None:
    """Show what each model ended with, and the errors on the way there."""
    head = [say("Network"), say("Test error"), say("Mean length of the changes"), say("Temperature")]
    comparison_table.beside(head, [_row(name, model) for name, model in networks.items()])
    st.markdown(words)
    series = []
    for colour, (name, model) in enumerate(networks.items()):
        curves, title = model.curves, _name(name)
        passes = list(range(1, len(curves.train) + 1))
        for kind, errors, dash in (
            (say("training"), curves.train, "dot"),
            (say("test"), curves.test, "solid"),
        ):
            series.append(charts.Series(f"{title}, {kind}", passes, errors, dash=dash, colour=colour))
    alt = say("Training and test error of both networks, by pass.")
    charts.lines(series, say("passes"), say("error"), alt=alt, key="lenet.errors", percent=True, height=240)


def _row(name: str, model: ModelFigures) -> list[str | Cell]:
    published = model.changes.published.lengths
    mean = cell(model.changes.mean, published=sum(published) / len(published))
    error = cell(model.test_error, published=model.published_test_error, scale=100, unit=" %")
    return [_name(name), error, mean, Cell(model.temperature)]


def _filters(networks: Mapping[str, ModelFigures]) -> None:
    layers = {
        "conv1": say("first convolution"),
        "conv2": say("second convolution"),
        "fc1": say("first full layer"),
    }
    for side, (name, model) in zip(st.columns(2, gap="large"), networks.items(), strict=True):
        with side:
            st.markdown(f"**{_name(name)}**")
            for key, words in layers.items():
                _sheet(model.layers[key], words, _name(name))


def _sheet(layer: LayerFigures, words: str, network: str) -> None:
    """Show the filters of one layer, and how large its weights are."""
    alt = say("Filters: {network}, {layer}", network=network, layer=words)
    image = f'<img alt="{alt}" src="data:image/png;base64,{layer.sheet}">'
    st.html(f'<div class="filters">{image}</div>')
    facts = {"layer": words, "rms": f"{layer.rms:.2g}", "paper": f"{layer.published_rms:g}"}
    st.caption(say("{layer}: root mean square {rms} (published {paper})", **facts))


def _changes(name: str, shown: Sequence[ChangedDigit], source: str) -> None:
    """Show each digit, what it was changed into, and the change."""
    columns = [_column(name, one, source) for one in shown]
    tiles([list(row) for row in zip(*columns, strict=True)])


def _column(name: str, one: ChangedDigit, source: str) -> tuple[Tile, Tile, Tile]:
    pair = {"digit": one.digit, "target": one.target}
    image = digit_name(source, "test", one.row)
    href = layout.playground_url(name, image, one.target, attack="towards")
    original, changed = (
        say("The {digit} as it is", **pair),
        say("The {digit}, changed into a {target}", **pair),
    )
    return (
        Tile(one.original, original, f"{one.digit} → {one.target}"),
        Tile(one.changed, changed, f"{one.score:.0%}"),
        Tile(one.change, say("The change from {digit} to {target}", **pair), f"{one.length:.2g}", href),
    )
