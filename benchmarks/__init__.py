"""What qdispatch adds, against what its users would otherwise use; `make bench`.

Every figure is a ratio of two things that were measured in turns, in the same
run, on the same machine. Absolute values stand beside for orientation.
"""
