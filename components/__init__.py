"""Parts of pages: text, widgets, figures, lessons, the live view."""
