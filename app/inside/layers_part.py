"""“Where it parts”: layer by layer, how far the attack took the picture; and the channels that it moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

import numpy as np
from PIL import Image

from app.inside import shelf
from app.inside.looking import Line, Look, as_address, numbers
from components.i18n.text import named, say_in
from engine.inside.channels import (
    ChannelChange,
    ChannelChanges,
    Peaks,
    Seen,
    ShelfPeaks,
    has_places,
    strongest,
)
from engine.inside.classes import other_class
from engine.inside.layers import Distances, LayerProfile, Profile
from engine.inside.pace import Progress
from engine.render import to_image
from engine.run import Floats
from errors import BadSetting

PART = "layers"
COURSE = 8
"""Steps of the run whose profiles are shown beside the one that is looked at, at most."""
PATCHES, PATCH = 4, 96
"""Parts of pictures that are shown for a channel, and their side in pixels."""


def lines(look: Look) -> Iterator[Line]:
    """Yield the layers and the profile at the step, then the channels that moved most in one layer, then
    profiles along the run. ``?layer=``: the number of that layer, by default `usual_layer`; ``?photo=``: the
    picture of the target's class that is compared with, by its name, see `shelf.chosen`."""
    label = other_class(look.run, look.step)
    photo = shelf.chosen(look, label)
    now = profile(look, look.step, photo)
    yield _heading(look, now, label, photo)
    yield _profile(look.step, now)
    yield from _channels(look, now, _chosen(look, now))
    for step in course(look):
        yield _profile(step, profile(look, step, photo))


def profile(look: Look, step: int, photo: shelf.ShelfPicture | None) -> Profile:
    """Return the profile at a step, remembered."""
    question = LayerProfile(look.picture(0), look.picture(step), photo.picture if photo else None)
    answers = look.ask(question, photo.name if photo else "", step=step, part=PART)
    (answer,) = [answer for answer in answers if not isinstance(answer, Progress)]
    return answer


def course(look: Look) -> list[int]:
    """Return steps along the run, `COURSE` at most, evenly spaced, each with a picture of its own."""
    last = len(look.run) - 1
    spread = np.rint(np.linspace(min(1, last), last, COURSE)).astype(int).tolist()
    return sorted({look.run.picture_step(step) for step in spread} - {0})


def usual_layer(answer: Profile) -> int:
    """Return the layer whose channels are shown first: the last one with places, up to where the picture
    parts; the last but one where none has places."""
    upto = len(answer.layers) if answer.parting is None else answer.parting + 1
    places = [index for index, layer in enumerate(answer.layers[:upto]) if has_places(layer.shape)]
    return places[-1] if places else max(0, len(answer.layers) - 2)


def _chosen(look: Look, answer: Profile) -> int:
    text = look.query.get("layer", "")
    if not text:
        return usual_layer(answer)
    if not text.isdecimal() or len(text) > 4 or int(text) >= len(answer.layers):
        raise BadSetting(
            "Expected a layer from 0 to {last}, got “{got}”.", last=len(answer.layers) - 1, got=text[:40]
        )
    return int(text)


def _heading(look: Look, now: Profile, label: int, photo: shelf.ShelfPicture | None) -> Line:
    names = look.run.labels
    return {
        "type": "layers",
        "layers": [
            {"name": layer.name.removeprefix("network."), "kind": layer.kind, "shape": layer.shape}
            for layer in now.layers
        ],
        "network": now.network,
        "original": named(names[look.run.original], look.language),
        "other": named(names[label], look.language),
        "photo": None if photo is None else photo.name,
        "photos": [_photo(look, one) for one in shelf.of_class(look, label)],
    }


def _photo(look: Look, one: shelf.ShelfPicture) -> Line:
    own = one.name.startswith(shelf.RUN)
    title = say_in(look.language, "from one of your runs") if own else one.name
    return {"name": one.name, "title": title, "picture": _shown(one.picture)}


def _profile(step: int, answer: Profile) -> Line:
    pairs = ("changed", "noise", "photo", "towards")
    curves = {name: _curves(getattr(answer, name)) for name in pairs}
    return {"type": "profile", "step": step, "parting": answer.parting} | curves


def _curves(distances: Distances | None) -> Line | None:
    if distances is None:
        return None
    return {part.name: numbers(getattr(distances, part.name)) for part in fields(distances)}


def _channels(look: Look, now: Profile, index: int) -> Iterator[Line]:
    layer = now.layers[index].name
    question = ChannelChanges(look.picture(0), look.picture(), layer)
    (changes,) = look.ask(question, layer, part="channels")
    peaks: list[Peaks] = []
    for answer in _peaks(look, layer):
        if isinstance(answer, Progress):
            yield {"type": "progress", "done": answer.done, "of": answer.total}
        else:
            peaks.append(answer)
    (side,) = look.ask(Seen(look.picture(0), layer), layer, step=0, part="seen")
    shown = [_channel(look, change, peaks, side) for change in changes]
    share = side / look.run.start.shape[-1]
    yield {"type": "channels", "layer": index, "seen": share, "pixels": side, "channels": shown}


def _peaks(look: Look, layer: str) -> Iterator[Progress | Peaks]:
    """Yield the peaks of the shelf's pictures; they are the network's, whichever the run."""
    return look.ask_network(ShelfPeaks(shelf.batch(look.run.recipe.model), layer), "peaks", layer)


def _channel(look: Look, change: ChannelChange, peaks: Sequence[Peaks], side: int) -> Line:
    pictures = shelf.pictures(look.run.recipe.model)
    best = strongest(peaks, change.channel, PATCHES)
    patches = [patch(pictures[one.picture].picture, one.places[change.channel], side) for one in best]
    figures = dict(zip(("clean", "attacked", "noise", "size"), _figures(change), strict=True))
    return {
        "channel": change.channel,
        "patches": patches,
        "names": [pictures[one.picture].name for one in best],
    } | figures


def _figures(change: ChannelChange) -> tuple[float, float, float, float]:
    return change.clean, change.attacked, change.noise, change.size


def patch(picture: Floats, place: Floats, side: int) -> str:
    """Return, as a data URL, the square of ``side`` pixels around ``place`` (fractions of height and width),
    moved inside the picture."""
    size = picture.shape[-1]
    top, left = (min(max(round(float(at) * size - side / 2), 0), size - side) for at in place)
    return _shown(picture[:, top : top + side, left : left + side])


def _shown(picture: Floats) -> str:
    small = to_image(picture).resize((PATCH, PATCH), Image.Resampling.BICUBIC)
    return as_address(small, "jpg")
