"""The server: Streamlit's pages and, beside them, our routes. Start with `streamlit run app/main.py`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])
# torch's threads wait for each other by spinning, which takes the processor from whoever also needs it,
# such as the browser on the same machine; after a thousand turns they shall sleep. Read when torch loads.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from settings import SWITCH_INTERVAL  # noqa: E402

sys.setswitchinterval(SWITCH_INTERVAL)

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from app.compression import CompressedRooms  # noqa: E402
from app.front import Front  # noqa: E402
from app.headers import SafeHeaders  # noqa: E402
from app.logs import set_up  # noqa: E402
from app.owner_cookie import OwnerCookie  # noqa: E402
from app.routes import routes  # noqa: E402
from app.service import lifespan  # noqa: E402
from app.sockets import CountedSockets  # noqa: E402

set_up()

app = st.App(
    Path(__file__).parent / "pages.py",
    routes=routes(),
    lifespan=lifespan,
    middleware=[
        Middleware(kind) for kind in (CountedSockets, CompressedRooms, SafeHeaders, OwnerCookie, Front)
    ],
)
