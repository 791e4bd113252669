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


def test_a_picture_that_decodes_late_does_not_replace_a_newer_one() -> None:
    """The last live preview may take longer to decode than the exact picture that was asked for after it."""
    pictures = json.dumps((LIVE / "pictures.js").as_uri())
    answer = _node(
        f"""
        class Node {{
          constructor() {{ this.style = {{ setProperty() {{}} }}; this.dataset = {{}}; this.marks = {{}}; }}
          append() {{}} setAttribute(name, value) {{ this.marks[name] = value; }} addEventListener() {{}}
          getAttribute(name) {{ return this.marks[name] ?? null; }}
          hasAttribute(name) {{ return name in this.marks; }}
          removeAttribute(name) {{ delete this.marks[name]; }}
          replaceChildren() {{}} querySelector() {{ return new Node(); }}
        }}
        globalThis.document = {{ createElement: () => new Node(), createElementNS: () => new Node() }};
        const decoding = [];
        globalThis.MutationObserver = class {{ observe() {{}} }};
        globalThis.Image = class {{ decode() {{ return new Promise((done) => decoding.push(done)); }} }};
        globalThis.fetch = async () => ({{ ok: true, blob: async () => new Blob(["exact"]) }});
        const {{ Pictures }} = await import({pictures});
        const panel = new Pictures({{ changed() {{}} }}).adversarial;
        const preview = panel.take(new Uint8Array([1]), "live preview", 6);
        const exact = panel.request("/steps/6/adversarial.png", "lossless", 6);
        while (decoding.length < 2) await new Promise((done) => setTimeout(done, 1));
        decoding[1](); await exact;
        decoding[0](); await preview;
        answer = panel.kind.textContent;
        """
    )
    assert answer == "lossless"


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
