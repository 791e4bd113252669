"""What ``python -m app`` can do: one file for each command."""
