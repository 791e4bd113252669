"""What Streamlit does anew for every page that `streamlit.testing` opens, done once."""

from __future__ import annotations

from functools import cache

from streamlit.components.v2 import manifest_scanner


def look_once() -> None:
    """Let Streamlit look for components in all installed packages once, not again for every page that a test
    opens, which would take longer than the page."""
    manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
