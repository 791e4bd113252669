"""A run as a moving picture: WebP and GIF through Pillow, MP4 through PyAV or the program ffmpeg."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from PIL import Image

from engine.run import Run
from engine.sharing.frames import Layout, Painter, shown_steps
from engine.sharing.voice import Voice
from errors import FoolscopeError

SECONDS = 8.0
"""How long the moving part takes at most."""
FIRST, LAST = 800, 2500
"""Milliseconds for which the first frame and the last one stand still."""
RATE = 12
"""Frames a second in a video."""
NO_VIDEO = "An MP4 needs PyAV (pip install -r requirements-more.txt) or the program ffmpeg; neither is here."


class Reel(Image.Image):
    """Frames that are drawn when a writer comes to them, so that never all of them are in memory."""

    def __init__(self, painter: Painter, steps: list[int]) -> None:
        super().__init__()
        self._painter, self._steps, self._at = painter, steps, -1
        self.n_frames = len(steps)
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Draw frame number ``frame``; raises EOFError beyond the last."""
        if not 0 <= frame < self.n_frames:
            raise EOFError(frame)
        if frame != self._at:
            drawn = self._painter.frame(self._steps[frame])
            self.im, self._mode, self._size, self._at = drawn.im, drawn.mode, drawn.size, frame

    def tell(self) -> int:
        """Return the number of the frame that was drawn last."""
        return self._at


def durations(frames: int) -> list[int]:
    """Return for how many milliseconds each frame stands."""
    usual = round(min(400, max(60, 1000 * SECONDS / max(1, frames))) / 10) * 10
    return [FIRST, *[usual] * (frames - 2), LAST][:frames]


def webp(run: Run, layout: Layout, voice: Voice) -> bytes:
    """Return a run of a step at least as an animated WebP."""
    reel = Reel(Painter(run, layout, voice), shown_steps(run, layout.frames))
    file = io.BytesIO()
    options = {"duration": durations(reel.n_frames), "loop": 0, "quality": 75, "method": 1}
    options |= {"kmin": 0, "kmax": 0}  # each frame is then encoded once, not twice
    reel.save(file, "WEBP", save_all=True, **options)
    return file.getvalue()


def gif(run: Run, layout: Layout, voice: Voice) -> bytes:
    """Return a run of a step at least as an animated GIF, with one palette of 255 colours for all frames."""
    painter, steps = Painter(run, layout, voice), shown_steps(run, layout.gif_frames)
    palette = painter.frame(steps[-1]).quantize(255, Image.Quantize.MEDIANCUT)
    small = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in map(painter.frame, steps))
    file = io.BytesIO()
    next(small).save(file, "GIF", save_all=True, append_images=small, duration=durations(len(steps)), loop=0)
    return file.getvalue()


def video() -> bool:
    """Say whether an MP4 can be written here."""
    return find_spec("av") is not None or shutil.which("ffmpeg") is not None


def mp4(run: Run, layout: Layout, voice: Voice) -> bytes:
    """Return a run of a step at least as an MP4 (H.264); raises `errors.FoolscopeError` where nothing here
    can write one."""
    painter, steps = Painter(run, layout, voice), shown_steps(run, layout.frames)
    frames = _steady(painter, steps)
    if find_spec("av") is not None:
        return _through_av(frames, layout)
    if shutil.which("ffmpeg") is not None:
        return _through_ffmpeg(frames, layout)
    raise FoolscopeError(NO_VIDEO)


def _steady(painter: Painter, steps: list[int]) -> Iterator[Image.Image]:
    """Yield `RATE` frames a second: each as often as it lasts."""
    for step, milliseconds in zip(steps, durations(len(steps)), strict=True):
        frame = painter.frame(step)
        for _ in range(max(1, round(milliseconds * RATE / 1000))):
            yield frame


def _through_av(frames: Iterator[Image.Image], layout: Layout) -> bytes:
    av = _av()
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(RATE), options={"preset": "veryfast", "crf": "20"}
        )
        stream.width, stream.height, stream.pix_fmt = layout.width, layout.height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    return file.getvalue()


def _av() -> ModuleType:
    """Return PyAV, an optional extra, imported where it is used."""
    import av

    module: ModuleType = av
    return module


def _through_ffmpeg(frames: Iterator[Image.Image], layout: Layout) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.mp4"
        size = f"{layout.width}x{layout.height}"
        taken = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(RATE), "-i", "-"]
        given = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast", "-movflags", "+faststart"]
        command = ["ffmpeg", "-loglevel", "error", *taken, *given, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            try:
                for frame in frames:
                    process.stdin.write(frame.tobytes())
            except BrokenPipeError:
                pass  # it has ended; why, it says below
            _, complaint = process.communicate()
        if process.returncode:
            reason = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["it ended"]
            raise FoolscopeError("ffmpeg could not write the MP4: {reason}.", reason=reason[0][:200])
        return path.read_bytes()
