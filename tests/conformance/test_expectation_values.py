"""Expectation values: exact, sampled, and with measurements in mid-circuit."""

from __future__ import annotations

from math import cos, prod, sin, sqrt

import numpy as np
import pytest
from conformance_cases import QASM2, QASM3
from conformance_runs import Run, run_on

from qdispatch.model import ErrorKind, PauliSum, PauliTerm, ResultType
from tasks.simulators import SimulationError

BELL = QASM2 + "qreg q[2];creg c[2];h q[0];cx q[0],q[1];measure q->c;"
SHOTS = 2000


def term(paulis: str, coefficient: float = 1.0, qubits: tuple[int, ...] | None = None) -> PauliTerm:
    return PauliTerm(paulis=paulis, coefficient=coefficient, qubits=qubits)


def observable(*terms: PauliTerm) -> PauliSum:
    return PauliSum(terms=terms)


def test_bell_state_before_its_measurement(run: Run) -> None:
    asked = tuple(observable(term(label)) for label in ("XX", "YY", "ZZ", "IZ", "II"))
    (result,) = run(BELL, ResultType.EXPVAL, observables=asked).results
    np.testing.assert_allclose(result.expval, [1, -1, 1, 0, 1], atol=1e-6)


def test_order_of_labels(run: Run) -> None:
    program = QASM2 + "qreg q[3];ry(0.7) q[0];rx(1.9) q[2];"
    asked = (
        observable(term("IIZ")),
        observable(term("IIX")),
        observable(term("YII")),
        observable(term("YIX")),
        observable(term("ZY", qubits=(0, 2))),
        observable(term("YZ", 2.0, (2, 0)), term("III", -0.5), term("Z", 3.0, (1,))),
    )
    z, x, y = cos(0.7), sin(0.7), -sin(1.9)
    (result,) = run(program, ResultType.EXPVAL, observables=asked).results
    expected = [z, x, y, x * y, z * y, 2 * y * z - 0.5 + 3]
    np.testing.assert_allclose(result.expval, expected, atol=2e-6)


#: Observables that leave qubits out, of a product of five, and which qubits they need.
APART = (((0,), (2,)), ((1,), (4,), (3,)), ((0, 2), (4,)), ((3,), (0,)))


@pytest.mark.parametrize("asked", APART, ids=str)
def test_qubits_that_nobody_asks_for_change_nothing(
    run: Run, asked: tuple[tuple[int, ...], ...]
) -> None:
    angles = (0.5, 1.1, 2.0, 0.3, 0.9)
    program = QASM2 + "qreg q[5];" + "".join(f"ry({a}) q[{k}];" for k, a in enumerate(angles))
    observables = tuple(observable(term("Z" * len(each), qubits=each)) for each in asked)
    (result,) = run(program, ResultType.EXPVAL, observables=observables).results
    expected = [prod(cos(angles[qubit]) for qubit in each) for each in asked]
    np.testing.assert_allclose(result.expval, expected, atol=2e-6)


@pytest.mark.parametrize("method", ["stabilizer", "matrix_product_state"])
def test_qubits_that_nobody_asks_for_change_nothing_by_other_methods(method: str) -> None:
    program = QASM2 + "qreg q[5];x q[0];h q[1];h q[3];h q[4];"
    asked = tuple(observable(term("Z", qubits=(qubit,))) for qubit in (0, 2))
    found = run_on("aer", program, ResultType.EXPVAL, observables=asked, options={"method": method})
    assert found.method == method
    np.testing.assert_allclose(found.results[0].expval, [-1, 1], atol=1e-9)


def test_sampled_values_and_their_errors(run: Run) -> None:
    program = QASM2 + "qreg q[2];creg c[2];ry(0.7) q[0];ry(1.9) q[1];measure q->c;"
    asked = (
        observable(term("IZ")),
        observable(term("ZZ", 3.0), term("IX", -2.0), term("II", 10.0)),
    )
    a, b, x = cos(0.7), cos(0.7) * cos(1.9), sin(0.7)
    (result,) = run(program, ResultType.EXPVAL, observables=asked, shots=SHOTS).results
    errors = [
        sqrt((1 - a * a) / SHOTS),
        sqrt((9 * (1 - b * b) + 4 * (1 - x * x)) / SHOTS),
    ]
    exact = [a, 3 * b - 2 * x + 10]
    np.testing.assert_allclose(result.standard_errors, errors, rtol=0.2)
    for value, expected, error in zip(result.expval, exact, errors, strict=True):
        assert 0 < abs(value - expected) < 5 * error


def test_sampled_values_are_spread_as_their_error_says(run: Run) -> None:
    program = QASM2 + "qreg q[1];ry(1.1) q[0];"
    asked = (observable(term("Z")),)
    values = [
        run(program, ResultType.EXPVAL, observables=asked, shots=100, seed=seed)
        .results[0]
        .expval[0]
        for seed in range(60)
    ]
    expected = sqrt((1 - cos(1.1) ** 2) / 100)
    assert 0.7 < np.std(values) / expected < 1.4


def test_sampled_values_follow_the_seed(run: Run) -> None:
    program = QASM2 + "qreg q[1];ry(1.1) q[0];"
    asked = (observable(term("Z")),)

    def value(seed: int) -> float:
        request = run(program, ResultType.EXPVAL, observables=asked, shots=500, seed=seed)
        return float(request.results[0].expval[0])

    assert value(3) == value(3)
    assert len({value(seed) for seed in (3, 4, 5, 2**63 - 1)}) > 1


def test_one_run_serves_all_result_types(run: Run) -> None:
    types = (ResultType.EXPVAL, ResultType.QUASI, ResultType.COUNTS)
    asked = (observable(term("ZZ")),)
    found = run(BELL, *types, observables=asked, shots=100)
    assert [each.type for each in found.results] == list(types)
    assert found.results[0].expval == (1.0,)
    assert set(found.results[2].counts) <= {"00", "11"}


DYNAMIC = (
    QASM3 + "qubit[2] q;bit[2] c;ry(0.7) q[0];c[0]=measure q[0];"
    "if (c[0]) {x q[1];} else {ry(1.9) q[1];} c[1]=measure q[1];"
)


def test_exact_values_with_a_measurement_in_mid_circuit(run: Run) -> None:
    p0, p1 = cos(0.35) ** 2, sin(0.35) ** 2
    asked = tuple(observable(term(label)) for label in ("IZ", "ZI", "XI", "ZZ"))
    (result,) = run(DYNAMIC, ResultType.EXPVAL, observables=asked).results
    expected = [p0 - p1, p0 * cos(1.9) - p1, p0 * sin(1.9), p0 * cos(1.9) + p1]
    np.testing.assert_allclose(result.expval, expected, atol=2e-6)
    assert result.standard_errors == (0.0,) * 4


def test_sampled_values_with_a_measurement_in_mid_circuit(run: Run) -> None:
    p0, p1 = cos(0.35) ** 2, sin(0.35) ** 2
    asked = (observable(term("IZ")), observable(term("ZI")))
    (result,) = run(DYNAMIC, ResultType.EXPVAL, observables=asked, shots=SHOTS).results
    expected = [p0 - p1, p0 * cos(1.9) - p1]
    spread = [2 * sqrt(p0 * p1 / SHOTS), (cos(1.9) + 1) * sqrt(p0 * p1 / SHOTS)]
    np.testing.assert_allclose(result.standard_errors, spread, rtol=0.15)
    for value, exact, error in zip(result.expval, expected, spread, strict=True):
        assert abs(value - exact) < 5 * error


def test_an_observable_beyond_the_last_qubit(run: Run) -> None:
    with pytest.raises(SimulationError, match="qubit 2") as caught:
        run(BELL, ResultType.EXPVAL, observables=(observable(term("Z", qubits=(2,))),))
    assert caught.value.kind is ErrorKind.PROGRAM_INVALID
