"""Files that a run leaves with: each is read back and classified before anybody takes it."""
