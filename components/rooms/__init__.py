"""Parts of the pages of rooms."""
