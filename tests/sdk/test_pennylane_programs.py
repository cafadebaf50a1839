"""Programs of PennyLane's tapes have their matrix, phase included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
import pytest

from qdispatch.circuits import describe
from qdispatch.circuits.form import CircuitForm
from qdispatch.circuits.template import dissect, merge
from qdispatch.errors import CircuitError
from tests.sdk.matrix_of import exact_unitary, written_phase
from tests.sdk.pennylane_circuits import CIRCUITS, random_state, random_unitary


def program(*operations: Any) -> CircuitForm:
    return describe(qml.tape.QuantumScript(list(operations)), keep_phase=True)


STATIC = [name for name in CIRCUITS if name not in {"prepared", "deferred"}]


@pytest.mark.parametrize("name", STATIC)
def test_circuits_keep_their_phase(name: str) -> None:
    tape = qml.tape.make_qscript(CIRCUITS[name][1])()
    form = program(*tape.operations)
    expected = qml.matrix(tape, wire_order=list(form.qubit_of))
    np.testing.assert_allclose(exact_unitary(form), expected, atol=1e-10)


@pytest.mark.parametrize(
    "operation",
    [
        qml.GlobalPhase(0.3, wires=0), qml.adjoint(qml.GlobalPhase(0.3, wires=0)),
        qml.ctrl(qml.GlobalPhase(0.3), [0, 1]), qml.U1(0.3, 0), qml.U2(0.3, 0.4, 0),
        qml.U3(0.3, 0.4, 0.5, 0), qml.Rot(0.3, 0.4, 0.5, 0), qml.adjoint(qml.SX(0)),
        qml.QubitUnitary(1j * np.eye(4), [0, 1]), qml.QubitUnitary(random_unitary(1), 0),
        qml.QubitUnitary(random_unitary(3), [2, 0, 1]), qml.ECR([0, 1]), qml.SISWAP([1, 0]),
        qml.pow(qml.X(0), 0.3), qml.pow(qml.SX(0), 0.5), qml.pow(qml.SWAP([0, 1]), 0.3),
        qml.PSWAP(0.3, [0, 1]), qml.CRot(0.1, 0.2, 0.3, [0, 1]), qml.CCZ([2, 0, 1]),
        qml.SpecialUnitary(np.arange(15) / 10, [0, 1]), qml.OrbitalRotation(0.3, range(4)),
        qml.BlockEncode([[0.1, 0.2], [0.3, 0.4]], [0, 1]), qml.FermionicSWAP(0.3, [0, 1]),
    ],
    ids=lambda each: each.name,
)  # fmt: skip
def test_operators_keep_their_phase(operation: Any) -> None:
    form = program(*map(qml.Identity, operation.wires), operation)
    expected = qml.matrix(operation, wire_order=sorted(operation.wires))
    np.testing.assert_allclose(exact_unitary(form), expected, atol=1e-10)


@pytest.mark.parametrize(
    "preparation",
    [
        qml.StatePrep(random_state(1), 0), qml.StatePrep(random_state(3), [2, 0, 1]),
        qml.StatePrep([0, 0, -1, 0], [0, 1]), qml.AmplitudeEmbedding([1j, 0], 0),
        qml.CosineWindow([0, 1]), qml.BasisState([1, 0], [0, 1]),
    ],
    ids=["one", "three", "sign", "embedding", "window", "basis"],
)  # fmt: skip
def test_prepared_states_keep_their_phase(preparation: Any) -> None:
    wires = sorted(preparation.wires)
    state = exact_unitary(program(*map(qml.Identity, wires), preparation))[:, 0]
    expected = preparation.state_vector(wire_order=wires).ravel()
    np.testing.assert_allclose(state, expected, atol=1e-10)


def test_the_phase_is_left_out_unless_it_is_asked_for() -> None:
    tape = qml.tape.QuantumScript([qml.GlobalPhase(0.3), qml.X(0)])
    assert not written_phase(describe(tape))
    assert written_phase(describe(tape, keep_phase=True))


def test_operators_of_three_levels_are_refused() -> None:
    with pytest.raises(CircuitError, match="none of qubits") as refusal:
        program(qml.TRX(0.3, 0))
    assert refusal.value.gate == "TRX"


def test_a_template_is_each_of_its_programs() -> None:
    def operations(angle: float) -> list[Any]:
        return [
            qml.GlobalPhase(angle),
            qml.RX(angle, 0),
            qml.adjoint(qml.SX(1)),
            qml.IsingXX(angle / 3, [0, 1]),
            qml.IsingZZ(0.2, [1, 0]),
            qml.U3(angle, 0.1, -angle, 0),
            qml.QubitUnitary(random_unitary(2), [0, 1]),
        ]

    forms = [program(*operations(angle)) for angle in (0.3, -1.2, 1e-17)]
    template = merge([dissect(each.program) for each in forms])
    swept = CircuitForm(
        program=template.program,
        program_format="openqasm3",  # type: ignore[arg-type]
        framework="pennylane",
        n_qubits=2,
        depth=1,
    )
    for form, row in zip(forms, template.values, strict=True):
        values = dict(zip(template.parameters, row, strict=True))
        np.testing.assert_allclose(exact_unitary(swept, values), exact_unitary(form), atol=1e-12)
