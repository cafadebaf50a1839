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
    from qdispatch.async_batch import AsyncBatch as AsyncBatch
    from qdispatch.async_client import AsyncClient as AsyncClient
    from qdispatch.async_job import AsyncJob as AsyncJob
    from qdispatch.batch import Batch as Batch
    from qdispatch.circuits import CustomCircuit as CustomCircuit
    from qdispatch.client import Client as Client
    from qdispatch.errors import QDispatchError as QDispatchError
    from qdispatch.job import Job as Job
    from qdispatch.model import JobSpec as JobSpec
    from qdispatch.model import JobStatus as JobStatus
    from qdispatch.model import PauliSum as PauliSum
    from qdispatch.model import PauliTerm as PauliTerm
    from qdispatch.model import ProgramFormat as ProgramFormat
    from qdispatch.model import ResultType as ResultType
    from qdispatch.result import JobResult as JobResult
    from qdispatch.result import PointResult as PointResult

_HOMES = {
    "AsyncBatch": "async_batch",
    "AsyncClient": "async_client",
    "AsyncJob": "async_job",
    "Batch": "batch",
    "Client": "client",
    "CustomCircuit": "circuits",
    "Job": "job",
    "JobResult": "result",
    "JobSpec": "model",
    "JobStatus": "model",
    "PauliSum": "model",
    "PauliTerm": "model",
    "PointResult": "result",
    "ProgramFormat": "model",
    "QDispatchError": "errors",
    "ResultType": "model",
}

__all__ = [
    "AsyncBatch",
    "AsyncClient",
    "AsyncJob",
    "Batch",
    "Client",
    "CustomCircuit",
    "Job",
    "JobResult",
    "JobSpec",
    "JobStatus",
    "PauliSum",
    "PauliTerm",
    "PointResult",
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
