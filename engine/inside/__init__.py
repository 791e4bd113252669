"""Questions that look into a model: what it saw, where it parted, what lies around a picture."""
