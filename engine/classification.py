"""What a network says of images: every class with its probability, for one image or for a folder of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

import numpy as np
from PIL import Image

import models
from engine.images import handwriting
from engine.run import Floats, Prediction
from errors import FoolscopeError
from models.core import Card, Crop

READERS = 2
"""Threads that read the images of a batch: as many as may decode at once (`engine.images.sources`)."""
REMEMBERED = 512
"""Rankings that are remembered."""
Logits = Callable[[str, Floats], Floats]
"""Maps the name of a model and images ``(n, c, h, w)`` in [0, 1] to logits ``(n, classes)``."""
Open = Callable[[], Image.Image]
"""Opens an image, or raises `errors.FoolscopeError`."""


class Rankings:
    """Remembers how models rank the classes of images. ``see`` gives the array ``(c, size, size)`` in
    [0, 1] that a model of that card sees of a named image."""

    def __init__(self, logits: Logits, see: Callable[[Card, str, Crop | None], Floats]) -> None:
        self._logits, self._see = logits, see
        self._known: OrderedDict[tuple[str, str, str, Crop | None], list[Prediction]] = OrderedDict()

    def of(self, model: str, image: str, crop: Crop | None) -> list[Prediction]:
        """Return every class of the model with its probability, the most probable first."""
        card = models.card(model)
        key = (model, card.weights.sha256, image, crop)
        known = self._known.get(key)
        if known is None:
            logits = self._logits(model, self._see(card, image, crop)[None])[0]
            self._known[key] = known = ranking(logits, card)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return known


def ranking(logits: Floats, card: Card, k: int | None = None) -> list[Prediction]:
    """Return the ``k`` most probable classes of logits ``(classes,)``, or all, the most probable first."""
    p = np.exp(logits - logits.max())
    p /= p.sum()
    order = np.argsort(-p, kind="stable")[:k]
    return [Prediction(i, card.labels[i], q) for i, q in zip(order.tolist(), p[order].tolist(), strict=True)]


def classify_many(
    logits: Logits,
    card: Card,
    images: Iterable[Open],
    crop: Crop | None,
    k: int,
    rows: int,
    prepare: Callable[[Image.Image], bool] | None,
) -> Iterator[list[Prediction] | FoolscopeError]:
    """Yield, for each image in order, its ``k`` most probable classes, or why it could not be read.

    ``rows`` images share a forward pass, during which threads read the next ones; more are never in memory.
    ``prepare`` says which images are to be prepared as MNIST does; None: none.
    """
    coming = iter(images)
    preprocess = partial(_preprocess, card, crop, prepare)
    pool = ThreadPoolExecutor(READERS)
    try:
        reading = [pool.submit(preprocess, image) for image in islice(coming, rows)]
        while reading:
            batch = [future.result() for future in reading]
            reading = [pool.submit(preprocess, image) for image in islice(coming, rows)]
            yield from _ranked(logits, card, batch, k)
    finally:
        pool.shutdown(cancel_futures=True)


def _ranked(
    logits: Logits, card: Card, batch: list[Floats | FoolscopeError], k: int
) -> Iterator[list[Prediction] | FoolscopeError]:
    """Classify what could be read in one batch; pass on why the others could not."""
    xs = [x for x in batch if isinstance(x, np.ndarray)]
    answers = iter(logits(card.name, np.stack(xs)) if xs else ())
    for x in batch:
        yield ranking(next(answers), card, k) if isinstance(x, np.ndarray) else x


def _preprocess(
    card: Card, crop: Crop | None, prepare: Callable[[Image.Image], bool] | None, open_image: Open
) -> Floats | FoolscopeError:
    """Return what the network sees of an image, or why it cannot be read."""
    try:
        image = open_image()
        return handwriting.see(card, image, crop, prepare is not None and prepare(image))
    except FoolscopeError as error:
        return error
