"""500 circuits as one batch, with a progress bar.

Each is a chain of qubits that is rotated by random angles and measured. The
batch is one call: the server has all of its jobs, or none.

    python examples/batch_500.py [HOST:PORT]

Without an address it is that in QDISPATCH_ADDRESS, or else 127.0.0.1:50051.
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter

from qdispatch import Client, CustomCircuit, QDispatchError

N_CIRCUITS = 500
N_QUBITS = 5
SHOTS = 200


def chain(angles: list[float]) -> CustomCircuit:
    """A chain of qubits, each rotated and joined with the next one."""
    lines = ["OPENQASM 2.0;", 'include "qelib1.inc";', f"qreg q[{N_QUBITS}];"]
    lines.append(f"creg c[{N_QUBITS}];")
    lines += [f"ry({angle!r}) q[{k}];" for k, angle in enumerate(angles)]
    lines += [f"cx q[{k}],q[{k + 1}];" for k in range(N_QUBITS - 1)]
    lines.append("measure q -> c;")
    return CustomCircuit(
        program="\n".join(lines),
        program_format="openqasm2",
        n_qubits=N_QUBITS,
        depth=N_QUBITS + 1,
        framework="by hand",
    )


def random_angles(numbers: random.Random) -> list[float]:
    """An angle for each qubit, in radians."""
    return [numbers.uniform(0, math.pi) for _ in range(N_QUBITS)]


def first_qubit_is_one(counts: dict[str, int]) -> float:
    """The share of the shots in which qubit 0, on the right, was 1."""
    return sum(n for outcome, n in counts.items() if outcome[-1] == "1") / SHOTS


def main() -> int:
    """Submits, waits and sums up; returns the exit code."""
    numbers = random.Random(1)  # noqa: S311
    angles = [random_angles(numbers) for _ in range(N_CIRCUITS)]
    with Client(sys.argv[1] if len(sys.argv) > 1 else None) as client:
        batch = client.submit_batch(map(chain, angles), target="aer", shots=SHOTS, seed=7)
        print(f"batch {batch.id}: {len(batch)} jobs")
        summary = batch.wait(timeout_s=300, progress=True)
        if summary.finished < summary.size:
            print(f"{summary.failed} failed, {summary.canceled} canceled", file=sys.stderr)
            return 1
        results = batch.results()

    # Nothing but its own rotation acts on qubit 0: it is 1 with sin^2(angle / 2).
    off = [
        abs(first_qubit_is_one(dict(result.counts)) - math.sin(each[0] / 2) ** 2)
        for result, each in zip(results, angles, strict=True)
    ]
    took = sum(result.info.timings.simulating_s or 0.0 for result in results)
    first = min(result.info.started_at for result in results if result.info.started_at)
    last = max(result.info.finish_time for result in results if result.info.finish_time)
    workers = Counter(result.info.worker for result in results)
    print(f"  {summary.finished} finished on {len(workers)} worker(s)")
    print(f"  {(last - first).total_seconds():.1f} s from the first start to the last end")
    print(f"  {1000 * took / len(results):.2f} ms of simulation for each")
    print(f"  P(qubit 0 is 1) is off by {sum(off) / len(off):.3f} on average")
    # The standard error of a share of 200 shots is 0.035 at the most.
    return 0 if max(off) < 5.5 * math.sqrt(0.25 / SHOTS) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except QDispatchError as error:
        sys.exit(f"batch_500: {error}")
