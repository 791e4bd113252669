"""Moving pictures of runs, opened again: as many frames as promised, which show what the run saw."""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageSequence

from components.take_home.voice import voice
from engine.render import to_image
from engine.sharing import animation, fonts
from engine.sharing.frames import ACCENT, CHAT, LAYOUTS, SLIDE, Painter, shown_steps
from engine.sharing.voice import ENGLISH
from errors import FoolscopeError


def opened(content: bytes) -> list[np.ndarray]:
    """Return the frames of a file, RGB."""
    with Image.open(io.BytesIO(content)) as image:
        assert image.info.get("loop") == 0
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("kind", ["webp", "gif"])
@pytest.mark.parametrize("size", LAYOUTS)
def test_a_file_holds_every_frame(short, kind, size):
    layout = LAYOUTS[size]
    frames = opened(getattr(animation, kind)(short, layout, ENGLISH))
    assert len(frames) == len(short)
    assert {frame.shape for frame in frames} == {(layout.height, layout.width, 3)}
    assert all((one != two).any() for one, two in pairwise(frames))
    painter = Painter(short, layout, ENGLISH)
    for step in (0, 10):  # the very picture, but for what the format loses
        drawn = np.asarray(painter.frame(step)).astype(float)
        assert np.abs(drawn - frames[step]).mean() < 8


def test_a_frame_shows_the_runs_pictures(panda):
    box = SLIDE.pictures["original"]
    frame = Painter(panda, SLIDE, ENGLISH).frame(0)
    shown = frame.crop((box.left, box.top, box.left + box.width, box.top + box.height))
    small = np.asarray(shown.resize((224, 224), Image.Resampling.BICUBIC)).astype(float)
    assert np.abs(small - np.asarray(to_image(panda.picture(0)))).mean() < 6


def accented(frame: Image.Image) -> list[int]:
    """Return the columns of the curve that have a point of the goal's own colour."""
    at = SLIDE.chart
    curve = np.asarray(frame.crop((at.left + 4, at.top - 3, at.left + at.width - 4, at.top + at.height + 3)))
    goal = np.array([int(ACCENT[i : i + 2], 16) for i in (1, 3, 5)])
    return np.flatnonzero((np.abs(curve.astype(int) - goal).max(2) < 12).any(0)).tolist()


def test_the_curve_grows(panda):
    painter = Painter(panda, SLIDE, ENGLISH)
    ends = [max(accented(painter.frame(step)), default=0) for step in (0, 50, 100)]
    width = SLIDE.chart.width
    assert ends[0] < 0.02 * width and abs(ends[1] - width / 2) < 0.03 * width and ends[2] > 0.97 * width


def test_the_last_frame_stays(short):
    times = animation.durations(11)
    assert len(times) == 11 and times[-1] > 3 * times[1] and animation.durations(1) == [animation.FIRST]
    with Image.open(io.BytesIO(animation.gif(short, CHAT, ENGLISH))) as image:
        image.seek(10)
        assert image.info["duration"] == times[-1]


def test_a_long_run_is_thinned(long):
    steps = shown_steps(long, SLIDE.frames)
    assert 32 <= len(steps) <= 66 and steps[0] == 0 and steps[-1] == 10_000
    assert len(opened(animation.webp(long, CHAT, ENGLISH))) <= CHAT.frames + 2


def test_few_stored_pictures_do_not_stop_the_curve(panda):
    assert len(shown_steps(panda, CHAT.frames)) == CHAT.frames


def test_a_video_where_something_can_write_one(short):
    if not animation.video():
        with pytest.raises(FoolscopeError, match="PyAV"):
            animation.mp4(short, CHAT, ENGLISH)
        return
    content = animation.mp4(short, CHAT, ENGLISH)
    assert content[4:8] == b"ftyp" and b"avc1" in content


def test_a_video_can_be_played(short):
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(animation.mp4(short, CHAT, ENGLISH))) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    seconds = sum(animation.durations(11)) / 1000
    assert abs(len(frames) / animation.RATE - seconds) < 1
    drawn = np.asarray(Painter(short, CHAT, ENGLISH).frame(10)).astype(float)
    assert np.abs(frames[-1] - drawn).mean() < 10


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """The program ffmpeg on the path, and no PyAV as far as `animation` can see."""
    program = shutil.which("ffmpeg") or pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    (tmp_path / "ffmpeg").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(animation, "find_spec", lambda name: None)


def test_the_program_ffmpeg_writes_it_where_pyav_is_absent(short, ffmpeg):
    av = pytest.importorskip("av")
    content = animation.mp4(short, CHAT, ENGLISH)
    assert content[4:8] == b"ftyp" and b"avc1" in content
    assert content.index(b"moov") < content.index(b"mdat"), "a browser can begin before all of it is there"
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (CHAT.width, CHAT.height, animation.RATE)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert abs(len(frames) / animation.RATE - sum(animation.durations(11)) / 1000) < 1
    drawn = np.asarray(Painter(short, CHAT, ENGLISH).frame(10)).astype(float)
    assert np.abs(frames[-1] - drawn).mean() < 10


def test_what_ffmpeg_cannot_write_is_told_in_its_words(short, ffmpeg):
    odd = replace(CHAT, width=CHAT.width + 1)
    with pytest.raises(FoolscopeError, match="ffmpeg could not write the MP4"):
        animation.mp4(short, odd, ENGLISH)


def test_without_a_writer_a_video_is_refused(short, monkeypatch):
    monkeypatch.setattr(animation, "find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(FoolscopeError, match="ffmpeg"):
        animation.mp4(short, CHAT, ENGLISH)


def test_chinese_is_drawn_only_where_a_font_has_it(panda, monkeypatch):
    monkeypatch.setattr(fonts, "chinese", lambda: False)
    english = Painter(panda, CHAT, ENGLISH).frame(100)
    assert Painter(panda, CHAT, voice("zh")).frame(100).tobytes() == english.tobytes()
    monkeypatch.undo()
    same = Painter(panda, CHAT, voice("zh")).frame(100).tobytes() == english.tobytes()
    assert same is not fonts.chinese()


def test_a_text_is_cut_to_its_width():
    face = fonts.font(20)
    cut = fonts.fitted("a very long name of a class", 100, face)
    assert cut.endswith("…") and face.getlength(cut) <= 100 and fonts.fitted("cat", 100, face) == "cat"
