"""Jobs of every kind, as a busy day leaves them, to look at on the page.

`python -m tests.page.gallery FOLDER` makes a database of them.
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from uuid_utils.compat import uuid7

from app.database import migrate
from app.events import line
from app.jobs import EncodedResult
from app.rows import BatchRow, JobRow, WorkerRow
from qdispatch.arrays import Memory, Probabilities, Statevector
from qdispatch.model import (
    ErrorKind,
    JobStatus,
    PauliSum,
    PauliTerm,
    ProgramFormat,
    Result,
    ResultType,
    TargetState,
)
from qdispatch.results_codec import encode_result
from tests.world import World, failed, finished, make_settings, make_world

N_POINTS: Final = 120

RABI: Final = """OPENQASM 3.0;
include "stdgates.inc";
input float[64] duration;
qubit[2] q;
bit[2] c;
rx(duration) q[0];
cx q[0], q[1];
c = measure q;
"""

Z0: Final = PauliSum(terms=(PauliTerm(paulis="IZ"),))
ISING: Final = PauliSum(
    terms=(PauliTerm(paulis="ZZ"), PauliTerm(paulis="X", qubits=(1,), coefficient=0.5))
)


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The jobs by what is to be seen of them."""

    counts: UUID
    sweep: UUID
    everything: UUID
    failed: UUID
    running: UUID
    pending: UUID
    canceled: UUID
    batch: UUID


def stored(*results: Result) -> tuple[EncodedResult, ...]:
    """Results as an engine hands them over."""
    return tuple(
        EncodedResult(
            result_type=each.type.value,
            point=each.point,
            value=encode_result(each).SerializeToString(),
        )
        for each in results
    )


def sampled(source: random.Random, n_bits: int, shots: int) -> dict[str, int]:
    """Counts that fall off from both ends, as those of a noisy GHZ state."""
    counts: Counter[str] = Counter()
    for _ in range(shots):
        value = source.choice((0, 2**n_bits - 1))
        for bit in range(n_bits):
            value ^= (source.random() < 0.04) << bit
        counts[format(value, f"0{n_bits}b")] += 1
    return dict(sorted(counts.items()))


def fill(world: World) -> Gallery:
    """Has a world go through a busy while."""
    source = random.Random(20260131)
    _workers(world)
    batch = _batch(world, source)
    _everyday(world, source)
    canceled = world.submit(target="cirq", framework="cirq", n_qubits=24, depth=900, shots=5000)
    world.clock.advance(0.013)
    world.claim(canceled, "cirq@node-1")
    world.clock.advance(21.4)
    world.jobs.cancel(str(canceled))
    broken = _failed(world)
    everything = _everything(world)
    counts = _counts(world, source)
    sweep = _sweep(world, source)
    running = _running(world)
    world.clock.advance(2.5)
    pending = world.submit(
        target="aer", framework="qiskit", n_qubits=26, depth=812, shots=20_000, tags=("benchmark",)
    )
    world.submit(target="pennylane", framework="pennylane", n_qubits=8, depth=40, tags=("vqe",))
    world.clock.advance(0.7)
    return Gallery(
        counts=counts,
        sweep=sweep,
        everything=everything,
        failed=broken,
        running=running,
        pending=pending,
        canceled=canceled,
        batch=batch,
    )


def _end(world: World, job_id: UUID, run_s: float, **outcome: Any) -> UUID:
    claim = world.claim(job_id, f"{world.info(job_id).spec.target}@node-1")
    world.clock.advance(run_s)
    times = {"parsing_s": 0.1 * run_s, "simulating_s": 0.75 * run_s}
    method = {"method": "statevector", "method_reason": "up to 16 qubits nothing is as fast"}
    values = method | {"simulator_version": "qiskit-aer 0.18.2"} | times | outcome
    world.work.finish(claim, finished(**{"peak_memory_bytes": 96 * 2**20, **values}))
    return job_id


def _workers(world: World) -> None:
    world.targets.set_state("pennylane", TargetState.PAUSED)
    with world.store.write() as tx:
        for target in ("aer", "cirq"):
            tx.see_worker(
                WorkerRow(
                    name=f"{target}@node-1",
                    target=target,
                    concurrency=2,
                    # It goes on being seen while the page is looked at.
                    seen_at=world.clock() + timedelta(days=1),
                )
            )


def _everyday(world: World, source: random.Random) -> None:
    for number in range(14):
        n_qubits = source.randrange(2, 22)
        world.clock.advance(source.uniform(3, 40))
        target, framework = source.choice((("aer", "qiskit"), ("cirq", "cirq")))
        job_id = world.submit(
            target=target,
            framework=framework,
            n_qubits=n_qubits,
            depth=source.randrange(4, 120),
            shots=source.choice((1000, 1024, 4096)),
            tags=source.choice(((), ("calibration",), ("ghz", "nightly"))),
        )
        world.clock.advance(source.uniform(0.004, 0.3))
        _end(world, job_id, 0.01 * 1.4**n_qubits)
        if number == 5:
            world.clock.advance(900)


def _failed(world: World) -> UUID:
    job_id = world.submit(target="aer", framework="qiskit", n_qubits=34, depth=210, shots=1000)
    world.clock.advance(0.02)
    claim = world.claim(job_id, "aer@node-1")
    world.clock.advance(0.4)
    message = (
        "34 qubits need 256 GiB as a state vector, and this target gives 4 GiB:"
        " use fewer qubits, or the method matrix_product_state"
    )
    world.work.fail(claim, failed(ErrorKind.OUT_OF_MEMORY, message))
    return job_id


def _everything(world: World) -> UUID:
    job_id = world.submit(
        target="cirq",
        framework="cirq",
        shots=5,
        result_types=tuple(ResultType),
        observables=(Z0, ISING),
        tags=("tomography",),
    )
    root = math.sqrt(0.5)
    outcomes = ["00", "11", "11", "00", "11"]
    results = stored(
        Result(type=ResultType.COUNTS, n_bits=2, counts={"00": 2, "11": 3}),
        Result(type=ResultType.QUASI, n_bits=2, quasi={"00": 0.5, "11": 0.5}),
        Result(type=ResultType.EXPVAL, expval=(0.0, 1.0), standard_errors=(0.0, 0.0)),
        Result(type=ResultType.VARIANCE, variance=(1.0, 0.25)),
        Result(type=ResultType.MEMORY, n_bits=2, memory=Memory.of(outcomes, 2)),
        Result(type=ResultType.STATEVECTOR, statevector=Statevector.of([root, 0, 0, root * 1j])),
        Result(type=ResultType.PROBABILITIES, probabilities=Probabilities.of([0.5, 0, 0, 0.5])),
    )
    world.clock.advance(0.011)
    return _end(world, job_id, 0.031, results=results, simulator_version="qsimcirq 0.22.1")


def _counts(world: World, source: random.Random) -> UUID:
    shots = 4096
    job_id = world.submit(
        target="aer", framework="qiskit", n_qubits=6, depth=8, shots=shots, tags=("ghz", "noisy"),
        seed=7,
    )  # fmt: skip
    world.clock.advance(0.009)
    result = Result(type=ResultType.COUNTS, n_bits=6, counts=sampled(source, 6, shots))
    return _end(world, job_id, 0.043, results=stored(result))


def _sweep(world: World, source: random.Random) -> UUID:
    angles = [4 * math.pi * at / (N_POINTS - 1) for at in range(N_POINTS)]
    job_id = world.submit(
        program=RABI,
        program_format=ProgramFormat.OPENQASM3,
        target="aer",
        framework="qiskit",
        shots=500,
        result_types=(ResultType.COUNTS, ResultType.EXPVAL),
        observables=(Z0, ISING),
        parameters=("duration",),
        parameter_values=tuple((angle,) for angle in angles),
        tags=("rabi",),
    )
    results = [each for at, angle in enumerate(angles) for each in _rabi(source, at, angle)]
    world.clock.advance(0.006)
    return _end(world, job_id, 1.27, results=stored(*results))


def _rabi(source: random.Random, point: int, angle: float) -> Sequence[Result]:
    ones = sum(source.random() < math.sin(angle / 2) ** 2 for _ in range(500))
    counts = {"00": 500 - ones, "11": ones}
    z = 1 - 2 * ones / 500
    error = math.sqrt((1 - z * z) / 500)
    return (
        Result(type=ResultType.COUNTS, point=point, n_bits=2, counts=counts),
        Result(
            type=ResultType.EXPVAL,
            point=point,
            expval=(z, 1 + 0.5 * source.gauss(0, 0.04)),
            standard_errors=(error, 0.02),
        ),
    )


def _running(world: World) -> UUID:
    job_id = world.submit(
        program=RABI,
        program_format=ProgramFormat.OPENQASM3,
        target="aer",
        framework="qiskit",
        n_qubits=20,
        depth=64,
        parameters=("duration",),
        parameter_values=tuple((0.1 * at,) for at in range(200)),
        tags=("rabi", "long"),
    )
    world.clock.advance(0.007)
    claim = world.claim(job_id, "aer@node-1")
    with world.store.write() as tx:
        tx.progress(claim.job_id, claim.attempt, 74)
    return claim.job_id


def _batch(world: World, source: random.Random) -> UUID:
    """A batch as the database has it in mid-run."""
    batch_id = UUID(int=uuid7().int)
    pattern = world.submit(target="cirq", framework="cirq", n_qubits=12, depth=30, tags=("qaoa",))
    now = world.clock()
    with world.store.read() as tx:
        first = tx.job(pattern)
    assert first is not None
    _end(world, pattern, 0.4)
    statuses = [JobStatus.FINISHED] * 38 + [JobStatus.FAILED] * 2 + [JobStatus.CANCELED] * 3
    rows = [
        JobRow(
            **first.model_dump()
            | {
                "id": UUID(int=uuid7().int),
                "request_id": f"{batch_id}-{at}",
                "batch_id": batch_id,
                "batch_index": at,
                "status": status,
                "started_at": now,
                "finish_time": now + timedelta(seconds=source.uniform(0.2, 0.5)),
                "life": line(JobStatus.PENDING, now) + line(status, now),
            }
        )
        for at, status in enumerate(statuses)
    ]
    batch = BatchRow(
        id=batch_id, owner=first.owner, request_id=str(batch_id), digest=b"", created_at=now,
        size=len(rows) + 2,
    )  # fmt: skip
    with world.store.write() as tx:
        assert tx.insert_batch(batch, rows, {})
    return batch_id


def main() -> None:
    """Makes a database under a folder, of jobs that have just been there; prints their ids."""
    folder = Path(sys.argv[1])
    settings = make_settings(folder)
    migrate(settings)
    world = make_world(settings)
    # All of it takes about 25 minutes on the world's clock.
    world.clock.now = datetime.now(UTC) - timedelta(minutes=25)
    gallery = fill(world)
    world.store.close()
    for name, job_id in vars(gallery).items():
        sys.stdout.write(f"{name}={job_id}\n")


if __name__ == "__main__":
    main()
