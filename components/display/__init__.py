"""Parts of pages that show something."""
