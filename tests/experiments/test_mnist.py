"""MNIST is fetched, verified, shared and used; without it no page is in the way and no link leads astray.

What is fetched here are small files of the same layout, from a server on the loopback address.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import re
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from torchvision.datasets import MNIST

import settings
from app import lessons, service
from app.lessons.tilting_boundary import tilt
from app.lessons.tilting_boundary.tilt_view import Picked
from engine import links
from errors import MissingData, UnknownName
from experiments.__main__ import main
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Progress, Result, Stage, run, walk
from experiments.datasets import digit_sets, mnist
from experiments.datasets.mnist import File
from experiments.datasets.shipped_digits import one_of_class, shipped_digits
from tests.support.file_server import Server

LINE = "Without MNIST this computes on scikit-learn's small digits."
BUTTON = "Fetch MNIST (11 MB)"
COMPUTING = {
    "adversarial_training", "any_digit", "calibration", "depth", "features", "lenet_decay", "losses",
    "memorisation", "rarity", "resistance", "smallest", "stability", "transfer", "units",
}  # fmt: skip
"""The lessons with a button that computes on digits; the tilting boundary computes what a reader chooses."""
PAGE = "from app import lessons\nlessons.registry()[{!r}].render()"
HREF = re.compile(r'href="(\./\?[^"]*)"')


def idx(values: np.ndarray) -> bytes:
    """Return bytes as a packed idx file."""
    head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    return gzip.compress(head + values.tobytes(), 1)


def small_mnist() -> dict[str, bytes]:
    """Return four files of scikit-learn's digits, in the layout of MNIST's."""
    files, found = {}, digit_sets.digits(digit_sets.SMALL)
    for part, x, y in (("train", found.train_x, found.train_y), ("t10k", found.test_x, found.test_y)):
        files[f"{part}-images-idx3-ubyte.gz"] = idx((x[:, 0] * 255).round().byte().numpy())
        files[f"{part}-labels-idx1-ubyte.gz"] = idx(y.byte().numpy())
    return files


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data folder, and empty caches."""
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def mirror(bare: None, file_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A mirror of four small files, which are the ones expected."""
    file_server.files = small_mnist()
    expected = [
        File(file.name, len(sent), hashlib.sha256(sent).hexdigest())
        for file in mnist.FILES
        for sent in [file_server.files[file.name]]
    ]
    monkeypatch.setattr(mnist, "FILES", tuple(expected))
    monkeypatch.setattr(mnist, "MIRRORS", (file_server.base,))
    return file_server


def fetch(app: AppTest) -> None:
    """Press the button that fetches MNIST."""
    next(each for each in app.button if each.label == BUTTON).click().run()


def draw(name: str) -> AppTest:
    """Return a lesson, drawn."""
    app = AppTest.from_string(PAGE.format(name), default_timeout=120).run()
    assert not app.exception and not app.error and not app.info
    return app


def offers(app: AppTest) -> int:
    """Return how often a page offers MNIST: each time a line and a button."""
    lines = sum(each.value == LINE for each in app.caption)
    assert lines == sum(each.label == BUTTON for each in app.button)
    return lines


def test_sizes_and_digests_are_those_of_the_files(shared: Callable[[str], Path]) -> None:
    """Against the files of the data folder whose md5 are those that torchvision publishes: of the largest it
    has another packing, without the name, which is as much shorter as the name is long."""
    known = dict(MNIST.resources)
    assert [file.name for file in mnist.FILES] == list(known) and mnist.MIRRORS[0] in MNIST.mirrors
    assert all(mirror.startswith("https://") for mirror in mnist.MIRRORS)
    sent = {file.name: shared(f"mnist/{file.name}").read_bytes() for file in mnist.FILES}
    same = [file for file in mnist.FILES if hashlib.md5(sent[file.name]).hexdigest() == known[file.name]]
    assert len(same) >= 3
    for file in same:
        assert (len(sent[file.name]), hashlib.sha256(sent[file.name]).hexdigest()) == (file.size, file.sha256)
    for file in set(mnist.FILES) - set(same):
        assert len(sent[file.name]) + len(Path(file.name).stem) + 1 == file.size


def test_fetched_files_are_verified_complete_and_used_at_once(mirror: Server) -> None:
    """Progress runs to the end; afterwards nothing is asked for again."""
    assert digit_sets.source() == digit_sets.SMALL and mnist.place() is None
    seen: list[tuple[int, int]] = []
    folder = mnist.fetch(lambda *at: seen.append(at))
    total = sum(file.size for file in mnist.FILES)
    assert seen[-1] == (total, total) and [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert mnist.place() == folder.parent and digit_sets.source() == digit_sets.MNIST
    assert torch.equal(digit_sets.digits().test_y, digit_sets.digits(digit_sets.SMALL).test_y)
    mnist.fetch()
    assert [path.rpartition("/")[2] for path in mirror.paths] == [file.name for file in mnist.FILES]


def test_half_of_the_files_are_no_data_set(mirror: Server) -> None:
    """Digits are those of MNIST only once the last file is here."""
    folder = mnist.fetch()
    (folder / mnist.FILES[3].name).unlink()
    assert mnist.place() is None and digit_sets.digits().source == digit_sets.SMALL


def test_a_broken_transfer_is_resumed_on_the_next_press(mirror: Server) -> None:
    """What came is kept, and not one byte of it is asked for again."""
    mirror.break_after = [1000, 0]
    with pytest.raises(
        MissingData, match=r"could not be fetched from 127\.0\.0\.1.* are kept for the next try"
    ):
        mnist.fetch()
    assert mnist.place() is None
    mnist.fetch()
    assert mirror.asked[:3] == [None, "bytes=1000-", "bytes=1000-"] and mnist.place() is not None


def test_a_wrong_file_is_refused_and_the_next_mirror_asked(mirror: Server) -> None:
    """Neither a captive portal's page nor a changed file is taken for digits."""
    right, name = dict(mirror.files), mnist.FILES[1].name
    mirror.files[name] = right[name][:-1] + b"!"
    with pytest.raises(MissingData, match=f"expected {mnist.FILES[1].sha256[:16]}"):
        mnist.fetch()
    assert mnist.place() is None and not list(settings.home().rglob(f"{name}*.part"))
    mirror.files = right
    mnist.fetch(mirrors=("http://127.0.0.1:9/nobody/", mirror.base))
    assert mnist.place() is not None


def test_without_a_network_one_sentence_says_what_to_do(mirror: Server) -> None:
    """Which command, and which folder."""
    with pytest.raises(MissingData, match="python -m experiments --download") as caught:
        mnist.fetch(mirrors=("http://127.0.0.1:9/nobody/",))
    assert str(settings.home() / "mnist") in str(caught.value) and "\n" not in str(caught.value)
    shutil.rmtree(settings.home())
    settings.home().write_text("in the way")
    with pytest.raises(MissingData, match="cannot be stored"):
        mnist.fetch()


def test_two_visitors_share_one_download(mirror: Server) -> None:
    """The second sees how far the first is, and each file is sent once."""
    mirror.gate, waited = threading.Event(), threading.Event()
    half = mnist.FILES[0].size // 2

    def second(done: int, _: int) -> None:
        if 0 < done <= half:
            waited.set()

    threads = [threading.Thread(target=mnist.fetch, args=(each,)) for each in (lambda *_: None, second)]
    threads[0].start()
    while not mirror.paths:
        threads[0].join(0.01)
    threads[1].start()
    assert waited.wait(20)
    mirror.gate.set()
    for thread in threads:
        thread.join()
    assert len(mirror.paths) == 4 and mnist.place() is not None


def test_the_command_line_fetches_too(mirror: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """With a bar, and where from it is told when it cannot be had."""
    assert main(["--download"]) == 0
    told = capsys.readouterr()
    assert f"MNIST is in {settings.home() / 'mnist'}" in told.out and "100%" in told.err
    (settings.home() / "mnist" / mnist.FILES[0].name).unlink()
    mirror.status = 503
    assert main(["--download"]) == 2
    assert "the server answered 503" in capsys.readouterr().err


@dataclass(frozen=True)
class Source:
    source: str


@dataclass(frozen=True)
class Digits(Stage):
    answer: ClassVar[type] = Source

    number: int

    @property
    def name(self) -> str:
        return str(self.number)


@dataclass(frozen=True)
class Both:
    sources: list[str]


@dataclass(frozen=True)
class Sources(Experiment[Source, Both]):
    """Says on which digits each stage was computed."""

    card: ClassVar[ExperimentCard] = ExperimentCard("sources", "Sources", "On which?", "P", "https://a", "T")
    result: ClassVar[type] = Both

    def depends(self) -> object:
        return digit_sets.source(self.data)

    def stages(self) -> list[Digits]:
        return [Digits(1), Digits(2)]

    def carry_out(self, stage: Digits, store: Store) -> Source:
        return Source(digit_sets.digits(self.data).source)

    def summarise(self, answers: Sequence[Source]) -> Both:
        return Both([answer.source for answer in answers])

    def claims(self, figures: Both) -> dict[str, bool]:
        return {}


def test_an_experiment_ends_on_the_digits_that_it_began_with(mirror: Server, tmp_path: Path) -> None:
    """MNIST that arrives between two stages is for the next one."""
    steps = walk(Sources(), Store(tmp_path))
    assert [next(steps), next(steps)] == [Progress(0, 2, "1"), Progress(1, 2, "2")]
    mnist.fetch()
    *_, result = steps
    assert isinstance(result, Result) and digit_sets.source_of(result.data) == digit_sets.SMALL
    assert result.figures == Both([digit_sets.SMALL, digit_sets.SMALL])
    assert digit_sets.source_of(run(Sources(), Store(tmp_path)).data) == digit_sets.MNIST


def test_shipped_digits_are_mnists_to_the_last_level(shared: Callable[[str], Path]) -> None:
    """Each picture that a result shows is the one of that number."""
    found = digit_sets.digits(str(shared("mnist").parent))
    assert len(shipped_digits()) > 180
    for index, levels in shipped_digits().items():
        assert np.array_equal(np.round(levels * 255), np.round(found.test_x[index].numpy() * 255)), index
    assert [int(found.test_y[one_of_class(label)]) for label in range(10)] == list(range(10))


def test_digits_open_by_the_set_that_they_are_of(bare: None) -> None:
    """Without MNIST a digit of it opens if it ships; no other digit takes its place."""
    shipped = one_of_class(7)
    picture = np.asarray(digit_sets.open_digit(f"test:{shipped}"))[:, :, 0]
    assert np.array_equal(picture, np.round(shipped_digits()[shipped][0] * 255))
    assert digit_sets.has_digit(f"digit:test:{shipped}") and digit_sets.has_digit("digit:small:test:7")
    absent = next(index for index in range(300) if index not in shipped_digits())
    assert not digit_sets.has_digit(f"digit:test:{absent}") and not digit_sets.has_digit("digit:train:5")
    for name in (f"test:{absent}", "train:5"):
        with pytest.raises(MissingData, match="which is not on this server"):
            digit_sets.open_digit(name)
    for name in ("test:10000", "small:test:400", "small:7"):
        with pytest.raises(UnknownName, match="Expected a digit as"):
            digit_sets.open_digit(name)


@pytest.mark.parametrize("name", list(lessons.registry()))
def test_mnist_is_offered_beside_what_computes_on_digits(bare: None, name: str) -> None:
    """No box on any lesson; a line and a button in each part that computes on other digits."""
    expected = {"transfer": 2}.get(name, 1) if name in COMPUTING else 0
    assert offers(draw(name)) == expected
    if name in COMPUTING:
        present = AppTest.from_string(PAGE.format(name), default_timeout=120)
        present.query_params["present"] = "1"
        assert offers(present.run()) == 0


@pytest.mark.parametrize("name", ["any_digit", "lenet_decay", "smallest", "transfer", "units"])
def test_every_link_of_a_lesson_opens(bare: None, name: str) -> None:
    """Its picture is here, and its target another class than what the network says."""
    bodies = [each.proto.body for each in draw(name).get("html")]
    addresses = {html.unescape(each) for body in bodies for each in HREF.findall(body)}
    assert (
        len(addresses)
        > {"any_digit": 90, "lenet_decay": 19, "smallest": 4, "transfer": 20, "units": 100}[name]
    )
    engine = service.engine()
    for link in addresses:
        found = links.read({key: values[0] for key, values in parse_qs(urlsplit(link).query).items()})
        assert not found.problems, link
        said = engine.classify(found.recipe.model, found.recipe.image)[0]
        assert said.index != found.recipe.target, link


def test_the_playground_opens_a_digit_that_ships_and_says_what_another_needs(bare: None) -> None:
    """One sentence, and the page goes on with its first picture."""
    script = "from app.playground.page import render\nrender()"
    for image, problems in ((f"digit:test:{one_of_class(3)}", 0), ("digit:train:5", 1)):
        app = AppTest.from_string(script, default_timeout=120)
        app.query_params["model"], app.query_params["image"] = "lenet", image
        app.run()
        assert not app.exception and len(app.error) == problems, [each.value for each in app.error]
        assert all("which is not on this server" in each.value for each in app.error)
        assert (app.session_state["session"].recipe.image == image) is (problems == 0)


def test_a_press_fetches_and_every_session_computes_on_it(mirror: Server) -> None:
    """The page that was pressed on computes anew at once; another one offers nothing more when it is drawn
    next; a failed press says so beside the button."""
    other, app = draw("rarity"), draw("tilt")
    assert (offers(other), offers(app)) == (1, 0)
    app.selectbox(key="tilt.first").set_value(0).run()
    app.selectbox(key="tilt.second.0").set_value(1).run()
    assert offers(app) == 1 and any(f"on {digit_sets.SMALL}" in each.value for each in app.caption)
    mirror.status = 500
    fetch(app)
    (error,) = app.error
    assert "the server answered 500" in error.value and offers(app) == 1
    mirror.status = 200
    fetch(app)
    assert not app.exception and not app.error and offers(app) == 0
    assert any("on MNIST" in each.value for each in app.caption)
    assert offers(other.run()) == 0 and not other.exception


def test_a_training_image_of_mnist_is_no_other_where_it_is_not_here(
    bare: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is pressed in the plane is offered with MNIST, and never opened as another digit."""
    picked = [Picked("point", 3)]
    monkeypatch.setattr(tilt, "tilt", lambda **_: picked[0])
    app = draw("tilt")
    words = "To open this training image in the playground, MNIST is needed."
    assert any(each.value == words for each in app.caption)
    assert not any("Open training image" in each.value for each in app.markdown)
    picked[0] = Picked("x", 0)
    assert any("[Open x at" in each.value for each in app.run().markdown)
