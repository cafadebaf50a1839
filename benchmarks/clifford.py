"""Row 8: circuits of many qubits that need no state vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import pi
from statistics import median
from typing import Final

import numpy as np

from benchmarks.baselines.direct import MPS, STIM
from benchmarks.circuits import direct, job_of
from benchmarks.large import program
from benchmarks.lines import Line, at_most, attempt
from benchmarks.measure import in_turns, ratio
from benchmarks.plan import Plan
from benchmarks.programs import BELL, SHOTS
from benchmarks.table import seconds
from qdispatch import Client

_SHOTS: Final = 10_000
_GHZ: Final = 500
#: A distance d has 2 d^2 - 1 qubits: 511.
_DISTANCE: Final = 16
_WIDE: Final = 60
_DEPTH: Final = 3
_SEED: Final = 11


@dataclass(frozen=True, kw_only=True)
class _Case:
    what: str
    way: str
    text: str
    n_qubits: int
    shots: int

    @property
    def baseline(self) -> str:
        """The direct call, in words."""
        return "Aer's MPS" if self.way == MPS else self.way


def against_stim(plan: Plan) -> Iterator[Line]:
    """Row 8: what is more than the round trip of a small job, against the direct call."""
    with Client(plan.shop.full_stack().address) as client:
        for case in _cases():
            measure = partial(_measure, plan, client, case)
            yield attempt(8, f"{case.what} - trip", case.baseline, measure)


def _measure(plan: Plan, client: Client, case: _Case) -> Line:
    # The goal grants the round trip of row 1; it is measured here, in the same turns.
    trip = job_of(client, "aer", BELL, 2)
    limit_s = float(plan.choose(20, 600))
    run = job_of(client, "aer", case.text, case.n_qubits, shots=case.shots, time_limit_s=limit_s)
    file = plan.shop.log("program")
    file.write_text(case.text)
    with direct(plan, 1, shots=case.shots) as called:
        samples = in_turns(
            {
                "direct": lambda: called("aer", case.way, file),
                "ours": lambda: run()[0],
                "trip": lambda: trip()[0],
            },
            plan.runs,
        )
    rest = [
        max(0.0, ours - other) for ours, other in zip(samples["ours"], samples["trip"], strict=True)
    ]
    return Line(
        row=8,
        what=f"{case.what} - trip",
        baseline=case.baseline,
        ratio=ratio(rest, samples["direct"]),
        goal=at_most(1.5),
        absolute=f"service {seconds(median(samples['ours']))}, of it the round trip of"
        f" row 1 {seconds(median(samples['trip']))}; {case.baseline}"
        f" {seconds(median(samples['direct']))}",
    )


def _cases() -> Iterator[_Case]:
    yield _Case(what=f"GHZ of {_GHZ}", way=STIM, text=ghz(_GHZ), n_qubits=_GHZ, shots=_SHOTS)
    yield _Case(
        what="surface code",
        way=STIM,
        text=surface_code(_DISTANCE),
        n_qubits=2 * _DISTANCE**2 - 1,
        shots=_SHOTS,
    )
    yield _Case(
        what=f"{_WIDE} wide, {_DEPTH} deep",
        way=MPS,
        text=shallow(_WIDE, _DEPTH),
        n_qubits=_WIDE,
        shots=SHOTS,
    )


def ghz(n_qubits: int) -> str:
    """A GHZ state, measured.

    Args:
        n_qubits: Of how many.
    """
    chain = [f"cx q[{qubit}],q[{qubit + 1}];" for qubit in range(n_qubits - 1)]
    return program(n_qubits, ["h q[0];", *chain])


def shallow(n_qubits: int, depth: int) -> str:
    """Random rotations and CX of neighbours, a few layers deep.

    Args:
        n_qubits: How many.
        depth: How many layers.
    """
    random = np.random.default_rng(_SEED)
    lines = []
    for layer in range(depth):
        angles = random.uniform(-pi, pi, n_qubits).tolist()
        lines += [f"ry({angle!r}) q[{qubit}];" for qubit, angle in enumerate(angles)]
        lines += [f"cx q[{low}],q[{low + 1}];" for low in range(layer % 2, n_qubits - 1, 2)]
    return program(n_qubits, lines)


def surface_code(distance: int) -> str:
    """A cycle of the rotated surface code: two rounds of syndromes, then all data qubits.

    Data qubits come first, then a qubit for each stabilizer, which is measured and
    reset in each round (arXiv:1208.0928). Bits are numbered as they are measured.

    Args:
        distance: Of the code; it has 2 distance^2 - 1 qubits.
    """
    checks = _stabilizers(distance)
    n_data = distance**2
    n_qubits = n_data + len(checks)
    lines: list[str] = []
    bit = 0
    for _ in range(2):
        for place, (kind, data) in enumerate(checks):
            ancilla = n_data + place
            lines.append(f"h q[{ancilla}];")
            lines += [f"c{kind} q[{ancilla}],q[{qubit}];" for qubit in data]
            lines.append(f"h q[{ancilla}];")
        for place in range(len(checks)):
            lines.append(f"measure q[{n_data + place}] -> c[{bit}];")
            lines.append(f"reset q[{n_data + place}];")
            bit += 1
    for qubit in range(n_data):
        lines.append(f"measure q[{qubit}] -> c[{bit}];")
        bit += 1
    head = [
        "OPENQASM 2.0;",
        'include "qelib1.inc";',
        f"qreg q[{n_qubits}];",
        f"creg c[{bit}];",
    ]
    return "\n".join([*head, *lines, ""])


def _stabilizers(distance: int) -> list[tuple[str, list[int]]]:
    """Kind (x or z) and data qubits of each stabilizer, faces in rows and columns."""
    checks = []
    for row in range(distance + 1):
        for column in range(distance + 1):
            kind = "xz"[(row + column) % 2]
            data = [
                y * distance + x
                for y in (row - 1, row)
                for x in (column - 1, column)
                if 0 <= y < distance and 0 <= x < distance
            ]
            on_left_or_right = column in (0, distance)
            on_top_or_bottom = row in (0, distance)
            corner = len(data) < 2
            # The edges have every second face: X above and below, Z left and right.
            wrong = (on_top_or_bottom and kind == "z") or (on_left_or_right and kind == "x")
            if not corner and not wrong:
                checks.append((kind, data))
    return checks
