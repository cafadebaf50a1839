"""qdispatch as a device of PennyLane: ``qml.device("qdispatch", wires=4)``."""

from qdispatch.pennylane.device import QDispatchDevice

__all__ = ["QDispatchDevice"]
