"""What one visitor has chosen, between reruns of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st
from PIL import Image

import attacks
import models
from app.playground import transfer_check
from components import address
from components.i18n.text import say, told
from components.owner import owner
from components.widgets import ensemble_picker
from components.widgets.controls import default_target
from components.widgets.unknown_names import Refusals
from engine import links
from engine.base import EngineBase
from engine.export.carried import entering
from engine.export.restore import restore
from engine.fields import usual_stop
from engine.images.handwriting import dark_on_light
from engine.images.sources import PREPARED, UPLOAD, samples
from engine.recipe import FIELDS, Recipe
from engine.render import framed
from engine.run import Prediction
from engine.sentences import Said
from errors import BadImage, BadRecipe, FoolscopeError, MissingData, UnknownName, WeightsError
from models.core import Card, Crop

ALONE = "1"
"""What stands for the twin's run before there is one."""
PHOTOS = (UPLOAD, "photo:")
"""How the names of pictures begin that may show writing on paper."""
CROP_KEYS = ("crop.x", "crop.y", "crop.size")
WIDGETS = {"model", "attack", "stop_at", "stop_times", "part", "region_x", "region_y", *CROP_KEYS} | {
    field.name for field in FIELDS
}
"""The keys of the widgets that say what the address says; those of targets and settings begin with theirs."""
BESIDE = ("lang", "register", "mode", "runs")
"""Parts of the address of a page with a recipe that are not of the recipe."""


class Session:
    """The recipe being composed, the run being shown, and what went wrong on the way."""

    def __init__(self, engine: EngineBase, link: links.Link) -> None:
        self.engine, self.recipe, self.run = engine, link.recipe, link.run
        self.wanted, self.present, self.witness = link.target, link.present, link.witness
        self.twin = link.twin
        self.problems: list[str] = []
        self.refusals = Refusals()
        for part, error in link.refused.items():
            self.refusals.add(part, error)
        self.ranking: list[Prediction] = []
        self._own: str | None = None
        self._seen_files: dict[str, str] = {}
        self._forget: tuple[str, ...] = ()
        self._uploaded: list[str] = []
        self._welcome_back: Said | None = None

    @classmethod
    def current(cls, engine: EngineBase) -> Session:
        """Return this visitor's session: kept from the last rerun, or read from the address."""
        if "session" not in st.session_state:
            return cls._read(engine)
        session: Session = st.session_state.session
        if address.returned() and not session._at(st.query_params.to_dict()):
            address.forget(_of_the_recipe)
            fresh = cls._read(engine)
            fresh._own, fresh._seen_files = session._own, session._seen_files
            fresh._uploaded = session._uploaded
            return fresh
        session.engine = engine
        for key in session._forget:
            st.session_state.pop(key, None)
        session._forget = ()
        return session

    @classmethod
    def _read(cls, engine: EngineBase) -> Session:
        """Return a session that the address describes, from now on this visitor's."""
        fresh = cls(engine, links.read(st.query_params.to_dict()))
        st.session_state.session = fresh
        st.session_state.target_chosen = fresh.wanted is not None
        fresh._attach()
        return fresh

    def _at(self, query: Mapping[str, str]) -> bool:
        """Return whether an address leads here; what it says beside recipe and run (who reads, which attacks
        are compared) does not count."""
        mine = self.query()
        return {name: text for name, text in query.items() if name not in BESIDE} == mine

    @property
    def card(self) -> Card:
        """Return the chosen network's card."""
        return models.card(self.recipe.model)

    @property
    def params(self) -> dict[str, Any]:
        """Return the attack's settings as chosen so far."""
        return dict(self.recipe.params)

    def framed(self) -> Image.Image:
        """Return the whole picture with a frame around what the network sees of it."""
        crop = self.recipe.crop or self.usual_crop
        if self.prepared and not self.recipe.crop:
            return self.engine.picture(self.recipe.image)
        return framed(self.engine.picture(self._plain_image), crop)

    @property
    def usual_crop(self) -> Crop:
        """Return what the network sees of the picture without a crop."""
        return entering(self.card, self.engine.picture(self._plain_image)) or self.card.default_crop()

    @property
    def _plain_image(self) -> str:
        return self.recipe.image.removeprefix(PREPARED)

    @property
    def prepared(self) -> bool:
        """Return whether the picture is prepared as MNIST does."""
        return self.recipe.image.startswith(PREPARED)

    def preparable(self) -> bool:
        """Return whether the picture could be: a photo, for a network that reads digits."""
        return self.card.reads_digits and self._plain_image.startswith(PHOTOS)

    def prepare(self, wanted: bool) -> None:
        """Prepare the picture as MNIST does, or take it as it is; the crop stays."""
        self.recipe = replace(self.recipe, image=PREPARED * wanted + self._plain_image)
        self.run = None

    def notes(self) -> list[str]:
        """Return what was noted when the picture was read, and what came back with it."""
        back = [self._welcome_back] if self._welcome_back else []
        return [say(template, **facts) for template, facts in [*self.engine.notes(self.recipe.image), *back]]

    def told(self, **more: object) -> list[str]:
        """Return what there is to tell the person: what went wrong just now, once, and what the address named
        in vain, until that is changed. ``more``: what else is on the page, by its part of the address."""
        problems, self.problems = self.problems, []
        return [*self.refusals.sentences(self._parts() | more), *problems]

    def _parts(self) -> dict[str, object]:
        """Return what each part of the address now stands for, and whatever else decides what it means."""
        recipe, chosen = self.recipe, st.session_state.target_chosen
        settings: dict[str, object] = dict.fromkeys(self.refusals.parts(), (recipe.attack, None))
        settings |= {name: (recipe.attack, value) for name, value in recipe.params.items()}
        fields = {field.name: getattr(recipe, field.name) for field in FIELDS}
        return (
            settings
            | fields
            | {
                "model": recipe.model,
                "image": recipe.image,
                "attack": recipe.attack,
                "target": (recipe.model, recipe.target, chosen),
                "crop": (recipe.model, recipe.image, recipe.crop),
                "run": self.run,
                "witness": transfer_check.shown(recipe.model, self.witness),
            }
        )

    def image(self, name: str) -> None:
        """Take another picture; the run shown before belongs to the old one."""
        self.recipe = replace(self.recipe, image=name, crop=None)
        self.run, self._forget, self._welcome_back = None, CROP_KEYS, None

    def upload(self, file: Any, kind: str) -> None:
        """Take a picture that was just dropped or taken; a bad one changes nothing but says why."""
        if file is None or self._seen_files.get(kind) == file.file_id:
            return
        self._seen_files[kind] = file.file_id
        try:
            name = self.engine.uploads.add(file.getvalue(), file.name)
        except BadImage as error:
            self.problems.append(told(error))
            return
        self.image(self._for(self.card, name))
        self._restore(name)
        self._uploaded.append(name)
        st.rerun()

    def _restore(self, name: str) -> None:
        """Bring back the run's recipe that an upload carries, if it carries one; a bad one is said."""
        carried = self.engine.uploads.carried(name)
        if carried is None:
            return
        try:
            restored = restore(self.engine, carried, name, self._uploaded)
        except BadRecipe as error:
            self.problems.append(told(error))
            return
        self.recipe = restored.recipe
        self._welcome_back = restored.note
        target = self.recipe.target
        self.wanted = links.ANYTHING if target is None else self.card.labels[target]
        st.session_state.target_chosen = True
        self._forget = tuple(key for key in map(str, st.session_state) if _of_the_recipe(key))

    def model(self, name: str) -> None:
        """Take another network; the target goes along when the new one knows it."""
        if name == self.recipe.model:
            return
        if self.recipe.target is not None:
            self.wanted = self.card.labels[self.recipe.target]
        self.recipe = replace(self.recipe, model=name, crop=None, target=None, image=self._fitting(name))
        self.run, self._forget = None, CROP_KEYS
        st.rerun()

    def find_picture(self) -> None:
        """Make sure that the picture is there: a link may name one that never was, or is gone."""
        try:
            self.engine.picture(self.recipe.image)
        except (UnknownName, BadImage, MissingData) as error:
            self.refusals.add("image", error)
            self.image(links.DEFAULT.image)

    def look(self) -> None:
        """Classify the picture; without weights the page goes on with what is in the box."""
        recipe = self.recipe
        try:
            self._load(recipe.model)
            self.ranking = self.engine.classify(recipe.model, recipe.image, recipe.crop)
            return
        except WeightsError as error:
            self.refusals.add("model", error, "The page goes on with the network that needs no download.")
            self.recipe = replace(recipe, model=links.DEFAULT.model, crop=None, target=None)
            self._forget = ("model", *ensemble_picker.keys_of(recipe.model), *CROP_KEYS)
            self.run = None
            st.rerun()

    def target(self) -> int | None:
        """Return the class to offer as target: the one that was chosen, or a startling one."""
        if self.recipe.target is not None and st.session_state.target_chosen:
            return self.recipe.target
        return default_target(self.card, self.ranking, self.wanted, self.recipe.seed)

    def attack(self, name: str) -> None:
        """Take another attack, at its defaults."""
        if name == self.recipe.attack:
            return
        if self.recipe.stop == usual_stop(self.recipe.attack):
            self.recipe = replace(self.recipe, stop=usual_stop(name))
            st.session_state.stop = self.recipe.stop.rule
        self.recipe = replace(self.recipe, attack=name, params={})

    def change(self, **parts: Any) -> None:
        """Change parts of the recipe; another crop is another picture."""
        if parts.get("crop", self.recipe.crop) != self.recipe.crop:
            self.run = None
        self.recipe = replace(self.recipe, **parts)

    def start(self) -> None:
        """Start the recipe as a run, and on the network's twin if that is shown; what this visitor had going
        gives way."""
        for run in filter(None, (self._own, self.twin_run())):
            self._end(run)
        try:
            self.run = self._own = self.engine.submit(self.recipe, owner=owner()).id
            if self.twin is not None and self.card.twin:
                self.twin = ALONE
                twin = replace(self.recipe, model=self.card.twin)
                self.twin = self.engine.submit(twin, owner=owner()).id
        except FoolscopeError as error:
            self.problems.append(told(error))

    def beside(self, wanted: bool) -> None:
        """Show the network's twin beside it, or no longer."""
        if wanted is not (self.twin is not None):
            self.twin = ALONE if wanted else None

    def twin_run(self) -> str | None:
        """Return the twin's run; None where there is none, or none of this page's run, or it is forgotten."""
        if self.run is None or self.twin in (None, ALONE):
            return None
        try:
            return self.engine.run(self.twin or "").id
        except UnknownName:
            self.twin = ALONE
            return None

    def query(self) -> dict[str, str]:
        """Return the address of what is shown."""
        query = links.write(self.recipe, self.run)
        query |= {"witness": self.witness} if self.witness else {}
        query |= {"twin": self.twin} if self.twin else {}
        return query | ({"present": "1"} if self.present else {})

    def _fitting(self, model: str) -> str:
        """Return the picture to go on with: a digit for a digit network, a photo for the others."""
        known, channels = samples(), models.card(model).channels
        image = self.recipe.image
        if image not in known:
            return self._for(models.card(model), self._plain_image)
        if known[image].channels == channels or known[image].kind:
            return image
        return next(name for name, sample in known.items() if sample.channels == channels)

    def _for(self, card: Card, image: str) -> str:
        """Return how ``card``'s network takes a picture at first: if it reads digits, writing on paper is
        prepared as MNIST does."""
        if card.reads_digits and image.startswith(PHOTOS) and dark_on_light(self.engine.picture(image)):
            return PREPARED + image
        return image

    def _attach(self) -> None:
        """Find the run that the address names, and take its recipe."""
        if self.run is None:
            return
        try:
            recipe: Recipe = self.engine.run(self.run).recipe
        except UnknownName as error:
            self.refusals.add("run", error)
            self.run = None
        else:
            self.recipe = recipe
            st.session_state.target_chosen = True
            labels = models.card(recipe.model).labels
            self.wanted = links.ANYTHING if recipe.target is None else labels[recipe.target]

    def _end(self, key: str) -> None:
        try:
            self.engine.cancel(self.engine.run(key))
        except UnknownName:
            self._own = None

    def _load(self, name: str) -> None:
        if self.engine.loaded(name):
            return
        with st.spinner(say("Loading {network}…", network=self.card.title)):
            bar = st.empty()

            def show(done: int, total: int) -> None:
                if total:
                    sizes = {"done": f"{done / 1e6:.0f}", "total": f"{total / 1e6:.0f}"}
                    bar.progress(min(done / total, 1.0), say("{done} of {total} MB", **sizes))

            self.engine.load(name, show)
            bar.empty()


def _of_the_recipe(key: str) -> bool:
    """Return whether a widget with this key says a part of the recipe."""
    head = key.partition(".")[0]
    return key in WIDGETS or head in ("target", "together", "kind", "words") or head in attacks.registry()
