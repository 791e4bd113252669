"""Lessons on Tanay and Griffin 2018."""
