"""Chapter 3: what a linear classifier looks for, and how little it takes to give it that."""

from __future__ import annotations

import streamlit as st

from app import service
from app.lessons.tour import template_panels as drawn
from components.display import comparison_table
from components.i18n import preferences
from components.i18n.text import named, say
from components.lesson import experiment_panel, layout
from components.lesson.questions import RightAnswer
from components.widgets import image_picker
from engine.intervals import Estimate
from engine.links import DEFAULT
from engine.run import Floats
from experiments.core import Result
from experiments.karpathy2015 import templates
from experiments.karpathy2015.templates import DecayFigures, Linear, Templates, TemplatesFigures

KARPATHY = "http://karpathy.github.io/2015/03/30/breaking-convnets/"


def render() -> None:
    """Draw the chapter."""
    with layout.page("templates", answer) as prose:
        with layout.part():
            result = _result()
            figures = result.figures
            row = _decay(figures)
            drawn.pictures(figures, row)
        with layout.part():
            st.markdown(prose("break"))
            _break(figures, row)
        with layout.part():
            st.markdown(prose("compare"))
            drawn.compare(figures)
            published = figures.published
            st.markdown(prose("karpathy").format(noisy=published.noisy, smooth=published.smooth))
            comparison_table.claims(result.claims)
            layout.source(say("Karpathy, Breaking Linear Classifiers on ImageNet"), KARPATHY)


def answer() -> RightAnswer:
    """Return which are easier to fool in the result that ships: both alike where the intervals overlap."""
    rows = experiment_panel.shipped(Templates).figures.decays
    noisy, smooth = rows[0].distance, rows[-1].distance
    apart = _below(noisy, smooth), _below(smooth, noisy)
    number = apart.index(True) if any(apart) else 2
    return RightAnswer(number, {"noisy": f"{noisy.value:.2g}", "smooth": f"{smooth.value:.2g}"})


def _below(low: Estimate, high: Estimate) -> bool:
    return low.high is not None and high.low is not None and low.high < high.low


def _result() -> Result[TemplatesFigures]:
    """Return the classifiers that ship, or train new ones where the photos are."""
    if not templates.here():
        st.caption(
            say("The photos to train on are not on this server: these classifiers ship with the program.")
        )
        return experiment_panel.shipped(Templates)
    seed = int(st.session_state.get("templates_seed", 0)) + 1
    result = experiment_panel.result(Templates, say("Train them here"), seed=seed)
    st.session_state.templates_seed = result.seed
    return result


def _decay(figures: TemplatesFigures) -> DecayFigures:
    """Let the reader choose a weight decay; return what was learnt with it."""
    rows = {f"{row.decay:g}": row for row in figures.decays}
    words = say("Weight decay: left noisy, right smooth")
    chosen = st.select_slider(words, list(rows), "0.1", key="templates.decay")
    return rows[str(chosen)]


def _break(figures: TemplatesFigures, row: DecayFigures) -> None:
    """Add one class's template to a picture until the classifier gives in."""
    net = templates.opened(row)
    left, right = st.columns([2, 3], gap="large")
    with left:
        x, before = _picture(net)
        names = [i for i in range(len(figures.classes)) if i != before]
        first = names.index(figures.classes.index("watch")) if before != 9 else 0
        if st.session_state.get("templates.target") not in names:  # the new picture is taken for it already
            st.session_state.pop("templates.target", None)
        preferences.keep("templates.target", names[first])
        words, titles = say("Add the template of"), {i: named(figures.classes[i]) for i in names}
        target = st.selectbox(words, names, format_func=titles.__getitem__, key="templates.target")
        least = net.least(x, target)
        st.button(
            say("Add just enough to fool it"),
            type="primary",
            on_click=_to,
            args=(least,),
            disabled=least is None,
        )
        alpha = st.slider(say("How much of it is added"), 0.0, 1.0, 0.0, 0.001, "%.3f", key="templates_alpha")
    with right:
        drawn.added(net, x, target, alpha, figures.classes)
        if least is None:
            st.caption(say("No amount up to 2 is enough."))
        else:
            st.caption(say("The least that fools it: {least}.", least=f"{least:g}"))


def _to(least: float) -> None:
    """Move the slider to what is just enough."""
    st.session_state.templates_alpha = min(least, 1.0)


def _picture(net: Linear) -> tuple[Floats, int]:
    """Return the picture chosen, as the classifier sees it, and what it is taken for."""
    own = st.session_state.get("subject_image") or DEFAULT.image
    names = list(dict.fromkeys([own, *image_picker.pictures()]))
    titles = {name: image_picker.picture_title(name) for name in names}
    taken = list(titles.values())
    for index, name in enumerate(names):  # two options alike would be taken for each other
        titles[name] += f" ({index + 1})" if taken.count(titles[name]) > 1 else ""
    key = f"templates.picture.{own}"
    preferences.keep(key, own)
    chosen = st.selectbox(say("Picture"), names, format_func=titles.__getitem__, key=key)
    x = templates.see(service.engine().picture(str(chosen)))
    return x, int(net.logits(x[None]).argmax())
