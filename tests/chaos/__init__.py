"""Proves that an acknowledged job ends exactly once, with the truth, whatever dies meanwhile.

`python -m tests.chaos` runs an installation, submits jobs whose endings are
known, kills, freezes, cuts off and fills up its parts meanwhile, heals
everything, and then holds every job against what it must have become.
"""
