"""Networks that people add to the ones that ship: read from a source, checked, kept under ``FOOLSCOPE_HOME``.

`sources` has a file for every kind of source, `record` says what is kept, `shelf` finds it again;
`engine.admission` reads and checks a network before it is kept.
"""
