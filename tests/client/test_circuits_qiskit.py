from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import qiskit.circuit.library as lib
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Clbit, Gate, Instruction, Parameter, Qubit
from qiskit.circuit.classical import expr, types
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator, SparsePauliOp, random_clifford, random_unitary
from reading import counts, distance, load, parameters, unitary

from qdispatch.circuits import describe
from qdispatch.errors import CircuitError
from qdispatch.model import ProgramFormat

ANGLES = [
    math.pi / 4 + 1e-13, math.pi / 4, 1e-17, 0.1 + 0.2, 1e300, -math.pi, 5e-324, 3,
    np.float64(1.1), np.float32(0.1), math.nextafter(math.pi / 2, 0), 2 * math.pi / 3, 0.0,
]  # fmt: skip


def on(gate: Any, n_qubits: int | None = None) -> QuantumCircuit:
    circuit = QuantumCircuit(n_qubits or gate.num_qubits)
    circuit.append(gate, range(gate.num_qubits))
    return circuit


def same(circuit: QuantumCircuit) -> None:
    assert distance(unitary(describe(circuit)), Operator(circuit).data) < 1e-11


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("name", ["rx", "ry", "rz", "p"])
def test_angles_are_kept_to_the_last_bit(name: str, angle: float) -> None:
    circuit = QuantumCircuit(1)
    getattr(circuit, name)(angle, 0)
    assert parameters(describe(circuit)) == [float(angle)]


def test_angles_are_kept_in_openqasm3() -> None:
    circuit = QuantumCircuit(2, 1)
    for angle in ANGLES:
        circuit.rx(angle, 0)
        circuit.rzz(angle, 0, 1)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    form = describe(circuit)
    assert form.program_format is ProgramFormat.OPENQASM3
    assert parameters(form) == [float(angle) for angle in ANGLES for _ in range(2)]


@pytest.mark.parametrize("seed", range(25))
def test_random_circuits(seed: int) -> None:
    circuit = random_circuit(4, 6, max_operands=4, seed=seed)
    form = describe(circuit)
    assert form.program_format is ProgramFormat.OPENQASM2
    assert (form.n_qubits, form.depth, form.framework) == (4, circuit.depth(), "qiskit")
    same(circuit)


@pytest.mark.parametrize(
    "gate",
    [
        lib.UGate(0.1, 0.2, 0.3), lib.U1Gate(0.1), lib.U2Gate(0.1, 0.2), lib.U3Gate(0.1, 0.2, 0.3),
        lib.RGate(0.1, 0.2), lib.SXdgGate(), lib.CUGate(0.1, 0.2, 0.3, 0.4), lib.CSXGate(),
        lib.CSGate(), lib.CU3Gate(0.1, 0.2, 0.3), lib.RYYGate(0.1), lib.RZXGate(0.1), lib.ECRGate(),
        lib.iSwapGate(), lib.DCXGate(), lib.XXPlusYYGate(0.1, 0.2), lib.CCZGate(), lib.RCCXGate(),
        lib.C3XGate(), lib.C4XGate(), lib.C3SXGate(), lib.RC3XGate(), lib.MCXGate(4),
        lib.MCPhaseGate(0.3, 3), lib.QFTGate(3), lib.PermutationGate([2, 0, 1]),
        lib.DiagonalGate([1, -1, 1j, -1j]), lib.GlobalPhaseGate(0.4).control(2, annotated=False),
        lib.XGate().control(2, ctrl_state=1, annotated=False), lib.CXGate(ctrl_state=0),
        lib.RZGate(0.3).control(2, annotated=False),
        lib.UnitaryGate(random_unitary(2, seed=1)), lib.UnitaryGate(random_unitary(4, seed=1)),
        lib.UnitaryGate(random_unitary(8, seed=1)),
        lib.UnitaryGate(random_unitary(4, seed=1)).control(1, ctrl_state=0, annotated=False),
        lib.PauliGate("XYZ"), lib.PauliGate("ZZ"),
    ],
    ids=lambda gate: gate.name,
)  # fmt: skip
def test_gates_are_expanded_faithfully(gate: Gate) -> None:
    same(on(gate))


def test_an_evolution_is_its_product_formula() -> None:
    gate = lib.PauliEvolutionGate(SparsePauliOp(["XX", "ZI"], [0.3, 0.2]), 0.7)
    assert distance(unitary(describe(on(gate))), Operator(gate.definition).data) < 1e-12


@pytest.mark.parametrize("power", [2, 0.5, -1])
def test_annotated_operations(power: float) -> None:
    gate = lib.RXXGate(0.3).control(2, ctrl_state=1, annotated=True).power(power, annotated=True)
    plain = lib.RXXGate(0.3 * power).control(2, ctrl_state=1, annotated=False)
    assert distance(unitary(describe(on(gate))), Operator(plain).data) < 1e-10


def test_the_phase_inside_a_controlled_gate_counts() -> None:
    inner = QuantumCircuit(1, global_phase=0.7)
    inner.h(0)
    same(on(inner.to_gate().control(1, annotated=False)))


def test_operations_that_are_no_instructions() -> None:
    clifford = random_clifford(3, seed=2)
    circuit = QuantumCircuit(3)
    circuit.append(clifford, range(3))
    circuit.append(Operator(random_unitary(4, seed=3)), [0, 2])
    same(circuit)


def test_a_matrix_is_as_good_as_a_definition() -> None:
    class Odd(Gate):
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.diag([1, 1j])

    assert distance(unitary(describe(on(Odd("odd", 1, [])))), np.diag([1, 1j])) < 1e-12


@pytest.mark.parametrize("name", ["h", "cx", "measure", "if", "U", "π", "gate", "x y"])
def test_a_gate_is_not_told_by_its_name(name: str) -> None:
    inner = QuantumCircuit(2, name=name)
    inner.ry(0.3, 0)
    inner.cz(0, 1)
    same(on(inner.to_gate()))


def test_nested_gates_of_one_name() -> None:
    inner = QuantumCircuit(1, name="g")
    inner.t(0)
    outer = QuantumCircuit(1, name="g")
    outer.append(inner.to_gate(), [0])
    outer.h(0)
    same(on(outer.to_gate()))


def test_initialize_resets_and_prepares() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.initialize([0, 0, 1, 0], [0, 1])
    circuit.measure([0, 1], [0, 1])
    assert counts(describe(circuit)) == {"10": 400}


def test_sub_circuits_with_measurements() -> None:
    inner = QuantumCircuit(2, 2)
    inner.x(0)
    inner.measure([0, 1], [1, 0])
    circuit = QuantumCircuit(3, 3)
    circuit.append(inner.to_instruction(), [2, 0], [0, 2])
    assert counts(describe(circuit)) == {"100": 400}


def test_what_an_ideal_simulation_does_not_see() -> None:
    circuit = QuantumCircuit(2, global_phase=0.3)
    circuit.h(0)
    circuit.barrier()
    circuit.delay(100, 0)
    circuit.x(0)
    form = describe(circuit)
    assert "barrier q[0], q[1];" in form.program
    assert form.depth == circuit.depth()
    same(circuit)


def test_registers_give_the_order_of_the_outcome() -> None:
    a, b = ClassicalRegister(2, "a"), ClassicalRegister(3, "x")
    circuit = QuantumCircuit(QuantumRegister(1, "z"), QuantumRegister(1, "q"), a, b)
    circuit.x(1)
    circuit.measure(1, b[0])
    circuit.measure(0, a[0])
    form = describe(circuit)
    assert counts(form) == {"00100": 400}
    assert form.clbits_of == {"a": (0, 1), "x": (2, 3, 4)}


def test_loose_bits_and_overlapping_registers() -> None:
    bits = [Clbit() for _ in range(4)]
    alias = ClassicalRegister(bits=[bits[3], bits[1]], name="alias")
    real = ClassicalRegister(bits=bits[1:3], name="real")
    circuit = QuantumCircuit([Qubit(), Qubit()], bits)
    circuit.add_register(alias)
    circuit.add_register(real)
    circuit.x(0)
    circuit.measure(0, bits[1])
    with circuit.if_test((alias, 2)):
        circuit.x(1)
    circuit.measure(1, bits[0])
    form = describe(circuit)
    assert counts(form) == {"0011": 400}
    assert form.clbits_of == {"alias": (3, 1), "real": (1, 2)}


def test_mid_circuit_measurement_and_reset_stay_openqasm2() -> None:
    circuit = QuantumCircuit(1, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.reset(0)
    circuit.measure(0, 1)
    form = describe(circuit)
    assert form.program_format is ProgramFormat.OPENQASM2
    assert counts(form) == {"01": 400}


def prepared(value: int, n_qubits: int = 5) -> QuantumCircuit:
    """Bits c[0..2] hold the value, d[0] holds 1; two qubits are left."""
    circuit = QuantumCircuit(
        QuantumRegister(n_qubits), ClassicalRegister(3, "c"), ClassicalRegister(1, "d"),
        ClassicalRegister(2, "out"),
    )  # fmt: skip
    for place in range(3):
        if value >> place & 1:
            circuit.x(place)
        circuit.measure(place, place)
    circuit.x(3)
    circuit.measure(3, 3)
    return circuit


CONDITIONS: list[tuple[Callable[[Any, Any], Any], Callable[[int], bool]]] = [
    (lambda c, d: (c, 5), lambda v: v == 5),
    (lambda c, d: (c[1], 0), lambda v: not v >> 1 & 1),
    (lambda c, d: (d, 1), lambda v: True),
    (lambda c, d: expr.less(c, 3), lambda v: v < 3),
    (lambda c, d: expr.not_equal(c, 4), lambda v: v != 4),
    (lambda c, d: expr.logic_and(c[0], expr.logic_not(c[2])), lambda v: bool(v & 1) and v < 4),
    (lambda c, d: expr.equal(expr.bit_and(c, 6), 4), lambda v: v & 6 == 4),
    (lambda c, d: expr.bit_not(c[0]), lambda v: not v & 1),
    (lambda c, d: expr.equal(expr.bit_not(c), 2), lambda v: ~v & 7 == 2),
    (lambda c, d: expr.index(c, 2), lambda v: v >= 4),
    (lambda c, d: expr.equal(expr.shift_left(c, 1), 2), lambda v: v << 1 & 7 == 2),
    (lambda c, d: expr.equal(expr.bit_xor(c, c), 0), lambda v: True),
    (lambda c, d: expr.cast(c, types.Bool()), bool),
]


@pytest.mark.parametrize("case", range(len(CONDITIONS)))
def test_conditions(case: int) -> None:
    make, truth = CONDITIONS[case]
    for value in (0, 1, 3, 4, 5, 6):
        circuit = prepared(value)
        c, d, out = circuit.cregs
        with circuit.if_test(make(c, d)) as otherwise:
            circuit.x(4)
        with otherwise:
            circuit.x(0)
            circuit.reset(0)
        circuit.measure(4, out[0])
        form = describe(circuit)
        (outcome,) = counts(form, 5)
        assert outcome[-5] == str(int(truth(value))), (value, form.program)


def test_switch_and_nested_blocks() -> None:
    for value, expected in [(0, "00"), (1, "01"), (2, "10"), (3, "10"), (6, "11")]:
        circuit = prepared(value)
        c, d, out = circuit.cregs
        with circuit.switch(c) as case:
            with case(0):
                pass
            with case(1):
                with circuit.if_test((d, 1)):
                    circuit.x(3)
                    circuit.x(4)
                    circuit.x(3)
            with case(2, 3):
                circuit.reset(3)
                circuit.x(3)
            with case(case.DEFAULT):
                circuit.x(4)
        if value < 2:
            circuit.x(3)
        circuit.measure([4, 3], out)
        (outcome,) = counts(describe(circuit), 5)
        assert outcome[:2] == expected


def test_loops() -> None:
    circuit = QuantumCircuit(2, 3)
    with circuit.for_loop(range(7, 0, -2)):
        circuit.x(0)
    with circuit.for_loop((3, 1, 8)):
        circuit.x(0)
    circuit.measure(0, 0)
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.x(0)
        circuit.x(1)
        circuit.measure([0, 1], [0, 1])
    circuit.measure(1, 2)
    assert counts(describe(circuit)) == {"110": 400}


def test_a_loop_over_its_variable_is_unrolled_exactly() -> None:
    circuit = QuantumCircuit(1)
    with circuit.for_loop(range(3)) as outer:
        with circuit.for_loop([5]) as inner:
            circuit.rx(0.1 * outer + inner / 3, 0)
    angles = parameters(describe(circuit))
    assert angles == pytest.approx([k * 0.1 + 5 / 3 for k in range(3)], rel=1e-15)


def test_a_box_is_its_content() -> None:
    circuit = QuantumCircuit(2)
    with circuit.box():
        circuit.cx(1, 0)
    assert "cx q[1], q[0];" in describe(circuit).program


def test_dynamic_circuits_behave_as_in_qiskit() -> None:
    from qiskit_aer import AerSimulator

    for seed in range(4):
        circuit = random_circuit(
            3, 8, max_operands=2, measure=True, conditional=True, reset=True, seed=seed
        )
        shots = 4000
        simulator = AerSimulator(seed_simulator=1)
        plain = simulator.run(transpile(circuit, simulator), shots=shots).result()
        mine = counts(describe(circuit), shots)
        theirs = {key.replace(" ", ""): value for key, value in plain.get_counts().items()}
        for key in mine.keys() | theirs.keys():
            # Five standard deviations of the difference of two samples.
            assert abs(mine.get(key, 0) - theirs.get(key, 0)) < 5 * math.sqrt(2 * shots / 4)


def refused(circuit: QuantumCircuit) -> CircuitError:
    with pytest.raises(CircuitError) as caught:
        describe(circuit)
    return caught.value


def test_unbound_parameters_are_named() -> None:
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("beta"), 0)
    circuit.rx(Parameter("alpha"), 0)
    error = refused(circuit)
    assert error.gate == "alpha"
    assert "alpha, beta" in str(error)


def test_bound_parameters_are_fine() -> None:
    theta = Parameter("theta")
    inner = QuantumCircuit(1, name="inner")
    inner.ry(2 * theta, 0)
    circuit = on(inner.to_gate())
    circuit.rx(theta, 0)
    assert parameters(describe(circuit.assign_parameters({theta: 0.3}))) == [0.6, 0.3]


@pytest.mark.parametrize("thing", [Gate("mystery", 1, []), Instruction("mystery", 1, 0, [])])
def test_what_has_no_form_is_named(thing: Instruction) -> None:
    assert refused(on(thing)).gate == "mystery"
    outer = on(thing, 2)
    assert refused(on(outer.to_instruction())).gate == "mystery"


def test_a_gate_that_is_not_finite_is_named() -> None:
    circuit = QuantumCircuit(1)
    circuit.rz(math.inf, 0)
    assert refused(circuit).gate == "rz"


def test_other_refusals_are_named() -> None:
    assert "no qubits" in str(refused(QuantumCircuit(0, 1)))
    circuit = QuantumCircuit(1, 1)
    circuit.add_var("flag", expr.lift(False))
    assert refused(circuit).gate == "flag"
    circuit = QuantumCircuit(1, 2)
    with circuit.while_loop(expr.logic_or(*circuit.clbits)):
        circuit.x(0)
    assert refused(circuit).gate == "while_loop"


@pytest.mark.parametrize("jump", ["break_loop", "continue_loop"])
def test_leaving_a_loop_is_refused(jump: str) -> None:
    plain, unrolled, nested = (QuantumCircuit(1, 1) for _ in range(3))
    with plain.for_loop(range(3)):
        getattr(plain, jump)()
    with unrolled.for_loop(range(3)) as index:
        unrolled.rx(index, 0)
        getattr(unrolled, jump)()
    with nested.while_loop((nested.clbits[0], 0)):
        nested.measure(0, 0)
        with nested.if_test((nested.clbits[0], 1)):
            getattr(nested, jump)()
    for circuit in (plain, unrolled, nested):
        error = refused(circuit)
        assert error.gate == jump
        assert jump in str(error)


def test_a_loop_that_would_never_end_is_refused() -> None:
    circuit = QuantumCircuit(1)
    for _ in range(11):
        outer = QuantumCircuit(1)
        for _ in range(2):
            outer.append(circuit.to_gate() if circuit.data else lib.XGate(), [0])
        circuit = outer
    import qdispatch.circuits.writer as writer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "MAX_STATEMENTS", 1000)
        assert "1000 operations" in str(refused(circuit))


def test_a_circuit_without_measurement_has_no_bits() -> None:
    assert load(describe(on(lib.HGate()))).num_clbits == 0
