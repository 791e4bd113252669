"""The page of one's own runs."""
