"""qdispatch as a provider of Qiskit: backends and primitives.

    from qdispatch.qiskit import Provider, SamplerV2

    backend = Provider("localhost:50051").get_backend("aer")
    counts = backend.run(transpile(circuit, backend), shots=1000).result().get_counts()

    sampler = SamplerV2(mode=backend)
    data = sampler.run([(circuit, values)]).result()[0].data

Circuits need not be transpiled: what a target does not know is expanded. Of
Qiskit's distribution nothing else is needed, and no other SDK.
"""

from __future__ import annotations

from qdispatch.extras import missing

try:
    from qdispatch.qiskit.backend import Backend
    from qdispatch.qiskit.estimator import EstimatorV2
    from qdispatch.qiskit.job import Job
    from qdispatch.qiskit.options import EstimatorOptions, SamplerOptions
    from qdispatch.qiskit.primitive_job import PrimitiveJob
    from qdispatch.qiskit.provider import Provider
    from qdispatch.qiskit.sampler import SamplerV2
except ModuleNotFoundError as error:
    raise missing(error, "qiskit") from error

__all__ = [
    "Backend",
    "EstimatorOptions",
    "EstimatorV2",
    "Job",
    "PrimitiveJob",
    "Provider",
    "SamplerOptions",
    "SamplerV2",
]
