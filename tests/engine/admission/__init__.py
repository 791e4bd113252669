"""Adding networks of one's own."""
