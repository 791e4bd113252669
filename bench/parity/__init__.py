"""Our attacks beside those of other libraries: one file per attack, with a function ``rows``.

``rows()`` returns a list of {"library", "what", "difference", "verdict"}; a library that is not installed
leaves its rows out. `python -m bench.parity` collects them.
"""
