"""Other protocols: a folder each, ending in the same `JobService`; they never import each other."""
