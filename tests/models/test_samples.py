"""The shelf of sample photos: what the first network calls them, and where its honest mistakes are shown."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import get_args

import pytest
from streamlit.testing.v1 import AppTest

import models
from app.lessons.tour.at_work import unnamed
from components.display.probability_bars import percent
from components.i18n.text import phrases
from engine.engine import Engine
from engine.images.sources import Group, samples
from engine.links import DEFAULT
from settings import SAMPLES

NETWORK = "efficientnet_lite0"
PHOTOS = [name for name, sample in samples().items() if sample.file and sample.channels == 3]
MISTAKES = [name for name, sample in samples().items() if sample.group == "mistakes"]
CHAPTER = "from app.lessons.tour.at_work import render\nrender()"


@pytest.fixture(scope="module")
def engine() -> Generator[Engine]:
    started = Engine()
    yield started
    started.close()


@pytest.mark.parametrize("name", PHOTOS)
def test_the_first_network_names_a_photo_rightly_unless_it_is_among_the_mistakes(
    name: str, engine: Engine
) -> None:
    top = engine.classify(NETWORK, name)[0]
    assert (top.label in samples()[name].shows) == (samples()[name].group != "mistakes"), top


def test_the_first_network_is_sure_of_the_dog_and_of_the_panda(engine: Engine) -> None:
    for name, label in (("dog", "German shepherd"), ("panda", "giant panda")):
        top = engine.classify(NETWORK, name)[0]
        assert top.label == label and top.probability > 0.95


def test_the_panda_comes_first_and_the_mistakes_last() -> None:
    names = list(samples())
    assert names[0] == "panda" == DEFAULT.image
    assert names[-len(MISTAKES) :] == MISTAKES and len(MISTAKES) > 3
    assert {sample.group for sample in samples().values()} == set(get_args(Group))


@pytest.mark.parametrize("name", samples())
def test_a_sample_has_its_papers_and_is_called_in_chinese_too(name: str) -> None:
    sample = samples()[name]
    assert all((sample.author, sample.licence, sample.source, sample.label, sample.alt))
    assert {sample.label, sample.alt} <= phrases("zh").keys()
    assert set(sample.shows) <= {label for net in (NETWORK, "photos") for label in models.card(net).labels}
    assert sample.file is None or (SAMPLES / sample.file).stat().st_size < 120_000


def chapter(image: str, network: str = NETWORK) -> AppTest:
    """Return chapter 1 as it opens."""
    app = AppTest.from_string(CHAPTER, default_timeout=120)
    app.query_params["model"], app.query_params["image"] = network, image
    assert not app.run().exception
    return app


def told(app: AppTest) -> str:
    """Return what chapter 1 says of the honest mistake that it shows."""
    (sentence,) = [m.value for m in app.markdown if "the network has no such name among its" in m.value]
    return sentence


def test_chapter_1_shows_the_honest_mistakes_that_the_network_has_no_name_for(engine: Engine) -> None:
    app = chapter("panda")
    for name in unnamed(models.card(NETWORK), "panda"):
        top = engine.classify(NETWORK, name)[0]
        (choice,) = [group for group in app.button_group if group.key == "at_work.shown"]
        answer = f"It says **{top.label}**, {percent(top.probability)}."
        choice.set_value(name).run()
        assert told(app) == f"{samples()[name].label}: the network has no such name among its 1,000. {answer}"


def test_chapter_1_shows_another_mistake_where_the_picture_is_one_or_the_network_knows_it() -> None:
    assert told(chapter("panda")).startswith("Astronaut:")
    assert told(chapter("astronaut")).startswith("Rocket:")
    assert told(chapter("panda", "photos")).startswith("Rocket:")


@pytest.mark.parametrize("card", [c for c in models.cards() if c.channels == 3 and not c.lab], ids=str)
def test_every_network_of_the_tour_lacks_a_name_for_what_chapter_1_shows(card: models.core.Card) -> None:
    for image in ("panda", *MISTAKES):
        names = unnamed(card, image)
        assert names and image not in names and set(names) <= set(MISTAKES)
    right = {label for name in unnamed(card, "panda") for label in samples()[name].shows}
    assert not right & set(card.labels)


def test_a_sample_from_another_folder_may_lack_the_facts_about_networks(tmp_path: Path) -> None:
    entry = '{"name": "a", "label": "A", "alt": "A", "author": "A", "licence": "CC0", "source": "A"}'
    (tmp_path / "index.json").write_text(f"[{entry}]")
    (sample,) = samples(tmp_path).values()
    assert sample.shows == () and sample.group == "" and sample.channels == 3
