"""Fonts for drawn text: Pillow brings Latin letters; a font with Chinese is looked for on the system."""

from __future__ import annotations

from functools import cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont
CHINESE = (  # file, and which of its faces is the one of the mainland
    ("NotoSansCJK-{weight}.ttc", 2),
    ("NotoSansCJKsc-{weight}.otf", 0),
    ("NotoSansSC-{weight}.otf", 0),
    ("SourceHanSansSC-{weight}.otf", 0),
    ("PingFang.ttc", 0),
    ("Hiragino Sans GB.ttc", 0),
    ("msyh.ttc", 0),
    ("wqy-microhei.ttc", 0),
)
"""Fonts with Chinese that systems bring, the first that is there counts."""


@cache
def chinese() -> bool:
    """Say whether there is a font with Chinese on this system."""
    return _chinese(12, "Regular") is not None


@cache
def font(size: float, language: str = "en", bold: bool = False) -> Font:
    """Return a font of ``size`` pixels that has the letters of ``language``.

    Without a Chinese font on the system it is Pillow's own, which has Latin letters only: see `chinese`.
    """
    own = _chinese(size, "Bold" if bold else "Regular") if language == "zh" else None
    usual = own or ImageFont.load_default(size)
    assert isinstance(usual, Font), "Expected Pillow with FreeType, which its wheels have."
    return usual


def _chinese(size: float, weight: str) -> Font | None:
    for name, index in CHINESE:
        try:
            return ImageFont.truetype(name.format(weight=weight), size, index=index)
        except OSError:  # it is not on this system
            continue
    return None


def fitted(text: str, width: float, face: Font) -> str:
    """Return the longest beginning of ``text`` that is at most ``width`` pixels wide, with an ellipsis where
    it is cut."""
    if face.getlength(text) <= width:
        return text
    length = len(text)
    while length > 1 and face.getlength(f"{text[:length].rstrip()}…") > width:
        length -= 1
    return f"{text[:length].rstrip()}…"
