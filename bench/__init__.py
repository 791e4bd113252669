"""Measurements of the promises that the README makes: run with ``python -m bench``."""
