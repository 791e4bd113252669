"""Draws every page, asks for everything about some runs, and prints what went wrong as JSON.

`tests.engine.remote.test_engines` runs it by a Python that has neither torch nor ray.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from starlette.applications import Starlette
from streamlit.testing.v1 import AppTest

from app import cli, lessons, service
from app.compare import spectra
from app.inside.parts import PARTS
from app.inside.people_part import TWIN
from app.routes import routes
from attacks.contract import Stop
from engine.base import EngineBase
from engine.recipe import Recipe
from engine.robustness.answers import corrupted_answers
from engine.robustness.transfer import transfers
from engine.run import Run
from engine.sharing.files import FILES
from errors import FoolscopeError
from tests.support.components import look_once

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

TO_NINE = {"steps": 12, "epsilon": 1.0, "step_size": 8 / 255}
RECIPES = (
    Recipe("photos", "cat", "bim", {"steps": 4}, stop=Stop("steps")),
    Recipe("lenet", "seven", "bim", TO_NINE, 9, Stop("steps")),
)
SCRIPTED = Recipe("efficientnet_lite0", "panda", "pgd", {"steps": 1}, stop=Stop("steps"))
"""One whose network code is written for; of it nothing else is asked."""
PAGES = ("playground", "compare", "catalogue", "evaluate", "my_runs", "teach")
DRAWN = {name: f"from app.{name}.page import render\nrender()" for name in PAGES}
LESSON = "from app import lessons\nlessons.registry()[{name!r}].render()"
DRAWN |= {name: LESSON.format(name=name) for name in lessons.registry()}
PRESSED = {"start", "start_compare", "start_evaluation", "teach.open"} | {
    *("gradient.press", "defences.press", "lenet_decay.press", "Add just enough to fool it")
}
"""Buttons, by key or else by label, that begin something which is no experiment."""
COMMANDS = (
    "classify panda",
    "attack cat --model photos --attack bim --set steps=3 --out {out}/run",
    "replay {out}/run/adversarial.png --out {out}/again",
    "experiments toy --cache {out}/cache --out {out}/toy.json",
)
EXPORTS = ("network.png?finished=1", "photo.png", "photo.jpg?finished=1", "added.png")
NOT_HERE = ("animation-slide.mp4", "animation-chat.mp4")
"""Files that need a package of requirements-more.txt."""
SCRIPTS = ("repeat.py", "repeat.zip", "repeat.ipynb")


def drawn(code: str) -> Iterator[str]:
    """Yield what went wrong with a page as it is opened, and after what is pressed."""
    app = AppTest.from_string(code, default_timeout=120)
    app.query_params |= {"model": "photos", "image": "cat"}
    app.session_state.ways = dict[str, object]()
    app.run()
    yield from (one.value for one in [*app.exception, *app.error])
    for button in [one for one in app.button if (one.key or one.label) in PRESSED]:
        after = button.click().run()
        yield from (one.value for one in [*after.exception, *after.error])


def addresses(run: Run) -> list[str]:
    """Return all that can be asked about a run."""
    if run.recipe == SCRIPTED:
        return [f"files/{name}" for name in SCRIPTS]
    files = [f"files/{name}" for name in FILES if name not in (*NOT_HERE, *SCRIPTS)]
    inside = [f"inside/{part}" for part in PARTS if part != TWIN or run.recipe.model == "photos"]
    pictures = [f"steps/3/{which}.png" for which in ("original", "perturbation", "adversarial")]
    return ["", "rows", *pictures, *inside, *files, *(f"export/{name}" for name in EXPORTS)]


def asked(client: TestClient, run: Run) -> Iterator[tuple[str, str]]:
    """Yield what about a run is refused or fails, and how."""
    for address in addresses(run):
        answer = client.get(f"/foolscope/runs/{run.id}/{address}".rstrip("/"))
        lines = answer.text.splitlines() if address.startswith("inside/") else []
        last = json.loads(lines[-1]) if lines else {}
        if answer.status_code != 200 or last.get("type") == "error":
            yield f"{run.recipe.model} {address}", (lines or [answer.text])[-1][:300]


def tables(engine: EngineBase, run: Run) -> dict[str, object]:
    """Return what tables below a run are made of, by name."""
    return {
        "corruptions": len(corrupted_answers(engine, run)),
        "networks": [str(one) for one in transfers(engine, run) if isinstance(one, FoolscopeError)],
        "spectrum": spectra.spectrum(run, "").composition.shares,
    }


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield which command lines do not end well, and what they print."""
    with tempfile.TemporaryDirectory() as folder:
        for line in COMMANDS:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                status = cli.main(line.format(out=folder).split())
            if status:
                yield line, [printed.getvalue()[-300:]]


def installed(name: str) -> bool:
    """Say whether a package is installed."""
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def main() -> None:
    """Print what is installed, how many addresses were asked, what went wrong, by its name, and the tables of
    each run."""
    look_once()
    engine, shown, count = service.engine(), dict[str, object](), 0
    wrong = {name: problems for name, code in DRAWN.items() if (problems := list(drawn(code)))}
    with TestClient(Starlette(routes=routes())) as client:
        for recipe in (*RECIPES, SCRIPTED):
            run = engine.submit(recipe)
            list(engine.follow(run))
            count += len(addresses(run))
            wrong |= {name: [problem] for name, problem in asked(client, run)}
            shown |= {recipe.model: tables(engine, run)} if recipe != SCRIPTED else {}
    engine.close()
    wrong |= dict(commands())  # each has an engine of its own
    there = [name for name in ("torch", "torchvision", "ray") if installed(name)]
    print(json.dumps({"installed": there, "asked": count, "wrong": wrong, "tables": shown}))


if __name__ == "__main__":
    main()
