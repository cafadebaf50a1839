"""Circuits of a run, prepared one by one."""

from __future__ import annotations

from typing import Any

from qdispatch.client import Client
from qdispatch.errors import CircuitError, InvalidJobError
from qdispatch.model import JobSpec


def prepare(client: Client, circuit: Any, name: str, **options: Any) -> JobSpec:
    """As `Client.prepare`; errors say which circuit it was.

    Args:
        client: The connection.
        circuit: What is to run.
        name: What the circuit is called in the run, such as "circuit 3".
        **options: Of `Client.prepare`.
    """
    try:
        return client.prepare(circuit, **options)
    except CircuitError as error:
        raise CircuitError(f"{name}: {error}", gate=error.gate) from error
    except InvalidJobError as error:
        raise InvalidJobError(f"{name}: {error.message}", field=error.field) from error
