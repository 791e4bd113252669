"""The server: Streamlit's pages and, beside them, our routes. Start with `streamlit run app/main.py`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

import streamlit as st  # noqa: E402

from app.routes import routes  # noqa: E402
from app.service import lifespan  # noqa: E402

app = st.App(Path(__file__).parent / "pages.py", routes=routes(), lifespan=lifespan)
