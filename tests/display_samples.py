"""Jobs and results to be shown, as a server might have sent them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from qdispatch.arrays import Memory, Probabilities, Statevector
from qdispatch.model import (
    JobInfo,
    JobSpec,
    JobStatus,
    PauliSum,
    PauliTerm,
    ProgramFormat,
    Result,
    ResultType,
    Timings,
)
from qdispatch.result import JobResult

JOB_ID: Final = "01a1f8c6-fb57-750c-bb1b-698d6548d1e9"
CREATED: Final = datetime(2026, 5, 4, 12, tzinfo=UTC)
ZZ: Final = PauliSum(terms=(PauliTerm(paulis="ZZ"),))
SUM: Final = PauliSum(
    terms=(PauliTerm(paulis="XI", coefficient=0.5), PauliTerm(paulis="IZ", coefficient=-0.25))
)


def spec(*kinds: ResultType, **changes: Any) -> JobSpec:
    """What a job was asked for."""
    values: dict[str, Any] = {
        "program": "",
        "program_format": ProgramFormat.OPENQASM2,
        "framework": "qiskit",
        "n_qubits": 2,
        "depth": 3,
        "target": "aer",
        "result_types": kinds or (ResultType.COUNTS,),
        "shots": 1000,
        "seed": 7,
    }
    return JobSpec(**(values | changes))


def info(wanted: JobSpec | None = None, **changes: Any) -> JobInfo:
    """A finished job, but for the changes."""
    values: dict[str, Any] = {
        "id": JOB_ID,
        "owner": "anonymous",
        "request_id": "r",
        "status": JobStatus.FINISHED,
        "spec": wanted or spec(),
        "created_at": CREATED,
        "started_at": CREATED + timedelta(seconds=1),
        "finish_time": CREATED + timedelta(seconds=2),
        "attempt": 1,
        "method": "statevector",
        "method_reason": "up to 16 qubits nothing is as fast",
        "simulator_version": "qiskit-aer 0.18.2",
        "timings": Timings(queued_s=0.012, parsing_s=0.0031, simulating_s=1.25, saving_s=0.002),
        "peak_memory_bytes": 79 * 2**20,
        "n_points": len((wanted or spec()).parameter_values),
    }
    return JobInfo(**(values | changes))


def result(*results: Result, **changes: Any) -> JobResult:
    """The results of a job that was asked for them."""
    kinds = tuple(dict.fromkeys(each.type for each in results))
    return JobResult(info=info(spec(*kinds, **changes), results=results))


def counts(values: dict[str, int], point: int = 0) -> Result:
    """Counts."""
    return Result(type=ResultType.COUNTS, n_bits=2, counts=values, point=point)


BELL: Final = counts({"00": 494, "11": 506})


def everything() -> JobResult:
    """One point of every result type: a Bell state."""
    half = math.sqrt(0.5)
    return result(
        BELL,
        Result(type=ResultType.QUASI, n_bits=2, quasi={"00": 0.494, "11": 0.506}),
        Result(type=ResultType.EXPVAL, expval=(1.0, 0.1234), standard_errors=(0.0, 0.0177)),
        Result(type=ResultType.VARIANCE, variance=(0.0, 0.3125)),
        Result(
            type=ResultType.MEMORY, n_bits=2, memory=Memory.of(["00", "11", "11"] * 100, n_bits=2)
        ),
        Result(type=ResultType.STATEVECTOR, statevector=Statevector.of([half, 0, 0, half * 1j])),
        Result(type=ResultType.PROBABILITIES, probabilities=Probabilities.of([0.5, 0, 0, 0.5])),
        observables=(ZZ, SUM),
    )


def sweep(*, n_points: int, shots: int = 500) -> JobResult:
    """Rabi oscillations of one qubit over the angle theta: expval and counts."""
    angles = [4 * math.pi * k / (n_points - 1) for k in range(n_points)]
    results = []
    for k, angle in enumerate(angles):
        z, ones = math.cos(angle), round(shots * math.sin(angle / 2) ** 2)
        error = math.sqrt(max(1 - z * z, 0) / shots)
        results += [
            Result(type=ResultType.EXPVAL, expval=(z,), standard_errors=(error,), point=k),
            counts({"0": shots - ones, "1": ones}, k),
        ]
    return result(
        *results,
        shots=shots,
        n_qubits=1,
        observables=(PauliSum(terms=(PauliTerm(paulis="Z"),)),),
        parameters=("theta",),
        parameter_values=tuple((angle,) for angle in angles),
    )


def many_outcomes(n_outcomes: int = 100, n_bits: int = 40) -> JobResult:
    """Counts of more outcomes than are shown, each wider than a line has room for."""
    values = {format(k, f"0{n_bits}b"): 1 + (k * k) % 97 for k in range(n_outcomes)}
    return result(counts(values), n_qubits=n_bits, shots=sum(values.values()))
