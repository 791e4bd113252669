"""How a network that somebody adds is read, checked and kept (`models.added` says what is kept)."""
