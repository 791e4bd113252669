"""What a run leaves the page with: verified downloads, what survives, files to show to others."""
