from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import pytest
import scipy.linalg
from reading import counts, distance, load, parameters, unitary

from qdispatch.circuits import describe
from qdispatch.errors import CircuitError
from qdispatch.model import PauliSum, PauliTerm, ProgramFormat, ResultType

XX = np.array([[0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]])


def random(n_qubits: int) -> Any:
    generator = np.random.default_rng(n_qubits)
    shape = (2**n_qubits, 2**n_qubits)
    return np.linalg.qr(generator.normal(size=shape) + 1j * generator.normal(size=shape))[0]


def tape(*ops: Any, measure: Any = ()) -> Any:
    return qml.tape.QuantumScript(list(ops), list(measure))


def same(*ops: Any) -> None:
    script = tape(*ops)
    expected = qml.matrix(script, wire_order=sorted(script.wires.tolist()))
    assert distance(unitary(describe(script), big_endian=True), expected) < 1e-10


@pytest.mark.parametrize("angle", [math.pi / 4 + 1e-13, 1e-17, 0.1 + 0.2, 3, 1e300, -math.pi])
@pytest.mark.parametrize("wrap", [float, np.float64, np.array, qml.numpy.array])
def test_angles_are_kept(angle: float, wrap: Callable[[float], Any]) -> None:
    value = wrap(angle)
    script = tape(qml.RX(value, 0), qml.CRY(value, [0, 1]), qml.Rot(value, value, value, 0))
    # Rot is RZ, RY, RZ.
    assert parameters(describe(script)) == [angle] * 5


GATES = [qml.RX, qml.RY, qml.RZ, qml.PhaseShift, qml.CRX, qml.CRZ, qml.IsingXX, qml.IsingYY,
         qml.IsingXY, qml.Hadamard, qml.S, qml.T, qml.SX, qml.CNOT, qml.CY, qml.CZ, qml.SWAP,
         qml.ISWAP, qml.Toffoli, qml.CSWAP, qml.CCZ, qml.U2, qml.U3, qml.Rot]  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_random_tapes(seed: int) -> None:
    generator = np.random.default_rng(seed)
    ops = [qml.Identity(wire) for wire in range(4)]
    for kind in generator.choice(np.array(GATES, dtype=object), 25):
        wires = generator.permutation(4)[: kind.num_wires].tolist()
        op = kind(*generator.normal(size=kind.num_params), wires=wires)
        ops.append(qml.adjoint(op) if generator.random() < 0.3 else op)
    form = describe(tape(*ops))
    assert form.program_format is ProgramFormat.OPENQASM2
    assert (form.framework, form.n_qubits) == ("pennylane", 4)
    same(*ops)


@pytest.mark.parametrize(
    "op",
    [
        qml.QubitUnitary(random(1), 0), qml.QubitUnitary(random(2), [1, 0]),
        qml.QubitUnitary(random(3), [0, 2, 1]), qml.ControlledQubitUnitary(random(1), [0, 1, 2]),
        qml.QubitUnitary(scipy.linalg.expm(3e-9j * XX), [0, 1]),
        qml.ctrl(qml.QubitUnitary(random(2), [0, 1]), 2), qml.ctrl(qml.RX(0.3, 0), [1, 2]),
        qml.ctrl(qml.Hadamard(0), [1, 2], control_values=[0, 1]), qml.MultiControlledX([0, 1, 2]),
        qml.ctrl(qml.GlobalPhase(0.3), [0, 1]), qml.QFT([0, 1, 2]), qml.MultiRZ(0.3, [0, 1, 2]),
        qml.PauliRot(0.3, "XYZ", [0, 1, 2]), qml.PSWAP(0.3, [0, 1]), qml.SISWAP([0, 1]),
        qml.ECR([0, 1]), qml.CH([0, 1]), qml.DoubleExcitation(0.3, [0, 1, 2, 3]),
        qml.DiagonalQubitUnitary(np.exp(1j * np.arange(8)), [0, 1, 2]), qml.adjoint(qml.SX(0)),
        qml.pow(qml.RX(0.3, 0), 2.5), qml.pow(qml.X(0), 0.3), qml.prod(qml.X(0), qml.RY(0.3, 1)),
        qml.exp(qml.X(0) @ qml.Y(1), 0.3j), qml.GroverOperator([0, 1, 2]), qml.U1(0.3, 0),
        qml.TrotterProduct(qml.X(0) @ qml.Y(1) + qml.Z(0), 0.3, n=2),
        qml.CRot(0.1, 0.2, 0.3, [0, 1]),
        qml.BlockEncode(np.array([[0.1, 0.2], [0.3, 0.4]]), [0, 1]),
    ],
    ids=lambda op: op.name,
)  # fmt: skip
def test_operators_are_expanded_faithfully(op: Any) -> None:
    same(op)


def test_state_preparation() -> None:
    state = random(2)[0]
    form = describe(tape(qml.StatePrep(state, [0, 1])))
    assert abs(np.vdot(unitary(form, big_endian=True)[:, 0], state)) == pytest.approx(1, abs=1e-12)
    assert counts(describe(tape(qml.BasisState([0, 1], [0, 1])))) == {"10": 400}


def test_what_no_result_can_show() -> None:
    form = describe(tape(qml.X(0), qml.GlobalPhase(0.3), qml.Barrier([0, 1]), qml.Snapshot()))
    assert form.depth == 1
    assert "barrier q[0], q[1];" in form.program


@pytest.mark.parametrize(
    ("wires", "expected"),
    [([2, 0, 1], [0, 1, 2]), (["b", "a"], ["b", "a"]), ([5, "a", 1], [5, "a", 1])],
)
def test_wires_of_a_tape(wires: list[Any], expected: list[Any]) -> None:
    form = describe(tape(*(qml.X(wire) for wire in wires)))
    assert form.qubit_of == {wire: index for index, wire in enumerate(expected)}


def node(wires: Any = None, shots: int | None = None) -> Any:
    @qml.qnode(qml.device("default.qubit", wires=wires))
    def body(angle: float, *, last: Any = "a") -> Any:
        qml.RX(angle, wires=last)
        qml.CNOT([last, "b"])
        return qml.counts(wires=["a", "b"]), qml.expval(qml.Z("a") @ qml.X("c") - 2 * qml.Y("b"))

    return qml.set_shots(body, shots)


def test_qnodes() -> None:
    form = describe(node(["c", "b", "a"], 100), (math.pi,), {"last": "a"})
    assert form.qubit_of == {"c": 0, "b": 1, "a": 2}
    assert form.result_types == (ResultType.COUNTS, ResultType.EXPVAL)
    assert form.shots == 100
    assert form.depth == 2
    terms = {(tuple(sorted(term.letters().items())), term.coefficient)
             for term in form.observables[0].terms}  # fmt: skip
    assert terms == {(((0, "X"), (2, "Z")), 1.0), (((1, "Y"),), -2.0)}
    assert form.clbits_of == {"c": (0, 1)}
    assert load(form).num_clbits == 2


def test_partials_and_devices_without_wires() -> None:
    form = describe(functools.partial(node(), 0.3, last="a"))
    assert form.qubit_of == {"a": 0, "b": 1, "c": 2}
    assert form.shots is None
    assert describe(functools.partial(node(), last="a"), (0.3,)).program == form.program


def test_transforms_of_a_qnode_are_applied() -> None:
    @qml.transforms.merge_rotations
    @qml.qnode(qml.device("default.qubit", wires=1))
    def body() -> Any:
        qml.RX(0.25, 0)
        qml.RX(0.5, 0)
        return qml.probs()

    form = describe(body)
    assert parameters(form)[:1] == [0.75]
    assert form.result_types == (ResultType.QUASI,)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ([qml.counts()], "001"),
        ([qml.probs(wires=[2, 0])], "10"),
        ([qml.sample(wires=2), qml.counts(wires=[1, 0])], "100"),
        ([qml.expval(qml.X(1))], "001"),
        ([], "001"),
    ],
)
def test_what_is_measured(measure: Any, expected: str) -> None:
    script = tape(qml.X(0), qml.Identity(1), qml.Identity(2), measure=measure)
    assert counts(describe(script)) == {expected: 400}


def test_mid_circuit_measurements() -> None:
    with qml.queuing.AnnotatedQueue() as queue:
        qml.X(0)
        first = qml.measure(0, reset=True)
        second = qml.measure(0)
        qml.cond(first & ~second, qml.X, qml.Y)(1)
        qml.cond(second, qml.X)(0)
        qml.cond(2 * first + second == 2, qml.QFT)([2, 3])
        qml.cond(first, qml.X)(2)
        qml.counts(wires=[0, 1])
    form = describe(qml.tape.QuantumScript.from_queue(queue))
    assert form.program_format is ProgramFormat.OPENQASM3
    assert form.clbits_of == {"c": (0, 1), "mcm": (2, 3)}
    assert counts(form) == {"0110": 400}


def test_measured_values_alone_measure_no_wire() -> None:
    with qml.queuing.AnnotatedQueue() as queue:
        qml.X(0)
        value = qml.measure(0)
        qml.counts(value)
    form = describe(qml.tape.QuantumScript.from_queue(queue))
    assert form.clbits_of == {"mcm": (0,)}
    assert form.program_format is ProgramFormat.OPENQASM2


def refused(circuit: Any, *args: Any) -> CircuitError:
    with pytest.raises(CircuitError) as caught:
        describe(circuit, args)
    return caught.value


def test_what_has_no_form_is_named() -> None:
    class Mystery(qml.operation.Operation):
        num_wires = 1

    assert refused(tape(Mystery(0))).gate == "Mystery"
    assert refused(tape(qml.DepolarizingChannel(0.1, 0))).gate == "DepolarizingChannel"
    assert refused(tape(qml.RX(math.inf, 0))).gate == "rx"


@pytest.mark.parametrize(
    "measurement",
    [qml.state(), qml.var(qml.X(0)), qml.counts(qml.X(0)), qml.vn_entropy([0])],
    ids=lambda each: type(each).__name__,
)
def test_measurements_that_are_not_carried_are_named(measurement: Any) -> None:
    error = refused(tape(qml.X(0), measure=[measurement]))
    assert error.gate == str(measurement)


def test_observables_must_be_paulis() -> None:
    from qdispatch.errors import InvalidJobError

    script = tape(qml.X(0), measure=[qml.expval(qml.X(0)), qml.expval(qml.Projector([1], 0))])
    with pytest.raises(InvalidJobError, match="Projector") as caught:
        describe(script)
    assert caught.value.field == "observables[1]"


def test_other_refusals() -> None:
    assert "broadcast" in str(refused(tape(qml.RX(np.array([0.1, 0.2]), 0))))
    assert "no qubits" in str(refused(tape()))
    assert "no arguments" in str(refused(tape(qml.X(0)), 1))
    shots = qml.tape.QuantumScript([qml.X(0)], [qml.counts()], shots=[10, 20])
    assert "vector of shots" in str(refused(shots))
    assert "device" in str(refused(node(["a", "b"]), 0.3))
    with qml.queuing.AnnotatedQueue() as queue:
        qml.measure(0, postselect=1)
    assert refused(qml.tape.QuantumScript.from_queue(queue)).gate == "measure"


def test_observables_of_a_tape() -> None:
    form = describe(tape(qml.X(1), qml.X(0), measure=[qml.expval(qml.Z(1)), qml.expval(qml.Y(0))]))
    assert form.observables == (
        PauliSum(terms=(PauliTerm(paulis="Z", qubits=(1,)),)),
        PauliSum(terms=(PauliTerm(paulis="Y", qubits=(0,)),)),
    )
