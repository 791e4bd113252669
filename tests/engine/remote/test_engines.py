"""What every engine promises, asked of both: the one of this process and replicas under Ray Serve; and what
replicas promise beyond that, to two page servers and when one of them dies. One Ray for all of this file."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from attacks.contract import Criterion, Query, Stop, answer, walk
from bench.replicas import served
from bench.site import Site, serve
from engine import lab_queue
from engine.export.making import Wanted
from engine.images.sources import UPLOAD, decode, open_sample
from engine.inside.boundary import Distances, Searching
from engine.inside.classes import Labels, TowardsGoal
from engine.inside.composition import MadeOf
from engine.inside.saliency import INTEGRATED, OCCLUSION, ROLLOUT, Saliency
from engine.recipe import Recipe
from engine.remote.plan import PATIENT
from engine.remote.remote_engine import SHARE, RemoteEngine
from engine.remote.replica import LEASE
from engine.run import SCALARS
from errors import BadSetting, BadTarget, EngineClosed, EngineFailed, FoolscopeError, UnknownName
from experiments import core
from experiments.cache import Memory, cache
from experiments.core import Progress, Result, stored
from experiments.evans2016.step_away import StepAway
from experiments.tanay2018.toy import Toy
from experiments.toolkit import codec
from experiments.work import LabWork, usual_store, walked
from models.core import Classifier
from settings import ROOT
from tests.support import event_loop, page_environment, small_model
from tests.support.page_servers import COOKIE, begun, hear, placed, until
from tests.support.postgresql import Server
from tests.support.small_model import SIZE, SLOW, SMALL, SmallNet

RECIPE = Recipe("small", "cat", "bim", {"steps": 12, "step_size": 1 / 255})
LONG = replace(RECIPE, model=SLOW, params={"steps": 10_000, "step_size": 0.01 / 255})
"""Goes on for three minutes at least, however fast the machine is, and leaves its processor to others."""
FOREVER = replace(LONG, attack="pgd", params={"steps": 10_000, "restarts": 100})

TWO = ("--replicas", "2", "--cpus", "0.1", "--make", "tests.support.small_model:replica_engine")
RUNNING = 'foolscope_open_runs{status="running"}'
CLOSE = 0.02
"""How much probabilities of one step may differ, computed in other batches."""


@pytest.fixture(scope="module")
def ray():
    """Two replicas; Ray takes no more of the machine than it must, and ends with the process that started
    it, which would wait for the controller that a test killed."""
    with served("--cores", "1", *TWO, patience=5) as started:
        yield started


@pytest.fixture(scope="module")
def replicas(ray):
    return ray.address


@pytest.fixture(scope="module")
def known():
    with small_model.known(*SMALL, SLOW):
        yield


@pytest.fixture(scope="module")
def remote(replicas, known):
    made = RemoteEngine(replicas)
    yield made
    made.close()


@pytest.fixture(scope="module")
def embedded(known):
    made = small_model.replica_engine()
    yield made
    made.close()


@pytest.fixture(params=["embedded", "remote"])
def engine(request):
    return request.getfixturevalue(request.param)


def finish(engine, run):
    return list(engine.follow(run))


def eventually(condition, seconds=200):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def alone(recipe, engine):
    """Return the steps of a recipe walked without any engine's loop."""
    x, model = torch.from_numpy(engine.preprocess(recipe))[None], Classifier(small_model.card(), SmallNet())
    criterion = Criterion(model(x).argmax(1), targeted=False)
    search = recipe.build().search(x, criterion, torch.Generator().manual_seed(recipe.seed))
    return list(walk(search, model, criterion, recipe.stop))


def test_a_run_is_the_attack_walked_alone(engine):
    run, steps = engine.submit(RECIPE), alone(RECIPE, engine)
    assert finish(engine, run) == list(range(13)) and (run.status, run.reason) == ("finished", "steps")
    expected = np.stack([torch.log_softmax(step.evaluation.logits[0], 0).numpy() for step in steps])
    assert np.abs(np.exp(run.log_p(0, 13)) - np.exp(expected)).max() < CLOSE
    x, last = engine.preprocess(RECIPE), steps[-1].x[0]
    assert np.allclose(run.picture(12), last.numpy(), atol=1e-6)
    assert np.allclose(run.picture(5), steps[5].x[0].numpy(), atol=1e-3)
    figures = run.figures(12)
    assert figures["l2"] == pytest.approx(float(np.linalg.norm(last.numpy() - x)), rel=1e-3)
    assert (run.queries, run.gradient_evaluations, figures["queries"]) == (13, 12, 13)
    seconds = run.scalars(0, 13)[:, -1]
    assert (np.diff(seconds) >= 0).all() and 0 < seconds[-1] < 60
    assert list(engine.follow(run, start=10)) == [10, 11, 12]


def test_both_engines_end_in_the_same_place(embedded, remote):
    recipe = replace(RECIPE, attack="pgd", params={"steps": 8, "random_start": True}, seed=3)
    runs = [made.submit(recipe) for made in (embedded, remote)]
    for made, run in zip((embedded, remote), runs, strict=True):
        finish(made, run)
    here, there = runs
    assert np.abs(np.exp(here.log_p(0, 9)) - np.exp(there.log_p(0, 9))).max() < CLOSE
    assert np.abs(here.picture(8) - there.picture(8)).mean() < 1e-4
    assert (here.sentence(), here.classes[:1]) == (there.sentence(), there.classes[:1])


def test_pause_holds_still_step_takes_one_resume_goes_on(engine):
    run = engine.submit(LONG)
    eventually(lambda: len(run) > 3)
    engine.pause(run)
    count = len(run)
    assert run.status == "paused"
    time.sleep(0.3)
    assert len(run) == count
    for more in (1, 2, 3):
        engine.step(run)
        eventually(lambda more=more: len(run) == count + more and run.status == "paused")
    time.sleep(0.2)
    assert len(run) == count + 3
    engine.resume(run)
    eventually(lambda: len(run) > count + 50)
    engine.cancel(run)
    assert run.status == "cancelled" and "by hand" in run.sentence()
    count = len(run)
    for action in (engine.pause, engine.resume, engine.step, engine.cancel):
        action(run)
    time.sleep(0.2)
    assert len(run) <= count + 1 and run.status == "cancelled"


def test_a_paused_run_may_be_stepped_from_the_start(engine):
    run = engine.submit(RECIPE, paused=True)
    assert run.status == "paused" and len(run) == 0
    for count in (1, 2):
        engine.step(run)
        eventually(lambda count=count: len(run) == count and run.status == "paused")
    engine.resume(run)
    assert finish(engine, run)[-1] == 12 and len(run) == 13


def test_a_stop_rule_stops_where_it_says(engine):
    recipe = replace(RECIPE, params={"steps": 2000, "step_size": 0.5 / 255}, stop=Stop("success"))
    run = engine.submit(recipe)
    finish(engine, run)
    last = len(run) - 1
    assert run.reason == "success" and run.succeeded(last) and not run.succeeded(last - 1)
    assert "no longer says" in run.sentence() and len(alone(recipe, engine)) == len(run)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"model": "nobody"}, UnknownName),
        ({"image": "nobody"}, UnknownName),
        ({"target": 99}, BadSetting),
        ({"params": {"steps": -1}}, BadSetting),
        ({"params": {"wings": 2}}, BadSetting),
    ],
)
def test_a_bad_recipe_is_refused_and_the_engine_goes_on(engine, change, error):
    with pytest.raises(error):
        engine.submit(replace(RECIPE, **change))
    with pytest.raises(BadTarget, match="already says"):
        engine.submit(replace(RECIPE, target=engine.classify("small", "cat")[0].index))
    assert finish(engine, engine.submit(RECIPE))[-1] == 12


def test_what_a_network_breaks_of_ends_its_run_with_a_sentence(engine):
    run = engine.submit(replace(RECIPE, model="smaller"))
    finish(engine, run)
    assert run.status == "failed" and "a cable burnt" in run.sentence() and len(run) == 0
    assert finish(engine, engine.submit(RECIPE))[-1] == 12 and engine.health().healthy


def test_an_answer_has_the_gradient_of_an_objective_that_stays_here(engine):
    x = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    model, criterion = (
        Classifier(small_model.card(), SmallNet()),
        Criterion(torch.tensor([1, 2, 0]), True),
    )
    got, want = engine.evaluate("small", x, criterion.loss), answer(model, Query(x, criterion.loss))
    for ours, theirs in zip(got, want, strict=True):
        assert ours is not None and theirs is not None and torch.allclose(ours, theirs, atol=1e-5)
    logits, *rest = engine.evaluate("small", x)
    assert torch.allclose(logits, want.logits, atol=1e-5) and rest == [None, None]
    with pytest.raises((FoolscopeError, RuntimeError), match="a cable burnt"):
        engine.evaluate("smaller", x, criterion.loss)


def test_pictures_are_classified_and_what_cannot_be_read_is_passed_on(engine):
    names = ["cat", "gone", "coffee", "rocket"]
    answers = list(engine.classify_many("small", [partial(open_sample, name) for name in names], rows=3))
    assert isinstance(answers[1], UnknownName)
    for name, top in zip(names, answers, strict=True):
        if not isinstance(top, UnknownName):
            expected = engine.classify("small", name)
            assert top[0].label == expected[0].label and len(expected) == small_model.CLASSES
            assert top[0].probability == pytest.approx(expected[0].probability, abs=1e-4)


def test_runs_at_once_are_not_mixed(engine):
    names = ("cat", "coffee", "rocket", "flower") * 3
    runs = [engine.submit(replace(RECIPE, image=name)) for name in names]
    for name, run in zip(names, runs, strict=True):
        assert finish(engine, run) == list(range(13))
        expected = [s.evaluation.logits[0] for s in alone(replace(RECIPE, image=name), engine)]
        assert (
            np.abs(np.exp(run.log_p(0, 13)) - torch.softmax(torch.stack(expected), 1).numpy()).max() < CLOSE
        )


def test_the_queue_lets_a_run_begin_and_knows_its_price(engine):
    run = engine.enqueue(RECIPE, "somebody")
    assert finish(engine, run)[-1] == 12 and run.status == "finished" and engine.place(run.id) is None
    price = engine.price(RECIPE)
    assert price.measured and price.steps == 12 and 0 < price.seconds < 60


def test_a_run_is_known_by_its_id_and_leaves_as_a_file(engine):
    run = engine.submit(RECIPE)
    finish(engine, run)
    assert engine.run(run.id) is run and engine.look_up("A" * 22) is None
    with pytest.raises(UnknownName, match="does not know that run"):
        engine.run("A" * 22)
    file = engine.export(run, Wanted("network", 12))
    assert file.data[:4] == b"\x89PNG" and file.size == (SIZE, SIZE)
    assert engine.exported(run, Wanted("network", 12)) is file


def test_a_file_is_finished_alike(embedded, remote):
    target = embedded.classify("small", "cat")[-1].index
    recipe = replace(RECIPE, params={"steps": 20, "epsilon": 8 / 255}, target=target)
    made = []
    for engine in (embedded, remote):
        run = engine.submit(recipe)
        last = finish(engine, run)[-1]
        made.append([engine.export(run, Wanted(kind, last, True)) for kind in ("network", "photo")])
    for here, there in zip(*made, strict=True):
        assert here.verdict.success and there.verdict.success and here.size == there.size
        assert there.verdict.probability == pytest.approx(here.verdict.probability, abs=0.05)
        assert decode(there.data).info["foolscope"] and there.queries > 0 and there.name == here.name
    with pytest.raises(UnknownName, match="Expected a step"):
        remote.export(run, Wanted("network", 99))
    assert not hasattr(remote, "pool"), "no network is needed where the page is"


def flat(level):
    """Return a picture of one level."""
    return np.full((3, SIZE, SIZE), level, np.float32)


QUESTIONS = (
    Labels(np.random.default_rng(2).random((5, 3, SIZE, SIZE), np.float32)),
    Saliency(flat(0.4), 2, INTEGRATED, nodes=4),
    TowardsGoal(Saliency(flat(0.4), 1, OCCLUSION), 1, True),
    Distances(flat(0.5), flat(0.02), count=4),
    MadeOf(np.linspace(-0.1, 0.1, 3 * SIZE * SIZE, dtype=np.float32).reshape(3, SIZE, SIZE)),
)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: type(question).__name__)
def test_a_question_about_a_model_is_answered_as_the_model_alone_would(engine, question):
    alone = [*question.pieces(Classifier(small_model.card(), SmallNet()))]
    answers = [*engine.probe("small", question)]
    assert [type(one) for one in answers if not says_how_far(one)] == [
        type(one) for one in alone if not says_how_far(one)
    ]
    assert_alike(answers[-1], alone[-1])


def says_how_far(one):
    """Say whether a piece of an answer tells only how far it has come; how many do depends on the time that
    batches take."""
    return hasattr(one, "total") or isinstance(one, Searching)


def assert_alike(one, other):
    """Compare answers of any type: plain values exactly, numbers nearly."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray | float):
        assert np.allclose(one, other, atol=1e-3, equal_nan=True)
    elif is_dataclass(one):
        for field in fields(one):
            assert_alike(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for mine, yours in zip(one, other, strict=True):
            assert_alike(mine, yours)
    else:
        assert one == other


def test_a_question_that_cannot_be_answered_says_why_and_the_engine_goes_on(engine):
    picture = flat(0.4)
    with pytest.raises((FoolscopeError, RuntimeError), match="a cable burnt"):
        [*engine.probe("smaller", Saliency(picture, 0, INTEGRATED))]
    with pytest.raises(FoolscopeError, match="attention"):
        [*engine.probe("small", Saliency(picture, 0, ROLLOUT))]
    with pytest.raises(UnknownName):
        [*engine.probe("nobody", Labels(picture[None]))]
    assert len([*engine.probe("small", Labels(picture[None]))]) == 1 and engine.health().healthy


def test_a_question_that_is_taken_back_ends_where_it_is_answered(engine):
    question = Distances(flat(0.5), flat(0.02), count=400)
    with closing(engine.probe(SLOW, question)) as answers:
        next(answers)
        assert any(jobs(engine))
    eventually(lambda: not any(jobs(engine)))


def jobs(engine):
    """Return how many jobs go on, wherever they do."""
    if not isinstance(engine, RemoteEngine):
        return [engine.health().jobs]
    with ThreadPoolExecutor(8) as pool:
        return [*opened(engine, pool).values()]


@pytest.fixture
def labs(engine):
    """Have experiments carried out by an engine, as a page's server with replicas does."""
    lab_queue.carry_out_by(engine)
    yield engine
    lab_queue.carry_out_by(None)


def test_an_experiment_is_carried_out_and_its_answers_come_too(labs):
    experiment, store = Toy(seed=3), usual_store()
    assert isinstance(store, Memory), "they are stored where they are computed"
    *progress, result = walked(experiment, store)
    stages = [at.stage for at in progress if isinstance(at, Progress)]
    assert stages == [*(stage.name for stage in experiment.stages()), ""] and isinstance(result, Result)
    alone = core.run(experiment, Memory())
    assert codec.dump(result.figures) == codec.dump(alone.figures) and result.claims == alone.claims
    assert all(isinstance(stored(store, stage), stage.answer) for stage in experiment.stages())


def test_an_experiment_on_somebodys_own_photo_takes_it_along_and_leaves_nothing(labs):
    photo, before = open_sample("coffee"), sorted(cache().rglob("*"))
    experiment = StepAway(image=f"{UPLOAD}mine", open=lambda name: photo)
    *_, result = walked(experiment, Memory())
    assert isinstance(result, Result)
    small, alone = result.figures.steps["small"], core.run(experiment, Memory()).figures.steps["small"]
    assert small.own == alone.own and small.before[0] == pytest.approx(alone.before[0], abs=0.01)
    assert sorted(cache().rglob("*")) == before


def test_an_experiment_that_is_refused_says_why_and_one_that_is_left_ends(labs):
    with pytest.raises(UnknownName):
        [*labs.carry_out(LabWork("no_such", {}, {}))]
    with pytest.raises(BadSetting):
        [*labs.carry_out(LabWork("toy", {"seed": -1}, {}))]
    going = walked(Toy(seed=4), Memory())
    assert next(going) == Progress(0, 5, "geometry")
    going.close()
    *_, result = walked(Toy(seed=4), Memory())
    assert isinstance(result, Result) and result.seed == 4


def test_what_is_no_question_is_refused(remote):
    with pytest.raises(BadSetting, match="a question or a piece of work"):
        [*remote.probe("small", RECIPE)]


def test_a_model_is_loaded_when_it_was_asked_for(engine):
    engine.load("small")
    assert engine.loaded("small") and not engine.loaded("nobody") and "small" in engine.networks()
    with pytest.raises(UnknownName):
        engine.classify("nobody", "cat")


def test_a_closed_engine_says_so_and_ends_what_goes_on(engine, replicas):
    made = RemoteEngine(replicas) if isinstance(engine, RemoteEngine) else small_model.replica_engine()
    run = made.submit(LONG)
    eventually(lambda: len(run) > 3)
    made.close()
    assert run.over and "shutting down" in run.sentence()
    with pytest.raises(EngineClosed):
        made.submit(RECIPE)


def test_runs_share_a_replica_until_they_are_many(remote):
    runs = [remote.submit(LONG) for _ in range(3 * SHARE)]
    try:
        eventually(lambda: all(len(run) > 1 for run in runs))
        where = [remote.link(run.id).replica for run in runs]
        assert len(set(where)) == 2
    finally:
        for run in runs:
            remote.cancel(run)


def running(server: Site) -> int:
    """Return how many runs go on at a server, by what it says to this machine."""
    lines = httpx.get(f"{server.url}/foolscope/metrics").text.splitlines()
    return sum(int(float(line.split()[1])) for line in lines if line.startswith(RUNNING))


def followed(address: str) -> int:
    """Return how many steps of a run a server has."""
    return len(httpx.get(f"{address}/rows").json()["rows"])


def test_a_run_is_begun_on_one_page_server_and_followed_on_the_other(
    replicas: str, postgresql_server: Server
) -> None:
    with (
        placed(postgresql_server, replicas) as place,
        httpx.Client(base_url=place.url, timeout=60) as client,
    ):
        key = begun(client)
        event_loop.run(hear(place.url, key, client.cookies[COOKIE]))
        mine = [running(one) for one in place.servers].index(1)
        address = f"{place.servers[1 - mine].url}/foolscope/runs/{key}"
        until(lambda: httpx.get(address).status_code == 200)
        count = followed(address)
        until(lambda: followed(address) > count)
        assert httpx.get(address).json()["status"] == "running" and running(place.servers[1 - mine]) == 0
        # A server that is slow to say how it is is passed over for a while.
        until(lambda: client.post(f"/foolscope/runs/{key}/cancel").status_code == 200)
        until(lambda: httpx.get(address).json()["status"] == "cancelled")
        rows = client.get(f"/foolscope/runs/{key}/rows").json()["rows"]
        assert len(rows) == followed(address) > count


def test_a_page_server_that_is_gone_leaves_no_run_behind(remote, replicas):
    with (
        subprocess.Popen(
            [sys.executable, "-c", ANOTHER, replicas], stdout=subprocess.PIPE, cwd=ROOT, text=True
        ) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        try:
            assert server.stdout is not None
            where = server.stdout.readline().split()
            assert where  # three runs go on there
        finally:
            server.kill()  # no word to anybody
        for replica in where:
            eventually(lambda replica=replica: opened(remote, pool).get(replica) == 0)


ANOTHER = f"""
import sys, time
from attacks.contract import Stop
from engine.recipe import Recipe
from engine.remote.replica import LEASE
from engine.remote.plan import PATIENT
from engine.remote.remote_engine import RemoteEngine
from tests.support import small_model

with small_model.known(*small_model.SMALL, small_model.SLOW):
    engine = RemoteEngine(sys.argv[1])
    runs = [engine.submit({FOREVER!r}) for _ in range(3)]
    while not all(len(run) > 1 for run in runs):
        time.sleep(0.01)
    print(*dict.fromkeys(engine.link(run.id).replica for run in runs), flush=True)
    time.sleep(600)
"""


def opened(remote, pool):
    """Return how many jobs go on at a replica, by its name. Asked at once, because the way to the replicas
    sends one question after another to the replica with fewest connections, and never to the others."""
    answers = pool.map(lambda _: remote._client.health(), range(8))
    return {answer["replica"]: answer["jobs"] for answer in answers}


def test_answers_that_nobody_read_to_the_end_let_a_page_server_end(replicas):
    done = subprocess.run([sys.executable, "-c", LEFT, replicas], capture_output=True, cwd=ROOT, timeout=60)
    assert not done.returncode and done.stdout == b"closed\n", done.stderr.decode()


LEFT = f"""
import sys
import numpy as np
from engine.inside.boundary import Distances
from engine.remote.remote_engine import RemoteEngine
from tests.support import small_model

with small_model.known(*small_model.SMALL):
    engine = RemoteEngine(sys.argv[1])
    start = np.full((3, {SIZE}, {SIZE}), 0.5, np.float32)
    coming = engine.probe("small", Distances(start, start / 100))
    next(coming)
    engine.close()
    print("closed")
"""


@pytest.fixture(scope="module")
def page_python(tmp_path_factory):
    """The Python of an environment without torch and ray."""
    return page_environment.make(tmp_path_factory.mktemp("page"))


def page_environ(replicas, home):
    """Return the environment of a page's server that has neither data sets nor further weights."""
    here = {"FOOLSCOPE_ENGINE": replicas, "FOOLSCOPE_HOME": str(home)}
    return os.environ | here | {"FOOLSCOPE_DATA": "", "FOOLSCOPE_WEIGHTS": ""}


def test_pages_need_neither_torch_nor_ray(replicas, page_python, tmp_path):
    """Every page is drawn, and everything about a run is made, where neither is installed."""
    done = subprocess.run(
        [page_python, "-m", "tests.support.page_alone"],
        capture_output=True,
        cwd=ROOT,
        env=page_environ(replicas, tmp_path),
    )
    assert not done.returncode, done.stderr.decode()[-4000:]
    shown = json.loads(done.stdout)
    assert shown["installed"] == [] and shown["wrong"] == {} and shown["asked"] > 60
    for tables in shown["tables"].values():
        assert tables["corruptions"] > 10 and tables["networks"] == [] and sum(tables["spectrum"]) > 0.99


def test_a_class_works_where_pages_have_no_torch(replicas, page_python, tmp_path):
    """Students join, bet, run, hand in what the server judges, and vote."""
    with serve(environment=page_environ(replicas, tmp_path), python=page_python) as site:
        rehearsal = ("rehearse", "--students", "3", "--pace", "0.02", "--url", site.url)
        done = subprocess.run(
            [sys.executable, "-m", "app", *rehearsal], capture_output=True, cwd=ROOT, text=True
        )
        assert not done.returncode and "All is right." in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("attack", ["bim", "mi_fgsm"])
def test_a_run_goes_on_when_its_replica_is_killed_and_nothing_is_doubled(remote, attack):
    recipe = replace(LONG, attack=attack, params={"steps": 200, "step_size": 0.01 / 255})
    run = remote.submit(recipe)
    eventually(lambda: len(run) > 100)
    link = remote.link(run.id)
    first, before = link.replica, run.log_p(0, 100).copy()
    assert link.lease.step > 100 - 2 * LEASE, "the other one goes on from here"
    os.kill(int(first.rpartition(":")[2]), signal.SIGKILL)
    assert finish(remote, run) == list(range(201)) and run.status == "finished"
    assert link.moves >= 1 and link.replica != first
    assert (run.queries, run.gradient_evaluations) == (201, 200)
    assert np.array_equal(run.log_p(0, 100), before)
    expected = alone(recipe, remote)
    last = torch.softmax(expected[-1].evaluation.logits[0], 0).numpy()
    assert np.abs(np.exp(run.log_p(200, 201)[0]) - last).max() < CLOSE
    assert (np.diff(run.scalars(0, 201)[:, -1]) >= 0).all()


def test_runs_go_on_while_newer_replicas_take_the_place_of_all(remote, ray):
    with ThreadPoolExecutor(8) as readers:  # for whom they go on
        runs = [remote.submit(replace(LONG, seed=seed)) for seed in range(8)]
        read = [readers.submit(finish, remote, run) for run in runs]
        try:
            _go_on_elsewhere(runs, remote, ray)
        finally:
            for run in runs:
                remote.cancel(run)
        for run, steps in zip(runs, read, strict=True):
            assert run.reason in ("cancelled", "steps") and not run.error
            count = len(steps.result())
            assert steps.result() == list(range(count)) and count > 50
            queries = run.scalars(0, len(run))[:, SCALARS.index("queries")]
            assert np.array_equal(queries, np.arange(1, len(run) + 1))
    assert finish(remote, remote.submit(RECIPE)) == list(range(13))


def _go_on_elsewhere(runs, remote, ray):
    """Start newer replicas, and wait until runs went on there."""
    links = {run.id: remote.link(run.id) for run in runs}
    eventually(lambda: all(len(run) > 20 for run in runs))
    with ThreadPoolExecutor(8) as pool:
        before = opened(remote, pool).keys() | {link.replica for link in links.values()}
        where = ("--cluster", ray.cluster, "--port", ray.address.rpartition(":")[2])
        command = [sys.executable, "-m", "app", "serve", "--detach", *where, *TWO]
        token = os.environ | {"RAY_AUTH_MODE": "token"}
        done = subprocess.run(command, cwd=ROOT, env=token, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0 and "They go on in the cluster" in done.stdout, done.stderr
        eventually(lambda: not before & opened(remote, pool).keys())
    eventually(lambda: all(run.over or links[run.id].replica not in before for run in runs))
    assert any(link.moves for link in links.values()), "a run went on elsewhere"
    counts = {run.id: len(run) for run in runs}
    eventually(lambda: all(run.over or len(run) > counts[run.id] + 50 for run in runs))


def test_a_slow_start_of_the_proxy_is_waited_for(ray):
    """Serve's controller, which ends a proxy that does not answer in time, was given more of it."""
    environment = Path(f"/proc/{controller(ray.process)}/environ").read_text().split("\0")
    assert all(f"{name}={seconds}" in environment for name, seconds in PATIENT.items())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_serve_is_asked_again_when_its_proxy_died(monkeypatch):
    serving = importlib.import_module("engine.remote.serving")
    died, begun_with = [serving.ray.exceptions.ActorDiedError(), TimeoutError("not there")], []

    def start(http_options):
        begun_with.append(http_options)
        if died:
            raise died.pop()

    monkeypatch.setattr(serving.serve, "start", start)
    serving._start_serve("options")
    assert begun_with == ["options"] * 3
    died[:] = [TimeoutError("not there either")] * serving.TRIES
    with pytest.raises(EngineFailed, match="Ray did not start: not there either"):
        serving._start_serve("options")


def test_runs_go_on_when_the_controller_is_killed_and_others_begin(remote, ray):
    runs = [remote.submit(replace(LONG, params={"steps": 100, "step_size": 0.01 / 255})) for _ in range(4)]
    eventually(lambda: all(len(run) > 20 for run in runs))
    os.kill(controller(ray.process), signal.SIGKILL)
    for run in (*runs, remote.submit(RECIPE)):
        assert finish(remote, run) == list(range(run.total + 1)) and run.status == "finished"


def controller(starter):
    """Return the id of Serve's controller below the process that started it, 0 where there is none."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    parents = {int(pid): int(parent) for pid, parent, *_ in rows}
    for pid, _, *words in rows:
        above = int(pid)
        while above and above != starter:
            above = parents.get(above, 0)
        if above and "ray::ServeController" in "".join(words):
            return int(pid)
    return 0
