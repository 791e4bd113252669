"""What every page that attacks something begins with: the picture, the network and the goal."""

from __future__ import annotations

import streamlit as st

from app.access import base
from app.playground.session import Session
from components import embedding
from components.i18n.text import say
from components.widgets import controls, recipe_fields
from components.widgets.ensemble_picker import with_others
from components.widgets.gallery import Item, gallery
from components.widgets.word_box import with_words
from engine.images.sources import samples
from models.added import words


def subject(session: Session) -> None:
    """Let the person choose a picture, a network and a target."""
    session.find_picture()
    _image(session)
    chosen = session.card.parts[0] if session.card.parts else session.recipe.model
    first = with_words(controls.model_picker(words.parsed(chosen).base), chosen)
    session.model(with_others(first, session.recipe.model))
    session.look()
    session.change(target=controls.target_picker(session.card, session.ranking, session.target()))


def phone_bar(session: Session) -> bool:
    """Show, where the sidebar is a drawer, what a first run takes: a picture, a target, Run; return whether
    Run was pressed. What is chosen here shows in the sidebar too, and the other way round."""
    with st.container(key="phone_bar"):
        with st.container(key="phone_picture", horizontal=True):
            _gallery(session, "phone_gallery", strip=True)
            # A phone offers its camera where nothing but pictures is taken.
            shot = st.file_uploader(
                say("Photo or camera"),
                type="image/*",
                key="phone_upload",
                label_visibility="collapsed",
                max_upload_size=20,
            )
            session.upload(shot, "phone")
        _noted(session, "phone")
        with st.container(key="phone_run", horizontal=True):
            controls.target_picker_again(session.card, session.ranking)
            return st.button(say("Run"), type="primary", key="phone_start")


def _gallery(session: Session, key: str, strip: bool = False) -> None:
    items = [
        Item(name=s.name, label=say(s.label), url=f"{base()}/samples/{s.name}.jpg", group=s.group)
        for s in samples().values()
    ]
    picked = gallery(items, session.recipe.image, key, strip)
    if picked and picked != session.recipe.image:
        session.image(picked)
        st.rerun()


def _image(session: Session) -> None:
    with st.container(key="shelf"):  # whose height is reserved, so that nothing below jumps
        _gallery(session, "gallery")
    file = st.file_uploader(
        say("Drop a photo"), type=None, key="upload", label_visibility="collapsed", max_upload_size=20
    )
    session.upload(file, "file")
    _noted(session, "file")
    with st.expander(say("Crop and camera"), key="crop_and_camera"):
        session.change(**recipe_fields.show(session.recipe, "crop"))
        st.image(session.framed(), caption=say("The network sees what is in the frame."))
        if embedding.camera_given():
            _camera(session)


def _camera(session: Session) -> None:
    if not st.toggle(say("Use the camera"), key="use_camera"):
        return
    shot = st.camera_input(say("Take a picture"), key="camera", label_visibility="collapsed")
    session.upload(shot, "shot")
    if embedding.embedded():
        words = "No camera here? The page around this one has to allow it; in a tab of its own it works."
        embedding.in_a_tab(session.query(), say(words))


def _noted(session: Session, place: str) -> None:
    """Say how the picture was read and that a photo of a digit is prepared as MNIST does; let the person undo
    that. ``place``: where on the page, one of several."""
    for note in session.notes():
        st.caption(note)
    if not session.preparable():
        return
    wanted = st.toggle(
        say("Prepared as MNIST does: light on black, centred"),
        session.prepared,
        key=f"prepared.{place}.{session.recipe.image}",
        help=say(
            "The network learnt from digits that are light on black, 20 pixels high and centred by their "
            "mass. Off: the photo as it is, only made small."
        ),
    )
    if wanted is not session.prepared:
        session.prepare(wanted)
        st.rerun()
