"""The browser's side of the live view, fed with the frames that the server writes."""

import json
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import playwright
import pytest

from components.live.loader import loader
from settings import LIVE

# Playwright brings a node of its own, so that none has to be installed.
NODE = shutil.which("node") or str(Path(playwright.__file__).parent / "driver" / "node")


def _node(script: str, *frames: bytes) -> Any:
    """Run ``script`` with the modules and ``frames`` in scope; what it assigns to ``answer`` comes back."""
    program = f"""
    const {{ decode }} = await import({json.dumps((LIVE / "wire.js").as_uri())});
    const {{ Trajectory }} = await import({json.dumps((LIVE / "trajectory.js").as_uri())});
    const {{ scales }} = await import({json.dumps((LIVE / "scales.js").as_uri())});
    const {{ spread }} = await import({json.dumps((LIVE / "labels.js").as_uri())});
    const frames = {json.dumps([frame.hex() for frame in frames])}
      .map((hex) => decode(new Uint8Array(Buffer.from(hex, "hex")).buffer));
    let answer;
    {script}
    console.log(JSON.stringify(answer));
    """
    done = subprocess.run(
        [NODE, "--input-type=module", "-"],
        input=program,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _rows(start: int, rows: Sequence[Sequence[float]], scalars: int) -> bytes:
    block = np.asarray(rows, "<f4")
    head = struct.pack("<BBHII", 1, scalars, block.shape[1] - scalars, start, len(block))
    return head + block.tobytes()


def _backfill(position: int, values: Any) -> bytes:
    return struct.pack("<BBHI", 2, 0, position, len(values)) + np.asarray(values, "<f4").tobytes()


FOLLOW = """
const trajectory = new Trajectory();
trajectory.begin({ scalars: ["linf"] });
trajectory.announce({ position: 0, label: "cat", role: "original" });
trajectory.announce({ position: 1, label: "dog", role: "target" });
"""


def test_rows_become_columns() -> None:
    """Every scalar and class of a row can be asked for by step."""
    log = np.log([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    frame = _rows(0, [[0.01 * k, *row] for k, row in enumerate(log)], 1)
    answer = _node(
        FOLLOW
        + """
        trajectory.append(frames[0]);
        answer = { count: trajectory.count, linf: trajectory.scalar("linf", 2), since: trajectory.since(2),
                   p: trajectory.probability(1, 1), peak: trajectory.peak(1),
                   top: trajectory.top(2)[0].label };
        """,
        frame,
    )
    assert answer["count"] == 3 and answer["since"] == 2 and answer["top"] == "dog"
    assert answer["linf"] == pytest.approx(0.02) and answer["p"] == pytest.approx(0.4)
    assert answer["peak"] == pytest.approx(0.8)


def test_a_late_class_gets_its_past() -> None:
    """A class announced at step 2 had led at step 1: the change of mind is dated by the backfill."""
    early = _rows(0, [[0, *np.log([0.9, 0.05])], [0, *np.log([0.4, 0.1])]], 1)
    late = _rows(2, [[0, *np.log([0.2, 0.1, 0.7])]], 1)
    answer = _node(
        FOLLOW
        + """
        trajectory.append(frames[0]);
        const before = trajectory.since(1);
        trajectory.announce({ position: 2, label: "fox", role: "other" });
        trajectory.backfill(2, frames[1].values);
        trajectory.append(frames[2]);
        answer = { before, since: trajectory.since(2), past: trajectory.probability(2, 1),
                   count: trajectory.count };
        """,
        early,
        _backfill(2, np.log([0.05, 0.5])),
        late,
    )
    assert answer["before"] == 0 and answer["since"] == 1 and answer["count"] == 3
    assert answer["past"] == pytest.approx(0.5)


def test_rows_said_twice_count_once_and_a_gap_is_refused() -> None:
    """Overlap after a reconnection is harmless; rows from beyond the cursor are not."""
    step = [0.0, *np.log([0.7, 0.3])]
    answer = _node(
        FOLLOW
        + """
        const taken = frames.map((frame) => trajectory.append(frame));
        answer = { taken, count: trajectory.count };
        """,
        _rows(0, [step] * 300, 1),
        _rows(290, [step] * 20, 1),
        _rows(311, [step], 1),
    )
    assert answer == {"taken": [True, True, False], "count": 310}


def test_a_picture_frame_is_the_bytes_after_its_head() -> None:
    """Which picture, of which step, and its bytes untouched."""
    jpeg = b"\xff\xd8 not really \xff\xd9"
    answer = _node(
        """
        const { which, step, jpeg } = frames[0];
        answer = { which, step, jpeg: Buffer.from(jpeg).toString("hex") };
        """,
        struct.pack("<BBHI", 3, 2, 0, 143) + jpeg,
    )
    assert answer == {"which": "adversarial", "step": 143, "jpeg": jpeg.hex()}


def test_scales_put_a_half_where_it_belongs() -> None:
    """Certainty at the top, a half where the scale says, nothing at the bottom."""
    answer = _node(
        """
        const heights = (name) => [0, Math.log(0.5), -99].map(scales[name].height);
        answer = ["probability", "log", "logit"].map(heights);
        """
    )
    assert answer[0] == pytest.approx([1, 0.5, 0], abs=1e-6)
    assert answer[1] == pytest.approx([1, 1 + np.log10(0.5) / 6, 0], abs=1e-6)
    assert answer[2] == pytest.approx([1, 0.5, 0], abs=1e-6)


def test_labels_keep_apart_and_the_important_ones_stay() -> None:
    """Twelve labels at one height: some go, the important ones never."""
    answer = _node(
        """
        const labels = Array.from({ length: 12 }, (_, i) => ({ y: 100, weight: i, must: i > 9 }));
        answer = spread(labels, 15, 0, 100).map(({ place, must }) => [place, must]);
        """
    )
    places = [place for place, _ in answer]
    assert sum(must for _, must in answer) == 2 and len(answer) < 12
    assert all(b - a >= 15 for a, b in zip(places, places[1:], strict=False)) and max(places) <= 100


PANELS = """
class Node {
  constructor() { this.style = { setProperty() {} }; this.dataset = {}; this.marks = {}; this.shown = []; }
  append() {} setAttribute(name, value) { this.marks[name] = value; } addEventListener() {}
  getAttribute(name) { return this.marks[name] ?? null; }
  hasAttribute(name) { return name in this.marks; }
  removeAttribute(name) { delete this.marks[name]; }
  replaceChildren() {} querySelector() { return new Node(); }
  getContext() { return { transferFromImageBitmap: (bitmap) => this.shown.push(bitmap.name) }; }
}
globalThis.document = { createElement: () => new Node(), createElementNS: () => new Node() };
const decoding = [];
const closed = [];
globalThis.MutationObserver = class { observe() {} };
globalThis.Image = class { decode() { return new Promise((done) => decoding.push(done)); } };
globalThis.createImageBitmap = (blob) => new Promise((done) => decoding.push(async () => {
  const name = await blob.text();
  done({ name, width: 1, height: 1, close: () => closed.push(name) });
}));
globalThis.fetch = async () => ({ ok: true, blob: async () => new Blob(["exact"]) });
const { Pictures } = await import(PICTURES);
const pictures = new Pictures({ changed() {} });
const { perturbation, adversarial } = pictures;
"""
PANELS = PANELS.replace("PICTURES", json.dumps((LIVE / "pictures.js").as_uri()))


def test_a_picture_that_decodes_late_does_not_replace_a_newer_one() -> None:
    """The last live preview may take longer to decode than the exact picture that was asked for after it."""
    answer = _node(
        PANELS
        + """
        const preview = adversarial.take("preview", "live preview", 6);
        const exact = adversarial.request("/steps/6/adversarial.png", "lossless", 6);
        while (decoding.length < 2) await new Promise((done) => setTimeout(done, 1));
        decoding[1](); await exact;
        decoding[0](); await preview;
        const { shown } = adversarial.moving;
        answer = { late: pictures.flush(), kind: adversarial.kind.textContent, closed, shown };
        """
    )
    assert answer == {"late": False, "kind": "lossless", "closed": ["preview"], "shown": []}


def test_an_exact_picture_is_not_covered_by_a_preview_that_was_not_drawn_yet() -> None:
    """A preview waits for the next drawing; the exact picture may be there before."""
    answer = _node(
        PANELS
        + """
        const preview = adversarial.take("preview", "live preview", 6);
        decoding[0](); await preview;
        const exact = adversarial.request("/steps/6/adversarial.png", "lossless", 6);
        while (decoding.length < 2) await new Promise((done) => setTimeout(done, 1));
        decoding[1](); await exact;
        answer = { late: pictures.flush(), kind: adversarial.kind.textContent, closed };
        """
    )
    assert answer == {"late": False, "kind": "lossless", "closed": ["preview"]}


def test_moving_pictures_are_shown_together_and_the_newest_alone() -> None:
    """The perturbation waits for its picture; of two that came between two drawings the older is dropped."""
    answer = _node(
        PANELS
        + """
        const take = async (panel, name, step) => {
          const taken = panel.take(name, "", step);
          decoding.at(-1)();
          await taken;
        };
        const flushed = [];
        await take(perturbation, "p1", 1);
        flushed.push(pictures.flush());
        await take(adversarial, "a1", 1);
        await take(perturbation, "p2", 2);
        await take(adversarial, "a2", 2);
        flushed.push(pictures.flush(), pictures.flush());
        const shown = [perturbation, adversarial].map((panel) => panel.moving.shown);
        answer = { flushed, shown, closed, step: adversarial.root.marks["data-step"] };
        """
    )
    assert answer["flushed"] == [False, True, False] and answer["shown"] == [["p2"], ["a2"]]
    assert sorted(answer["closed"]) == ["a1", "p1"] and answer["step"] == "2"


CURVES = """
const segments = [];
const pen = () => {
  let at = null;
  return {
    setTransform() {}, beginPath() { at = null; }, stroke() {},
    moveTo(x, y) { at = [x, y]; },
    lineTo(x, y) { segments.push([...at, x, y]); at = [x, y]; },
  };
};
globalThis.document = { createElement: () => ({ setAttribute() {}, append() {}, getContext: pen }) };
const { Curves } = await import(CURVES);
const size = { width: 100, height: 100, ratio: 1 };
const line = (position, color = "blue") => ({ position, color, width: 1, alpha: 1 });
const curves = new Curves();
const place = (logP, step) => [step, Number(logP.toFixed(3))];
const update = (lines, key = "linear") => {
  segments.length = 0;
  curves.update(trajectory, lines, size, place, key);
  return segments.map((segment) => [...segment]);
};
"""
CURVES = CURVES.replace("await import(CURVES)", f"await import({json.dumps((LIVE / 'curves.js').as_uri())})")


def test_of_a_curve_only_the_new_steps_are_drawn_and_all_of_them() -> None:
    """Piece by piece, with a gap, it is what is drawn at once: every pair of neighbours, once."""
    values = np.linspace(-1, 0, 12)
    values[5] = np.nan
    pieces = [_rows(start, [[0.0, v, v] for v in values[start : start + 3]], 1) for start in (0, 3, 6, 9)]
    answer = _node(
        FOLLOW
        + CURVES
        + """
        const pieces = frames.map((frame) => (trajectory.append(frame), update([line(0)])));
        const again = update([line(0)]);
        answer = { pieces, again, whole: update([line(0)], "another scale") };
        """,
        *pieces,
    )
    pairs = [k for k in range(11) if 5 not in (k, k + 1)]
    assert [segment[0] for segment in answer["whole"]] == pairs
    assert sum(answer["pieces"], []) == answer["whole"] and answer["again"] == []


def test_a_curve_is_drawn_anew_when_its_past_or_its_looks_change() -> None:
    """A class that is announced late, another colour, and rows that come again with other values."""
    first, again = ([[0.0, v, v] for v in np.linspace(low, 0, 6)] for low in (-1, -2))
    answer = _node(
        FOLLOW
        + CURVES
        + """
        trajectory.append(frames[0]);
        const first = update([line(0)]);
        const color = update([line(0, "red")]);
        trajectory.backfill(1, frames[1].values);
        const past = update([line(0, "red"), line(1)]);
        trajectory.append(frames[2]);
        const rows = update([line(0, "red"), line(1)]);
        answer = { first, color, past, rows };
        """,
        _rows(0, first, 1),
        _backfill(1, np.full(6, -3.0)),
        _rows(0, again, 1),
    )
    assert answer["color"] == answer["first"] and len(answer["first"]) == 5
    assert answer["past"][:5] == answer["first"] and [s[1] for s in answer["past"][5:]] == [-3.0] * 5
    assert answer["rows"][0][1] == -2.0 and len(answer["rows"]) == 10


def test_the_less_a_drawing_costs_the_more_often_it_is_drawn() -> None:
    """Between 31 and 22 times a second; once a second where nobody sees the page."""
    answer = _node(
        f"""
        globalThis.document = {{ hidden: false }};
        const {{ Pace }} = await import({json.dumps((LIVE / "pace.js").as_uri())});
        const pace = new Pace();
        const after = (cost) => {{
          for (let k = 0; k < 100; k++) pace.took(cost);
          return Math.round(pace.every);
        }};
        const every = [0.5, 2.5, 50, 0.5].map(after);
        document.hidden = true;
        answer = {{ every, hidden: pace.seconds }};
        pace.close();
        """
    )
    assert answer == {"every": [32, 40, 45, 32], "hidden": 1}


ATTEND = """
const asked = [];
globalThis.WebSocket = class { constructor() { this.readyState = 0; } close() {} };
globalThis.document = { baseURI: "http://here/", documentElement: { lang: "en" } };
globalThis.fetch = async (address) => void asked.push(String(address));
const every = [];
globalThis.setInterval = (act) => every.push(act);
globalThis.clearInterval = (number) => void (every[number - 1] = () => {});
const { Wire } = await import(WIRE);
const listener = { address: "http://here/runs/a", cursor: () => 0, heard() {}, link() {} };
const wires = [new Wire(listener), new Wire({ ...listener, thrifty: true })];
const say = (message) => wires.forEach((wire) => wire.socket.onmessage({ data: JSON.stringify(message) }));
const pass = () => every.forEach((act) => act());
"""


def test_a_run_that_is_over_is_asked_about_for_as_long_as_its_page_shows_it():
    """Else the server would leave most of its pictures to the database; a thrifty phone does not ask."""
    script = ATTEND.replace("WIRE", json.dumps((LIVE / "wire.js").as_uri()))
    answer = _node(
        script
        + """
        say({ type: "status", status: "running" });
        pass();
        const before = asked.length;
        say({ type: "status", status: "finished", end: true });
        pass();
        pass();
        const during = asked.length;
        wires.forEach((wire) => wire.close());
        pass();
        answer = { before, during, after: asked.length, asked };
        """
    )
    assert (answer["before"], answer["during"], answer["after"]) == (0, 2, 2)
    assert answer["asked"] == ["http://here/runs/a"] * 2


def test_what_came_while_the_modules_were_on_their_way_is_shown_in_its_newest_state(tmp_path: Path) -> None:
    """The import that began first ends last here."""
    script = tmp_path / "component.js"
    script.write_text(loader("player"), encoding="utf-8")
    module = "export const show = ({ data }) => globalThis.shown.push(data.run);"
    for version, before in (("slow", "await new Promise((done) => setTimeout(done, 100));"), ("fast", "")):
        file = tmp_path / "static" / version / "player.js"
        file.parent.mkdir(parents=True)
        file.write_text(before + module, encoding="utf-8")
    answer = _node(f"""
    globalThis.shown = [];
    globalThis.document = {{ baseURI: {json.dumps(f"{tmp_path.as_uri()}/")} }};
    const component = (await import({json.dumps(script.as_uri())})).default;
    const parentElement = {{}};
    const show = (run, v) => component({{ data: [{{ run, v, base: "." }}], parentElement }});
    show("that ships", "slow");
    show("that was begun", "fast");
    await new Promise((done) => setTimeout(done, 500));
    show("later", "fast");
    await new Promise((done) => setTimeout(done, 50));
    answer = shown;
    """)
    assert answer == ["that was begun", "later"]
