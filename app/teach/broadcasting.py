"""Ask everybody in a room to run the same: from a link, or from what is chosen here."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import streamlit as st

import attacks
import models
from app import service
from app.evaluate.controls import TARGETS
from app.teach import problems
from components.display import attack_families
from components.i18n.text import say
from components.widgets import class_picker
from engine import links
from engine.images.sources import samples
from engine.rooms import permission
from engine.rooms.records import Room
from errors import BadSetting

LEVELS = 255
WORDS = 200
"""Characters of what is said with it, at most."""
NO_LINK = "Expected a link of the playground, with a picture, a network and an attack in it."
READER = ("lang", "register", "present", "run", "runs", "witness", "twin", "mode", "embed")
"""Parts of an address that are no part of what is run."""
EVERYBODY = "Everybody sees it above their own controls, and starts it with one press."


def show(room: Room) -> None:
    """Draw what is asked now, and let the teacher ask for something."""
    _now(room)
    st.caption(say(EVERYBODY))
    link = st.text_input(
        say("A link from the playground"),
        key=f"teach.ask.link.{room.code}",
        placeholder=say("paste it here, or choose below"),
        max_chars=4000,
    )
    chosen = {} if link else _chosen(room)
    words = st.text_input(
        say("What you say with it"),
        max_chars=WORDS,
        key=f"teach.ask.words.{room.code}",
        placeholder=say("everyone, now"),
    )
    if st.button(say("Ask everybody to run this"), type="primary", key="teach.ask"):
        problems.carry_out(lambda: _ask(room, parsed(link) if link else chosen, words))
        st.rerun()


def _now(room: Room) -> None:
    """Say what is asked now, and let the teacher take it back."""
    if room.broadcast is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="teach_asked"):
        st.markdown(say("Asked now: {what}", what=_described(room.broadcast.query, room.broadcast.words)))
        if st.button(say("Take it back"), key="teach.take_back"):
            problems.carry_out(lambda: service.rooms().broadcast(room.code, None))
            st.rerun()


def _described(query: Mapping[str, str], words: str) -> str:
    """Return in one line what a link's query asks for."""
    recipe = links.read(query).recipe
    image = say(samples()[recipe.image].label) if recipe.image in samples() else recipe.image
    parts = [words, image, models.card(recipe.model).title, attack_families.called(recipe.attack)]
    parts += [f"{name} {query[name]}" for name in ("target", "epsilon", "steps") if name in query]
    return " · ".join(filter(None, parts))


def parsed(link: str) -> dict[str, str]:
    """Return the query of a link without what concerns its reader; raises `errors.BadSetting`."""
    query = dict(parse_qsl(urlsplit(link.strip()).query))
    if "attack" not in query and "image" not in query:
        raise BadSetting(NO_LINK)
    return {name: text for name, text in query.items() if name not in READER}


def _ask(room: Room, query: dict[str, str], words: str) -> None:
    permission.check(room.allowed, links.checked(query).recipe, ())
    service.rooms().broadcast(room.code, query, words)


def _chosen(room: Room) -> dict[str, str]:
    """Let the teacher choose picture, network, attack, target, budget and steps."""
    allowed = room.allowed
    left, right = st.columns(2)
    with left:
        images = {
            s.name: say(s.label) for s in samples().values() if not allowed.images or s.name in allowed.images
        }
        image = _one(room, "image", say("Picture"), images, links.DEFAULT.image)
        attack = _one(
            room, "attack", say("Attack"), {n: attack_families.called(n) for n in allowed.attacks}, "pgd"
        )
    with right:
        networks = {name: models.card(name).title for name in allowed.models}
        model = _one(room, "model", say("Network"), networks, models.FIRST)
        target = _target(room, model)
    return {"image": image, "model": model, "attack": attack, "target": target, **_settings(room, attack)}


def _one(room: Room, name: str, words: str, titles: Mapping[str, str], usual: str) -> str:
    names = list(titles)
    first = names.index(usual) if usual in titles else 0
    place = f"teach.ask.{name}.{room.code}"
    if st.session_state.get(place) not in titles:
        st.session_state[place] = names[first]
    return str(st.selectbox(words, names, format_func=titles.__getitem__, key=place))


def _target(room: Room, model: str) -> str:
    classes, _ = class_picker.titled(models.card(model).labels)
    titles = {name: say(words) for name, words in TARGETS.items()} | dict(classes)
    return _one(room, f"target.{model}", say("Make it say"), titles, links.ANYTHING)


def _settings(room: Room, attack: str) -> dict[str, str]:
    """Let the teacher choose the budget and the steps of an attack that has them."""
    known = {setting.name: setting for setting in attacks.get(attack).settings()}
    budget, steps = known.get("epsilon"), known.get("steps")
    place = f"teach.ask.{{}}.{attack}.{room.code}".format
    query: dict[str, str] = {}
    left, right = st.columns(2)
    if budget is not None and budget.unit == "level":
        usual = round(LEVELS * min(budget.default, room.allowed.epsilon or 1), 3)
        words = say("Largest change, in 255ths")
        with left:
            level = st.number_input(words, 0.0, 255.0, usual, 0.5, format="%g", key=place("epsilon"))
        query[budget.name] = f"{level:g}/{LEVELS}"
    if steps is not None:
        usual_steps = min(steps.default, room.allowed.steps)
        with right:
            query[steps.name] = str(st.number_input(say("Steps"), 1, None, usual_steps, key=place("steps")))
    return query
