"""What an adversarial image survives, how one that survives is made, and which other networks it fools."""
