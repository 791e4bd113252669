"""Parts of this program's own source that run without it: what a search needs, and nothing else.

A script for an attack is not written a second time by hand: `engine.sharing.excerpt.excerpt` follows the
names that the search refers to, leaves out what a run's settings rule out, and hands over the rest.
"""
