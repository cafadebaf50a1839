"""Every gate of the two standard libraries, against Qiskit's own matrices."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest
from conformance_cases import QASM2, QASM3
from conformance_checks import same_distribution
from conformance_runs import Run, run_on
from qiskit import qasm2, qasm3
from qiskit.quantum_info import Pauli, Statevector

from qdispatch.model import PauliSum, PauliTerm, ResultType

#: qelib1.inc as Qiskit reads it: name -> (parameters, qubits).
QELIB1 = {
    "u3": (3, 1), "u2": (2, 1), "u1": (1, 1), "cx": (0, 2), "id": (0, 1), "u0": (1, 1),
    "u": (3, 1), "p": (1, 1), "x": (0, 1), "y": (0, 1), "z": (0, 1), "h": (0, 1), "s": (0, 1),
    "sdg": (0, 1), "t": (0, 1), "tdg": (0, 1), "rx": (1, 1), "ry": (1, 1), "rz": (1, 1),
    "sx": (0, 1), "sxdg": (0, 1), "cz": (0, 2), "cy": (0, 2), "swap": (0, 2), "ch": (0, 2),
    "ccx": (0, 3), "cswap": (0, 3), "crx": (1, 2), "cry": (1, 2), "crz": (1, 2), "cu1": (1, 2),
    "cp": (1, 2), "cu3": (3, 2), "csx": (0, 2), "cu": (4, 2), "rxx": (1, 2), "rzz": (1, 2),
    "rccx": (0, 3), "rc3x": (0, 4), "c3x": (0, 4), "c3sqrtx": (0, 4), "c4x": (0, 5),
}  # fmt: skip

#: stdgates.inc, and what exporters use beside it.
STDGATES = {
    name: QELIB1[name]
    for name in (
        "p", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "rx", "ry", "rz", "cx", "cy", "cz",
        "cp", "crx", "cry", "crz", "ch", "swap", "ccx", "cswap", "cu", "id", "u1", "u2", "u3",
    )
} | {"CX": (0, 2), "phase": (1, 1), "cphase": (1, 2), "U": (3, 1)}  # fmt: skip

ANGLES = (0.37, -1.21, 2.45, 0.83)


def preparation(n_qubits: int) -> str:
    """An entangled state without symmetry, so that a wrong phase or order shows."""
    lines = [
        f"u3({0.4 + 0.5 * q},{1.1 - 0.3 * q},{0.2 + 0.7 * q}) q[{q}];" for q in range(n_qubits)
    ]
    lines += [f"cx q[{q}],q[{q + 1}];" for q in range(n_qubits - 1)]
    lines += [f"u3({1.3 - 0.2 * q},{0.6 * q},0.9) q[{q}];" for q in range(n_qubits)]
    return "".join(lines)


def call(name: str, shape: tuple[int, int]) -> str:
    """The gate on its qubits in falling order."""
    n_params, n_qubits = shape
    params = f"({','.join(map(str, ANGLES[:n_params]))})" if n_params else ""
    if name == "u0":
        params = "(1)"  # a whole number of gate lengths
    return f"{name}{params} {','.join(f'q[{q}]' for q in reversed(range(n_qubits)))};"


@cache
def observables(n_qubits: int) -> tuple[PauliSum, ...]:
    """All strings of up to two qubits, else a spread of them."""
    labels = ["".join(letters) for letters in product("IXYZ", repeat=n_qubits)][1:]
    if len(labels) > 15:
        labels = [labels[i] for i in np.random.default_rng(5).choice(len(labels), 15, False)]
    return tuple(PauliSum(terms=(PauliTerm(paulis=label),)) for label in labels)


def check(run: Run, program: str, state: Statevector) -> None:
    n_qubits = state.num_qubits
    asked = observables(n_qubits)
    types = (ResultType.EXPVAL, ResultType.STATEVECTOR)
    result, vector = run(program, *types, observables=asked).results
    np.testing.assert_allclose(vector.statevector, state.data, atol=3e-6)
    expected = [state.expectation_value(Pauli(each.terms[0].paulis)).real for each in asked]
    np.testing.assert_allclose(result.expval, expected, atol=3e-6)
    assert result.standard_errors == (0.0,) * len(asked)
    measured = run(program + f"creg c[{n_qubits}];measure q->c;", ResultType.QUASI)
    expected_quasi = {k: float(v) for k, v in state.probabilities_dict().items()}
    same_distribution(measured.results[0].quasi, expected_quasi, 3e-6)


@pytest.mark.parametrize("gate", QELIB1)
def test_qelib1(run: Run, gate: str) -> None:
    shape = QELIB1[gate]
    body = f"qreg q[{shape[1]}];" + preparation(shape[1]) + call(gate, shape)
    # Qiskit reads u0, but has no matrix for it; it does nothing.
    reference = QASM2 + body.replace("u0(1)", "id")
    source = qasm2.loads(reference, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    check(run, QASM2 + body, Statevector(source))


@pytest.mark.parametrize("gate", STDGATES)
def test_stdgates(run: Run, gate: str) -> None:
    shape = STDGATES[gate]
    body = f"qubit[{shape[1]}] q;" + preparation(shape[1]) + call(gate, shape)
    state = Statevector(qasm3.loads(QASM3 + body))
    n_qubits = shape[1]
    types = (ResultType.EXPVAL, ResultType.STATEVECTOR)
    result, vector = run(QASM3 + body, *types, observables=observables(n_qubits)).results
    np.testing.assert_allclose(vector.statevector, state.data, atol=3e-6)
    expected = [
        state.expectation_value(Pauli(each.terms[0].paulis)).real for each in observables(n_qubits)
    ]
    np.testing.assert_allclose(result.expval, expected, atol=3e-6)


@pytest.mark.parametrize("gate", ["rz", "p", "U", "sx", "x", "h", "swap", "rxx", "cu", "u2"])
def test_phases_under_control(run: Run, gate: str) -> None:
    n_params, n_inner = {**QELIB1, **STDGATES}[gate]
    params = f"({','.join(map(str, ANGLES[:n_params]))})" if n_params else ""
    n_qubits = n_inner + 1
    wires = ",".join(f"q[{q}]" for q in range(n_qubits))
    define = "gate mine" + ("(a,b,c,d)"[: 2 * n_params] + ")" if n_params else "")
    inner = ",".join("xyz"[:n_inner])
    arguments = f"({','.join('abcd'[:n_params])})" if n_params else ""
    define += f" {inner} {{{gate}{arguments} {inner};}}"
    body = f"qubit[{n_qubits}] q;" + preparation(n_qubits)
    defined = QASM3 + define + body + f"ctrl @ mine{params} {wires};"
    direct = QASM3 + body + f"ctrl @ {gate}{params} {wires};"
    asked = observables(n_qubits)
    through = run(defined, ResultType.EXPVAL, observables=asked).results[0].expval
    straight = run(direct, ResultType.EXPVAL, observables=asked).results[0].expval
    np.testing.assert_allclose(through, straight, atol=3e-6)
    if gate not in {"rxx", "u2"}:
        expected = Statevector(qasm3.loads(direct.replace("rxx", "rzz")))
        values = [expected.expectation_value(Pauli(each.terms[0].paulis)).real for each in asked]
        np.testing.assert_allclose(straight, values, atol=3e-6)


@pytest.mark.parametrize(
    ("modified", "plain"),
    [
        (
            "ctrl @ negctrl(2) @ ctrl @ ry(0.7) q[0],q[1],q[2],q[3],q[4];",
            "x q[1];x q[2];ctrl(4) @ ry(0.7) q[0],q[1],q[2],q[3],q[4];x q[1];x q[2];",
        ),
        (
            "negctrl @ inv @ ctrl @ pow(0.5) @ ry(0.7) q[3],q[1],q[0];",
            "x q[3];ctrl(2) @ ry(-0.35) q[1],q[3],q[0];x q[3];",
        ),
        (
            "ctrl @ pow(3) @ negctrl @ gphase(0.2) q[2],q[4];",
            "x q[4];ctrl(2) @ gphase(0.6) q[2],q[4];x q[4];",
        ),
        ("ctrl @ ctrl @ inv @ ctrl @ x q[4],q[0],q[1],q[2];", "ctrl(3) @ x q[0],q[1],q[4],q[2];"),
    ],
    ids=["controls", "inverse and power", "phase", "plain"],
)
def test_modifiers_commute_as_they_are_taken_to(modified: str, plain: str) -> None:
    head = QASM3 + "qubit[5] q;" + "".join(f"U(0.{q + 3},0.{q + 1},0.2) q[{q}];" for q in range(5))
    states = [
        run_on("pennylane", head + body, ResultType.STATEVECTOR).results[0].statevector
        for body in (modified, plain)
    ]
    np.testing.assert_allclose(*states, atol=1e-12)
