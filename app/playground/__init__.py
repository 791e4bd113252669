"""The page that runs one recipe."""
