"""Measurements of the running service; `make bench-watchers` and its like."""
