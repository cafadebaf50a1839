"""Cirq's circuits at a server: symbols, expressions and phases, exactly."""

from __future__ import annotations

import cirq
import numpy as np
import sympy

from qdispatch.client import Client
from tests.sdk.cirq_circuits import A, B, C

T, S = sympy.symbols("t s")
VALUES = {"t": [0.37, 0.9], "s": [-1.71, 0.2]}

EXPRESSIONS = [
    T + S, T / 3, T**2, 1 / T, 1 / (2 + S) ** 2, sympy.sqrt(T), sympy.pi * T, sympy.E * S,
    sympy.sin(T), sympy.cos(T * S), sympy.tan(T), sympy.asin(T), sympy.acos(T), sympy.atan(S),
    sympy.exp(S), sympy.log(T), sympy.Abs(S), sympy.floor(10 * T) / 3, sympy.ceiling(10 * S),
    sympy.Mod(S, T), -T, (T + S) ** 2 * (T - 0.1), 0.1 * T + 0.2,
]  # fmt: skip


def check(client: Client, circuit: cirq.Circuit) -> None:
    """Holds the state at each point, phase included, against Cirq's."""
    job = client.submit(
        circuit,
        target="cirq",
        extra={"precision": "double"},
        result_types=["statevector"],
        parameters={name: VALUES[name] for name in cirq.parameter_names(circuit)},
    )
    n_qubits = len(circuit.all_qubits())
    result = job.result()
    assert len(result) == 2
    for point, found in enumerate(result):
        ours = np.asarray(found.statevector).reshape([2] * n_qubits).transpose().ravel()
        values = {name: each[point] for name, each in VALUES.items()}
        theirs = cirq.resolve_parameters(circuit, values).final_state_vector(dtype=np.complex128)
        assert np.abs(ours - theirs).max() < 1e-9


def test_expressions(client: Client) -> None:
    turns = [(cirq.ry if k % 2 else cirq.rx)(each)(A) for k, each in enumerate(EXPRESSIONS)]
    check(client, cirq.Circuit(turns))


def test_gates_with_symbols_and_their_phase(client: Client) -> None:
    circuit = cirq.Circuit(
        cirq.H.on_each(A, B, C), cirq.X(A) ** T, cirq.H(B) ** S, cirq.FSimGate(T, S)(A, B),
        cirq.PhasedXZGate(x_exponent=S, z_exponent=T, axis_phase_exponent=0.3)(C),
        cirq.CCZPowGate(exponent=T, global_shift=0.2)(A, B, C), cirq.rx(S)(A).controlled_by(B, C),
        cirq.global_phase_operation(1j**T), cirq.SWAP(B, C) ** S,
    )  # fmt: skip
    check(client, circuit)
