"""One file for every kind of source that networks are added from."""
