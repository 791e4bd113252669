"""Images that experiments work on."""
