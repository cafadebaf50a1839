"""qdispatch as a device of PennyLane: ``qml.device("qdispatch", wires=4)``."""

from qdispatch.extras import missing

try:
    from qdispatch.pennylane.device import QDispatchDevice
except ModuleNotFoundError as error:
    raise missing(error, "pennylane") from error

__all__ = ["QDispatchDevice"]
