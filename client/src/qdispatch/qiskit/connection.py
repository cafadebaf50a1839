"""From what a primitive or a provider is given to a client and a target."""

from __future__ import annotations

from typing import Any

from qdispatch.client import Client
from qdispatch.errors import QDispatchError


def make_client(server: Client | str | None) -> Client:
    """A client: the one given, or of this address, or of QDISPATCH_ADDRESS."""
    return server if isinstance(server, Client) else Client(server)


def connect(mode: Any, target: str) -> tuple[Client, str]:
    """The client of a primitive, and the name of its target.

    Args:
        mode: A backend or a provider of `qdispatch.qiskit`, a `Client`, the
            address of a server, or None for QDISPATCH_ADDRESS.
        target: Name of a target; empty for the backend's, or else for whichever
            the server picks.

    Raises:
        QDispatchError: The mode is something else.
    """
    if mode is None or isinstance(mode, Client | str):
        return make_client(mode), target
    client = getattr(mode, "client", None)
    if not isinstance(client, Client):
        raise QDispatchError(
            f"a {type(mode).__name__} is no backend of qdispatch; give one of "
            "qdispatch.qiskit.Provider().backends(), a Client, the address of a server, or nothing"
        )
    return client, target or getattr(mode, "target_name", "")
