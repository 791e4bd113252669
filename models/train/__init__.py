"""How the project's own networks are trained: ``python -m models.train photos`` or ``... digits``."""
