"""The page that runs several recipes side by side."""
