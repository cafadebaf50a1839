"""Variances: exact, sampled, and with measurements in mid-circuit."""

from __future__ import annotations

from math import cos, sin, sqrt

import numpy as np
import pytest
from conformance_cases import QASM2, QASM3
from conformance_runs import Run, run_on

from qdispatch.model import ErrorKind, PauliSum, PauliTerm, ResultType
from tasks.simulators import SimulationError

SHOTS = 4000
PRODUCT = QASM2 + "qreg q[2];creg c[1];ry(0.7) q[0];ry(1.9) q[1];measure q[0]->c[0];"


def observable(**terms: float) -> PauliSum:
    return PauliSum(
        terms=tuple(PauliTerm(paulis=label, coefficient=c) for label, c in terms.items())
    )


#: Of PRODUCT: independent qubits, the second of which has Z and X, which anticommute.
ASKED = (
    observable(IZ=1),
    observable(II=4, IZ=2, ZI=-3),
    observable(ZI=3, XI=4),
    observable(ZZ=1, IZ=1),
    observable(II=7),
)
Z0, Z1, X1 = cos(0.7), cos(1.9), sin(1.9)
EXPECTED = (
    1 - Z0**2,
    4 * (1 - Z0**2) + 9 * (1 - Z1**2),
    25 - (3 * Z1 + 4 * X1) ** 2,
    # (ZZ + IZ)^2 = 2 + 2 ZI
    2 + 2 * Z1 - (Z0 * Z1 + Z0) ** 2,
    0,
)


def test_exact(run: Run) -> None:
    (result,) = run(PRODUCT, ResultType.VARIANCE, observables=ASKED).results
    np.testing.assert_allclose(result.variance, EXPECTED, atol=2e-5)


@pytest.mark.parametrize("method", ["stabilizer", "matrix_product_state"])
def test_exact_by_squares(method: str) -> None:
    program = QASM2 + "qreg q[3];h q[0];cx q[0],q[1];s q[2];h q[2];"
    asked = (observable(IXX=1, IYY=2, IZZ=3), observable(IIZ=1, IXX=1), observable(XII=2, ZII=1))
    found = run_on(
        "aer", program, ResultType.VARIANCE, observables=asked, options={"method": method}
    )
    assert found.method == method
    # A Bell state is an eigenstate of all three; q[2] one of X.
    np.testing.assert_allclose(found.results[0].variance, (0, 1, 1), atol=1e-9)


def test_an_eigenstate_has_none(run: Run) -> None:
    asked = (observable(XX=0.3, YY=-1.7, ZZ=1e3),)
    program = QASM2 + "qreg q[2];h q[0];cx q[0],q[1];"
    (result,) = run(program, ResultType.VARIANCE, observables=asked).results
    assert 0 <= result.variance[0] < 1e-5


def test_sampled(run: Run) -> None:
    types = (ResultType.EXPVAL, ResultType.VARIANCE)
    means, variances = run(PRODUCT, *types, observables=ASKED, shots=SHOTS).results
    m = means.expval[0]
    assert variances.variance[0] == pytest.approx(1 - m * m)
    assert variances.variance[4] == 0
    # Of s - v^2, with s and v as far off as their terms may be; all of them below 50.
    for found, expected in zip(variances.variance, EXPECTED, strict=True):
        assert abs(found - expected) < 5 * 50 / sqrt(SHOTS)
    alone = run(PRODUCT, ResultType.EXPVAL, observables=ASKED, shots=SHOTS).results[0]
    assert alone == means


def test_sampled_ones_are_never_negative(run: Run) -> None:
    asked = (observable(XX=1, YY=-1, ZZ=1, IZ=0.1),)
    program = QASM2 + "qreg q[2];h q[0];cx q[0],q[1];"
    for seed in range(5):
        request = run(program, ResultType.VARIANCE, observables=asked, shots=20, seed=seed)
        assert request.results[0].variance[0] >= 0


#: Outcome 0 leaves |0>, outcome 1 ry(1.9)|0>; then an idle measurement.
MIXTURE = (
    QASM3 + "qubit[2] q;bit[2] c;ry(0.7) q[0];c[0]=measure q[0];"
    "if (c[0]) {ry(1.9) q[1];} c[1]=measure q[1];"
)


@pytest.mark.parametrize("shots", [0, SHOTS])
def test_of_a_mixture(run: Run, shots: int) -> None:
    p = sin(0.35) ** 2
    asked = (observable(ZI=1), observable(ZI=1, XI=2))
    z, x = 1 - p + p * Z1, p * X1
    expected = (1 - z**2, 5 - (z + 2 * x) ** 2)
    (result,) = run(MIXTURE, ResultType.VARIANCE, observables=asked, shots=shots).results
    tolerance = 5 * 10 / sqrt(shots) if shots else 1e-5
    np.testing.assert_allclose(result.variance, expected, atol=tolerance)


def test_an_observable_whose_square_is_too_long(run: Run) -> None:
    labels = [f"{number:b}".rjust(13, "0").translate({48: "Z", 49: "X"}) for number in range(5000)]
    asked = (observable(**dict.fromkeys(labels, 1.0)),)
    program = QASM2 + "qreg q[13];h q[0];"
    with pytest.raises(SimulationError, match="5,000 Pauli strings") as caught:
        run(program, ResultType.VARIANCE, observables=asked, shots=10)
    assert caught.value.kind is ErrorKind.UNSUPPORTED
