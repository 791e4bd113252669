"""Parts of pages that let people choose something."""
