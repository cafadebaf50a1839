"""qdispatch: quantum circuits, simulated on your own machines.

    from qdispatch import Client

    with Client("localhost:50051") as client:
        job = client.submit(circuit, shots=1000, seed=7)
        print(job.result().counts)

Names are loaded when they are first used; importing this package imports
neither gRPC nor any quantum SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdispatch.circuits import CustomCircuit as CustomCircuit
    from qdispatch.client import Client as Client
    from qdispatch.errors import QDispatchError as QDispatchError
    from qdispatch.job import Job as Job
    from qdispatch.job import JobResult as JobResult
    from qdispatch.model import JobStatus as JobStatus
    from qdispatch.model import PauliSum as PauliSum
    from qdispatch.model import PauliTerm as PauliTerm
    from qdispatch.model import ProgramFormat as ProgramFormat
    from qdispatch.model import ResultType as ResultType

_HOMES = {
    "Client": "client",
    "CustomCircuit": "circuits",
    "Job": "job",
    "JobResult": "job",
    "JobStatus": "model",
    "PauliSum": "model",
    "PauliTerm": "model",
    "ProgramFormat": "model",
    "QDispatchError": "errors",
    "ResultType": "model",
}

__all__ = [
    "Client",
    "CustomCircuit",
    "Job",
    "JobResult",
    "JobStatus",
    "PauliSum",
    "PauliTerm",
    "ProgramFormat",
    "QDispatchError",
    "ResultType",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        value: object = getattr(import_module(f"qdispatch.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
