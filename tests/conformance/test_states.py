"""The state before the final measurements: amplitudes with their phase, and probabilities."""

from __future__ import annotations

from cmath import exp
from math import cos, pi, sin

import numpy as np
import pytest
from conformance_cases import DYNAMIC, QASM2, QASM3
from conformance_runs import Run, run_on

from qdispatch.model import ErrorKind, PauliSum, PauliTerm, ResultType
from tasks.simulators import SimulationError

BOTH = (ResultType.STATEVECTOR, ResultType.PROBABILITIES)
#: Single precision, on `cirq`.
TOLERANCE = 1e-6


def test_order_of_qubits_and_phase(run: Run) -> None:
    program = QASM3 + "qubit[2] q;bit[3] c;gphase(0.4);ry(0.7) q[0];ry(1.9) q[1];rz(0.6) q[1];"
    a, b = (cos(0.35), sin(0.35)), (cos(0.95), sin(0.95))
    turned = [exp(1j * (0.4 - 0.3)), exp(1j * (0.4 + 0.3))]
    expected = [a[index & 1] * b[index >> 1] * turned[index >> 1] for index in range(4)]
    for ending in ("", "c[2] = measure q[0];"):
        state, weights = run(program + ending, *BOTH).results
        found = np.asarray(state.statevector)
        assert found.dtype == np.complex128
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
        assert np.linalg.norm(found) == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(weights.probabilities, np.abs(expected) ** 2, atol=TOLERANCE)
        assert sum(weights.probabilities) == pytest.approx(1, abs=1e-12)


def test_double_precision_is_exact() -> None:
    program = QASM2 + "qreg q[2];ry(0.7) q[0];cx q[0],q[1];"
    for name, options in (("aer", {}), ("cirq", {"precision": "double"}), ("pennylane", {})):
        (result,) = run_on(name, program, ResultType.STATEVECTOR, options=options).results
        expected = [cos(0.35), 0, 0, sin(0.35)]
        np.testing.assert_allclose(result.statevector, expected, atol=1e-15)


def test_phases_of_openqasm2(run: Run) -> None:
    # As PennyLane exports them; OpenQASM 2 itself has none.
    program = (
        QASM2 + "gate twice(a) x {gphase(a);\ngphase(a); rz(a) x;}\nqreg q[2];\ngphase(pi/3) ;\n"
        "  gphase(-0.5*cos(pi)) q[1];\ntwice(0.2) q[0];\n"
    )
    (result,) = run(program, ResultType.STATEVECTOR).results
    expected = [exp(1j * (pi / 3 + 0.5 + 0.4 - 0.1)), 0, 0, 0]
    np.testing.assert_allclose(result.statevector, expected, atol=TOLERANCE)


def test_they_are_exact_whatever_the_shots_and_leave_the_counts_alone(run: Run) -> None:
    program = QASM2 + "qreg q[3];creg c[1];h q[0];ry(0.7) q[1];cx q[0],q[2];measure q[0]->c[0];"
    asked = (PauliSum(terms=(PauliTerm(paulis="IXI"),)),)
    alone = run(program, ResultType.COUNTS, shots=300).results[0]
    types = (*BOTH, ResultType.EXPVAL, ResultType.COUNTS)
    state, weights, _, counts = run(program, *types, shots=300, observables=asked).results
    assert counts == alone
    expected = [cos(0.35), 0, sin(0.35), 0, 0, cos(0.35), 0, sin(0.35)]
    np.testing.assert_allclose(state.statevector, np.array(expected) * 2**-0.5, atol=TOLERANCE)
    np.testing.assert_allclose(weights.probabilities, np.square(expected) / 2, atol=TOLERANCE)


@pytest.mark.parametrize("kind", BOTH)
def test_a_dynamic_circuit_has_none(run: Run, kind: ResultType) -> None:
    with pytest.raises(SimulationError, match=r"in mid-circuit\. Ask for quasi") as caught:
        run(DYNAMIC[0].program, kind)
    assert caught.value.kind is ErrorKind.UNSUPPORTED


@pytest.mark.parametrize(("kind", "need"), [(BOTH[0], r"16\.0 PiB"), (BOTH[1], r"8\.0 PiB")])
def test_too_long_ones_are_refused_before_they_are_simulated(
    run: Run, kind: ResultType, need: str
) -> None:
    program = QASM2 + "qreg q[50];h q;t q[0];"
    with pytest.raises(SimulationError, match=rf"{need}; .*1\.0 GiB.*fewer qubits") as caught:
        run(program, kind, max_result_bytes=2**30)
    assert caught.value.kind is ErrorKind.UNSUPPORTED


def test_one_that_just_fits(run: Run) -> None:
    program = QASM2 + "qreg q[6];h q;"
    (result,) = run(program, ResultType.STATEVECTOR, max_result_bytes=16 * 2**6 + 64).results
    assert len(result.statevector) == 2**6
    with pytest.raises(SimulationError, match="are kept"):
        run(program, ResultType.STATEVECTOR, max_result_bytes=16 * 2**6)


@pytest.mark.parametrize("method", ["stabilizer", "matrix_product_state"])
def test_only_a_state_vector_gives_them(method: str) -> None:
    with pytest.raises(SimulationError, match=f"{method} cannot.*Leave the method out"):
        run_on("aer", QASM2 + "qreg q[2];h q;", BOTH[0], options={"method": method})
    # More than sixteen qubits and Clifford: a stabilizer state otherwise.
    found = run_on("aer", QASM2 + "qreg q[17];h q[16];", BOTH[1])
    assert found.method == "statevector"
    assert found.results[0].probabilities[2**16] == pytest.approx(0.5)
