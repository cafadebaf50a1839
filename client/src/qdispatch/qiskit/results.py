"""Results of jobs as Qiskit's ``Result``.

What Qiskit needs to know of a circuit goes with its job, so that a run can be
picked up by a process that has no circuits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from qiskit.result import MeasLevel, Result
from qiskit.result.models import ExperimentResult, ExperimentResultData

from qdispatch.arrays import Memory
from qdispatch.circuits.qiskit import registers
from qdispatch.model import JobInfo, ResultType
from qdispatch.qiskit import seeds
from qdispatch.result import JobResult, PointResult

_KEY: Final = "qiskit"


def header_of(circuit: Any) -> dict[str, Any]:
    """What a ``Result`` says of a circuit."""
    names = [(each.name, len(each)) for each in circuit.cregs]
    if [bit for each in circuit.cregs for bit in each] != list(circuit.clbits):
        # Bits that are in no register, or in several, are to be seen once each.
        names = registers(circuit)
    return {
        "name": circuit.name,
        "n_qubits": circuit.num_qubits,
        "memory_slots": circuit.num_clbits,
        "creg_sizes": [list(each) for each in names],
        "qreg_sizes": [[each.name, len(each)] for each in circuit.qregs],
        "metadata": circuit.metadata or {},
    }


def extra_of(header: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """The extra of a job: the simulator's options and the circuit's header."""
    return json.dumps({**options, _KEY: header}, default=str)


def result_of(backend: Any, job_id: str, results: Sequence[JobResult]) -> Any:
    """The ``Result`` of a run.

    Args:
        backend: The backend that it ran on.
        job_id: Of the run.
        results: Of each of its jobs, in order.
    """
    experiments = [each for result in results for each in _experiments(result)]
    times = [each.info.finish_time for each in results if each.info.finish_time is not None]
    return Result(
        backend_name=backend.name,
        backend_version=backend.backend_version,
        job_id=job_id,
        success=True,
        results=experiments,
        date=max(times).isoformat() if times else None,
        status="COMPLETED",
    )


def _experiments(result: JobResult) -> Iterator[Any]:
    info = result.info
    header = json.loads(info.spec.extra or "{}").get(_KEY, {})
    for index, point in enumerate(result):
        yield ExperimentResult(
            shots=info.spec.shots,
            success=True,
            status="DONE",
            meas_level=MeasLevel.CLASSIFIED,
            seed=seeds.nth(info.spec.seed, index),
            data=ExperimentResultData(**_data(info, point)),
            header=header,
            metadata={
                "method": info.method,
                "job_id": info.id,
                "cached_from": info.cached_from or None,
            },
            time_taken=info.timings.simulating_s,
        )


def _data(info: JobInfo, point: PointResult) -> dict[str, Any]:
    data: dict[str, Any] = {
        "counts": {hex(int(outcome, 2)): number for outcome, number in point.counts.items()}
    }
    if ResultType.MEMORY in info.spec.result_types:
        data["memory"] = _hexadecimal(point.memory)
    return data


def _hexadecimal(memory: Memory) -> list[str]:
    width = (memory.n_bits + 7) // 8
    packed = memory.packed
    return [
        hex(int.from_bytes(packed[at : at + width], "big")) for at in range(0, len(packed), width)
    ]
