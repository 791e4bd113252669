"""What Streamlit's own parts of a page say in English only, or not at all, in the reader's language."""

from __future__ import annotations

import json

from components.i18n.text import say


def streamlit_words() -> str:
    """Return a style that gives ``assets/style.css`` the words to show, as ``--word-upload`` and the like."""
    words = {
        "upload": say("Upload"),
        "drop": say("or drop a photo"),
        "drop-file": say("or drop a file"),
        "refused-file": say("Expected a smaller file."),
        "photo": say("Photo or camera"),
        "refused": say("Expected a picture of at most 20 MB."),
        "menu": say("Menu"),
    }
    variables = " ".join(
        f"--word-{name}: {json.dumps(text, ensure_ascii=False)};" for name, text in words.items()
    )
    return f"<style>:root {{ {variables} }}</style>"
