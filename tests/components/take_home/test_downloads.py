"""The part "Download" of the panel: the verdict stands on the button, and the file says the same again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import torch
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

import models
from attacks.contract import Stop
from engine.engine import Engine
from engine.export.making import Wanted
from engine.images import handwriting
from engine.images.sources import examine
from engine.recipe import Recipe
from engine.run import Run
from tests.support import small_model
from tests.support.browser import Playground

# Its change is far below a grey level: rounding takes all of it away.
FINE = Recipe("small", "cat", "bim", {"steps": 3, "step_size": 0.1 / 255}, stop=Stop("steps"))
PAGE = """
import streamlit as st
from app import service
from components.take_home import downloads
run = service.engine().run(st.session_state.run)
downloads.render(service.engine(), "/foolscope", run, "here")
"""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with small_model.behind_pages(monkeypatch) as engine:
        yield engine


def finished(engine: Engine, recipe: Recipe) -> Run:
    """Return a run that is over."""
    run = engine.submit(recipe)
    list(engine.follow(run))
    return run


def panel(run: Run, **state: object) -> AppTest:
    """Return the part for a run."""
    app = AppTest.from_string(PAGE, default_timeout=60)
    for name, value in {"run": run.id, "lang": "en", **state}.items():
        app.session_state[name] = value
    return app.run()


def labels(app: AppTest) -> list[str]:
    """Return what stands on the download buttons."""
    return [button.proto.label for button in app.get("download_button")]


def test_the_verdict_of_each_file_stands_on_its_button(engine: Engine) -> None:
    run = finished(engine, FINE)
    app = panel(run)
    assert not app.exception
    last = len(run) - 1
    for label, kind in zip(labels(app), ("network", "photo", "added"), strict=True):
        verdict = engine.export(run, Wanted(kind, last)).verdict  # type: ignore[arg-type]
        assert verdict.label in label and f"{100 * verdict.probability:.0f} %" in label
    assert labels(app)[0].startswith(f"Download · back to {run.labels[run.original]}")


def test_where_it_does_not_hold_one_press_makes_it(engine: Engine) -> None:
    run = finished(engine, FINE)
    app = panel(run)
    holds = [button for button in app.button if button.label == "Make it hold"]
    assert len(holds) == 2
    app = panel(run, **{f"here.{kind}.finished": True for kind in ("network", "photo")})
    for label, kind in zip(labels(app), ("network", "photo"), strict=False):
        export = engine.export(run, Wanted(kind, len(run) - 1, True))  # type: ignore[arg-type]
        assert export.verdict.success and export.verdict.label in label
        assert export.verdict.label != run.labels[run.original]


def test_what_is_downloaded_fools_and_brings_its_run_back(playground: Playground) -> None:
    playground.open("?run=shipped-hundred")
    part = playground.page.locator(".st-key-take_home_playground")
    part.get_by_text("Download", exact=True).click()
    button = part.get_by_role("button", name=re.compile("Download · vulture")).first
    expect(button).to_be_visible(timeout=60_000)
    promised = button.inner_text().split("vulture")[1].strip()
    with playground.page.expect_download() as caught:
        button.click()
    file = caught.value.path().read_bytes()

    card = models.card(models.FIRST)
    seen = handwriting.see(card, examine(file).picture, None, prepared=False)
    logits = models.load(models.FIRST)(torch.from_numpy(seen)[None])
    probability, index = logits.softmax(1).max(1)
    assert card.labels[int(index)] == "vulture"
    assert f"{100 * float(probability):.0f} %" == promised

    playground.open("?image=coffee")
    playground.drop({"name": "from-a-friend.png", "mimeType": "image/png", "buffer": file})
    playground.page.wait_for_url(re.compile("image=panda"))
    assert "target=vulture" in playground.page.url and "coffee" not in playground.page.url
    expect(playground.page.get_by_text("This picture came from here").first).to_be_visible()
