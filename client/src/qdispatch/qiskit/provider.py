"""A qdispatch server as a provider of backends."""

from __future__ import annotations

from typing import Any

from qdispatch.client import Client
from qdispatch.errors import UnknownTargetError
from qdispatch.qiskit.backend import Backend
from qdispatch.qiskit.connection import make_client
from qdispatch.qiskit.job import Job, retrieve_job


class Provider:
    """The backends of a server, one for each of its targets.

    Args:
        server: Its address, or a `Client`; the environment variable
            QDISPATCH_ADDRESS if not given.

    Attributes:
        client: The connection.
    """

    def __init__(self, server: Client | str | None = None) -> None:
        self.client = make_client(server)

    def backends(self, name: str | None = None, *, min_num_qubits: int = 0) -> list[Backend]:
        """The backends.

        Args:
            name: Only the one of this name.
            min_num_qubits: Only those with so many qubits.
        """
        return [
            Backend(self.client, info, provider=self)
            for info in self.client.targets()
            if name in (None, info.name) and info.max_qubits >= min_num_qubits
        ]

    def backend(self, name: str) -> Backend:
        """The backend of that name.

        Raises:
            UnknownTargetError: There is none.
        """
        known = self.backends()
        for each in known:
            if each.name == name:
                return each
        names = ", ".join(each.name for each in known)
        raise UnknownTargetError(f"there is no backend {name!r}; there are {names}")

    def get_backend(self, name: str | None = None, **_filters: Any) -> Backend:
        """The backend of that name; the first one without a name."""
        return self.backends()[0] if name is None else self.backend(name)

    def retrieve_job(self, job_id: str) -> Job:
        """Finds a run of a backend again, also one of an earlier process."""
        return retrieve_job(self.client, job_id)

    def __repr__(self) -> str:
        return f"<Provider {self.client.address}>"
