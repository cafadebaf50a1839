"""Cirq's own interface: a sampler whose circuits run on a qdispatch server.

One line of a program changes:

    sampler = cirq.Simulator()                      # before
    sampler = qdispatch.cirq.Sampler(target="cirq")  # after
"""

from __future__ import annotations

from qdispatch.extras import missing

try:
    from qdispatch.cirq.sampler import Sampler
except ModuleNotFoundError as error:
    raise missing(error, "cirq") from error

__all__ = ["Sampler"]
