"""The page of those who teach: rooms for a class."""
