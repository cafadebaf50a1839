from __future__ import annotations

import math
from typing import Any

import cirq
import numpy as np
import pytest
import scipy.linalg
import sympy
from reading import counts, distance, load, parameters, unitary

from qdispatch.circuits import describe
from qdispatch.errors import CircuitError
from qdispatch.model import ProgramFormat

A, B, C, D = cirq.LineQubit.range(4)
X = np.array([[0, 1], [1, 0]])


def random(n_qubits: int) -> Any:
    return cirq.testing.random_unitary(2**n_qubits, random_state=n_qubits)


def small(n_qubits: int) -> Any:
    """So near to 1 that Cirq's own tolerance of 1e-8 would round it away."""
    pauli = X
    for _ in range(n_qubits - 1):
        pauli = np.kron(pauli, X)
    return scipy.linalg.expm(3e-9j * pauli)


def same(circuit: cirq.Circuit) -> None:
    assert distance(unitary(describe(circuit), big_endian=True), circuit.unitary()) < 1e-10


@pytest.mark.parametrize("angle", [math.pi / 4 + 1e-13, 1e-17, 0.1 + 0.2, 3.0, -math.pi, 1e10])
def test_angles_are_kept(angle: float) -> None:
    circuit = cirq.Circuit(cirq.rx(angle)(A), cirq.ry(angle)(A), cirq.rz(angle)(A))
    assert parameters(describe(circuit)) == [angle] * 3


@pytest.mark.parametrize("exponent", [1e-17, 0.1 + 0.2, 1 / 3, 0.25 + 1e-15])
def test_exponents_are_kept(exponent: float) -> None:
    ops = [cirq.X(A), cirq.Y(A), cirq.Z(A), cirq.CZ(A, B), cirq.XX(A, B), cirq.ZZ(A, B)]
    found = parameters(describe(cirq.Circuit(op**exponent for op in ops)))
    assert found == [math.pi * exponent] * 6


@pytest.mark.parametrize("seed", range(25))
def test_random_circuits(seed: int) -> None:
    circuit = cirq.testing.random_circuit(4, 8, 0.8, random_state=seed)
    form = describe(circuit)
    assert form.program_format is ProgramFormat.OPENQASM2
    assert (form.framework, form.n_qubits) == ("cirq", len(circuit.all_qubits()))
    same(circuit)


@pytest.mark.parametrize(
    "op",
    [
        cirq.H(A) ** 0.3, cirq.X(A) ** 0.3, cirq.X(A) ** -1, cirq.CX(A, B) ** 0.3,
        cirq.ISWAP(A, B) ** 0.37, cirq.SWAP(A, B) ** 0.3, cirq.YY(A, B) ** 0.3,
        cirq.PhasedXZGate(x_exponent=0.1, z_exponent=0.2, axis_phase_exponent=0.3)(A),
        cirq.PhasedXPowGate(phase_exponent=0.1, exponent=0.3)(A), cirq.FSimGate(0.1, 0.2)(A, B),
        cirq.PhasedFSimGate(0.1, 0.2, 0.3, 0.4, 0.5)(A, B), cirq.givens(0.3)(A, B),
        cirq.CCZ(A, B, C) ** 0.3, cirq.CCX(A, B, C), cirq.CCX(A, B, C) ** 0.3, cirq.ms(0.3)(A, B),
        cirq.CSWAP(A, B, C), cirq.X(A).controlled_by(B, C, D), cirq.rx(0.3)(A).controlled_by(B, C),
        cirq.X(A).controlled_by(B, control_values=[0]),
        cirq.H(A).controlled_by(B, C, control_values=[(0, 1), 0]),
        cirq.X(A).controlled_by(B, C, control_values=cirq.SumOfProducts([(0, 1), (1, 0)])),
        cirq.XPowGate(exponent=0.3, global_shift=0.2)(A).controlled_by(B),
        cirq.HPowGate(global_shift=0.1)(A).controlled_by(B),
        cirq.global_phase_operation(1j**0.3).controlled_by(A, B),
        cirq.QuantumFourierTransformGate(3)(A, B, C), cirq.ParallelGate(cirq.X**0.3, 2)(A, B),
        cirq.PauliStringPhasor(cirq.X(A) * cirq.Y(B), exponent_neg=0.3), cirq.X(A) * cirq.Y(B),
        cirq.DiagonalGate([0.1, 0.2, 0.3, 0.4])(A, B),
        cirq.QubitPermutationGate([1, 2, 0])(A, B, C),
        cirq.CircuitOperation(cirq.FrozenCircuit(cirq.X(A) ** 0.2, cirq.CX(A, B)), repetitions=2),
        cirq.X(A).with_tags("tag"), cirq.MatrixGate(random(1))(A), cirq.MatrixGate(random(2))(B, A),
        cirq.MatrixGate(random(3))(A, C, B), cirq.MatrixGate(random(4))(A, B, C, D),
        cirq.MatrixGate(random(1))(A).controlled_by(B, C),
        cirq.MatrixGate(random(2))(A, B).controlled_by(C),
    ],
    ids=lambda op: str(op.gate)[:20].split("\n")[0],
)  # fmt: skip
def test_gates_are_expanded_faithfully(op: Any) -> None:
    same(cirq.Circuit(op))


@pytest.mark.parametrize("n_qubits", [1, 2, 3])
@pytest.mark.parametrize("controls", [0, 1])
def test_small_rotations_are_not_rounded_away(n_qubits: int, controls: int) -> None:
    qubits = cirq.LineQubit.range(n_qubits + controls)
    op = cirq.MatrixGate(small(n_qubits)).on(*qubits[controls:])
    circuit = cirq.Circuit(op.controlled_by(*qubits[:controls]))
    assert distance(unitary(describe(circuit), big_endian=True), circuit.unitary()) < 1e-10


def test_boolean_control_values() -> None:
    # Cirq's own unitary of this operation is wrong; with 0 and 1 it is right.
    odd = cirq.Circuit(cirq.H(B).controlled_by(A, control_values=[False]))
    plain = cirq.Circuit(cirq.H(B).controlled_by(A, control_values=[0]))
    assert distance(unitary(describe(odd), big_endian=True), plain.unitary()) < 1e-12


def test_a_gate_with_its_matrix_only() -> None:
    class Odd(cirq.Gate):
        def _num_qubits_(self) -> int:
            return 1

        def _unitary_(self) -> Any:
            return random(1)

    same(cirq.Circuit(Odd()(A)))


def test_qubits_are_sorted() -> None:
    qubits = [cirq.NamedQubit("b"), cirq.GridQubit(0, 1), cirq.NamedQubit("a10"), cirq.LineQubit(3)]
    circuit = cirq.FrozenCircuit(map(cirq.X, qubits), cirq.measure(qubits[2], key="k"))
    form = describe(circuit)
    assert [form.qubit_of[each] for each in sorted(qubits)] == [0, 1, 2, 3]


def test_depth_is_the_longest_path() -> None:
    circuit = cirq.Circuit(
        cirq.Moment(cirq.X(A)), cirq.Moment(cirq.X(B)), cirq.Moment(cirq.measure(B, key="k"))
    )
    assert describe(circuit).depth == 2
    controlled = cirq.X(A).with_classical_controls("k")
    assert describe(circuit + controlled).depth == 3


def test_keys_are_registers_in_order_of_appearance() -> None:
    circuit = cirq.Circuit(
        cirq.X(B), cirq.X(D), cirq.measure(D, C, key="x"), cirq.measure(B, A, key="not a name")
    )
    form = describe(circuit)
    assert form.clbits_of == {"x": (0, 1), "not a name": (2, 3)}
    assert counts(form) == {"0101": 400}


def test_invert_mask() -> None:
    circuit = cirq.Circuit(
        cirq.X(A),
        cirq.measure(A, B, C, key="k", invert_mask=(True, True)),
        cirq.measure(A, key="l"),
    )
    assert counts(describe(circuit)) == {"1010": 400}


def test_reset_and_measurement_in_the_middle() -> None:
    circuit = cirq.Circuit(
        cirq.X(A), cirq.measure(A, key="a"), cirq.reset(A), cirq.measure(A, key="b")
    )
    form = describe(circuit)
    assert form.program_format is ProgramFormat.OPENQASM2
    assert counts(form) == {"01": 400}


def test_pauli_measurements() -> None:
    circuit = cirq.Circuit(
        cirq.H(A), cirq.CX(A, B), cirq.measure_single_paulistring(cirq.X(A) * cirq.X(B), key="xx")
    )
    assert counts(describe(circuit)) == {"0": 400}


@pytest.mark.parametrize("value", range(4))
def test_classical_controls(value: int) -> None:
    a, b = sympy.symbols("a b")
    conditions: list[tuple[Any, bool]] = [
        (["a"], bool(value)),
        ([sympy.Eq(a, 2)], value == 2),
        ([sympy.Eq(a + b, 3)], value == 2),
        (["a", "b"], bool(value)),
        ([cirq.BitMaskKeyCondition.create_equal_mask("a", 1)], bool(value & 1)),
    ]
    for controls, expected in conditions:
        prepare = [qubit for qubit, bit in ((A, value >> 1), (B, value & 1)) if bit]
        circuit = cirq.Circuit(
            map(cirq.X, prepare), cirq.measure(A, B, key="a"), cirq.X(C), cirq.measure(C, key="b"),
            cirq.X(D).with_classical_controls(*controls), cirq.measure(D, key="out"),
        )  # fmt: skip
        form = describe(circuit)
        assert form.program_format is ProgramFormat.OPENQASM3
        (outcome,) = counts(form, 5)
        (theirs,) = set(cirq.Simulator().run(circuit).measurements["out"].flat)
        assert outcome[0] == str(int(expected)) == str(theirs)


def test_sub_circuits_with_measurements_and_controls() -> None:
    inner = cirq.FrozenCircuit(
        cirq.X(A), cirq.measure(A, key="m"), cirq.X(B).with_classical_controls("m")
    )
    circuit = cirq.Circuit(
        cirq.CircuitOperation(inner, repetitions=3, use_repetition_ids=True),
        cirq.measure(B, key="out"),
    )
    form = describe(circuit)
    assert list(form.clbits_of) == ["0:m", "1:m", "2:m", "out"]
    # m is 1, 0, 1, so B is flipped twice.
    assert counts(form) == {"0101": 400}


def refused(*ops: Any) -> CircuitError:
    with pytest.raises(CircuitError) as caught:
        describe(cirq.Circuit(*ops))
    return caught.value


def test_symbols_are_named() -> None:
    error = refused(cirq.rx(sympy.Symbol("beta"))(A), cirq.X(B) ** sympy.Symbol("alpha"))
    assert error.gate == "alpha"
    assert "alpha, beta" in str(error)


class Opaque(cirq.Gate):
    def _num_qubits_(self) -> int:
        return 1

    def __str__(self) -> str:
        return "Opaque"


@pytest.mark.parametrize(
    ("op", "name"),
    [
        (Opaque()(A), "Opaque"),
        (cirq.depolarize(0.1)(A), "depolarize"),
        (cirq.amplitude_damp(0.1)(A), "amplitude_damp"),
        (cirq.measure(A, key="k", confusion_map={(0,): np.array([[0.9, 0.1], [0.1, 0.9]])}), "k"),
        (
            cirq.CircuitOperation(
                cirq.FrozenCircuit(cirq.X(A), cirq.measure(A, key="m")),
                repeat_until=cirq.KeyCondition(cirq.MeasurementKey("m")),
                use_repetition_ids=False,
            ),
            "m",
        ),
    ],
)
def test_what_has_no_form_is_named(op: Any, name: str) -> None:
    assert name in refused(op).gate


def test_keys_that_are_measured_again() -> None:
    circuit = cirq.Circuit(
        cirq.X(B), cirq.measure(A, B, key="k"), cirq.measure(C, key="k_2"), cirq.X(C),
        cirq.measure(B, C, key="k"), cirq.measure(D, key="l"),
    )  # fmt: skip
    form = describe(circuit)
    # The moments of the circuit decide on the order.
    assert form.repeated == {"k": ((2, 3), (4, 5))}
    assert form.clbits_of == {"k_2": (0,), "l": (1,), "k": (4, 5)}
    assert counts(form) == {"111000": 400}


def test_conditions_look_at_the_latest_measurement() -> None:
    first, latest = cirq.KeyCondition(cirq.MeasurementKey("k"), 0), "k"
    circuit = cirq.Circuit(
        cirq.X(A), cirq.measure(A, key="k"), cirq.X(B).with_classical_controls(latest),
        cirq.X(A), cirq.measure(A, key="k"), cirq.X(C).with_classical_controls(latest),
        cirq.X(D).with_classical_controls(first), cirq.measure(B, C, D, key="out"),
    )  # fmt: skip
    assert counts(describe(circuit), 5) == {"10101": 5}
    assert cirq.Simulator().run(circuit).records["out"].tolist() == [[[1, 0, 1]]]


def test_repetitions_of_a_sub_circuit_repeat_its_keys() -> None:
    inner = cirq.FrozenCircuit(cirq.X(A), cirq.measure(A, key="m"))
    loop = cirq.CircuitOperation(inner, repetitions=3, use_repetition_ids=False)
    form = describe(cirq.Circuit(loop))
    assert form.repeated == {"m": ((0,), (1,), (2,))}
    assert counts(form) == {"101": 400}


def test_inverted_measurements_may_be_left_to_the_reader() -> None:
    from qdispatch.circuits.cirq import describe as describe_cirq

    circuit = cirq.Circuit(cirq.X(A), cirq.measure(A, B, key="k", invert_mask=(True, True)))
    form = describe_cirq(circuit, leave_inverted=True)
    assert form.inverted == {0, 1}
    assert counts(form) == {"01": 400}
    # Here a condition looks at them.
    read = describe_cirq(circuit + cirq.X(C).with_classical_controls("k"), leave_inverted=True)
    assert not read.inverted
    assert counts(read, 5) == {"10": 5}


def test_refused_measurements() -> None:
    assert "on 2 qubits" in str(refused(cirq.measure(A, B, key="k"), cirq.measure(C, key="k")))
    early = refused(cirq.X(B).with_classical_controls("k"), cirq.measure(A, key="k"))
    assert "not measured before" in str(early)


def test_other_refusals() -> None:
    assert "3 levels" in str(refused(cirq.IdentityGate(qid_shape=(3,))(cirq.LineQid(0, 3))))
    assert "no qubits" in str(refused())


def test_a_circuit_without_measurement_has_no_bits() -> None:
    form = describe(cirq.Circuit(cirq.I(A), cirq.WaitGate(cirq.Duration(nanos=3))(B)))
    assert load(form).num_clbits == 0
