"""Images by name, and what networks see of them: uploads, samples, and the images of other sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from weakref import WeakValueDictionary

from PIL import Image

from engine.history.records import Upload
from engine.images import handwriting
from engine.images.sources import PREPARED, UPLOAD, Source, Uploads, open_image
from engine.run import Floats
from engine.sentences import Said
from errors import HistoryFailed, UnknownName
from models.core import Card, Crop

Seen = tuple[str, str, str, Crop | None]
"""What tells two preprocessed images apart: model, hash of its weights, image, crop."""


class Pictures:
    """Opens and preprocesses images. ``stored`` returns an upload from the database, None where it is not
    there, and raises `errors.HistoryFailed`; ``sources``: where images may come from beside uploads and
    samples, by name."""

    def __init__(
        self, stored: Callable[[str], Upload | None], sources: Mapping[str, Source] | None = None
    ) -> None:
        self.uploads = Uploads()
        self._stored, self._sources = stored, dict(sources or {})
        # What runs of the same picture begin with is in memory once, for as long as one of them is.
        self._seen = WeakValueDictionary[Seen, Floats]()

    def open(self, image: str) -> Image.Image:
        """Return the upload, the sample or the image of a source called ``image`` (8-bit RGB).

        Raises `errors.UnknownName`.
        """
        self._bring_back(image)
        return open_image(image, self.uploads, sources=self._sources)

    def seen(self, card: Card, image: str, crop: Crop | None) -> Floats:
        """Return what the model of a card sees of an image: ``(c, size, size)`` in [0, 1]; raises as `open`
        does, and `errors.BadSetting` for a crop that is not inside the image."""
        key = card.name, card.weights.sha256, image, crop
        x = self._seen.get(key)
        if x is None:
            prepared = crop is not None and image.startswith(PREPARED)
            picture = self.open(image.removeprefix(PREPARED) if prepared else image)
            x = handwriting.see(card, picture, crop, prepared)
            if not image.removeprefix(PREPARED).startswith(UPLOAD):  # which may be deleted
                self._seen[key] = x
        return x

    def notes(self, image: str) -> tuple[Said, ...]:
        """Return what was noted when an upload was read, nothing for others; raises as `open` does."""
        self._bring_back(image)
        plain = image.removeprefix(PREPARED)
        return self.uploads.notes(plain) if plain.startswith(UPLOAD) else ()

    def upload(self, token: str) -> Upload | None:
        """Return an upload for the database, None where memory no longer has it."""
        if not self.uploads.holds(token):
            return None
        return Upload(self.uploads.packed(token), self.uploads.notes(token))

    def _bring_back(self, image: str) -> None:
        """Take an upload from the database if a stored run needs it and memory no longer has it."""
        token = image.removeprefix(PREPARED)
        if not token.startswith(UPLOAD) or self.uploads.holds(token):
            return
        try:
            upload = self._stored(token)
        except HistoryFailed as error:
            raise UnknownName(error.sentence, **error.facts) from error
        if upload:
            self.uploads.put(token, upload.png, upload.notes)
