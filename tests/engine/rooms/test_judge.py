"""What is handed in counts by its pixels alone; every trick is caught and named."""

from __future__ import annotations

import numpy as np

from engine.rooms.judge import EDITED
from tests.engine.rooms.conftest import Class, pixels


def test_a_run_is_handed_in_and_measured_by_its_saved_file(lesson: Class) -> None:
    anna = lesson.join("Anna")
    challenge = lesson.set("least_l2", model="lenet", image="seven")
    run = lesson.run(anna, "lenet", "seven", epsilon=0.3, step_size=0.02, steps=20)
    judged = lesson.hand_in(anna, challenge, run)
    assert judged.counts and judged.template == "It counts: the network says {label}."
    after = pixels(lesson.file(run)).astype(float)
    before = np.round(run.start.numpy()[0] * 255)
    assert np.isclose(judged.score, np.sqrt(((after[..., 0] - before) ** 2).sum()) / 255)
    assert judged.label != "7" and judged.score > 0
    assert EDITED
