"""Where an attack meets a model: recipes, runs, and the one thread that owns the device."""
