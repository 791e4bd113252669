"""Intervals, encodings and base classes of experiments."""
