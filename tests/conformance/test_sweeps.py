"""Sweeps: every point is what its circuit is alone, on every simulator."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conformance_cases import QASM3
from conformance_checks import SIGNIFICANCE, drawn_from
from conformance_runs import loaded, read
from scipy import stats

from qdispatch.codec import encode_spec
from qdispatch.model import (
    ErrorKind,
    JobSpec,
    PauliSum,
    PauliTerm,
    ProgramFormat,
    Result,
    ResultType,
)
from tasks import points
from tasks.circuit import Circuit
from tasks.pipe import Limits
from tasks.points import at_point, simulate_points
from tasks.progress import Progress
from tasks.simulate import Answers
from tasks.simulators import Request, Simulation, SimulationError, aer_sweep
from tasks.simulators.aer_core import CoreAer, Point

COUNTS, QUASI, EXPVAL = ResultType.COUNTS, ResultType.QUASI, ResultType.EXPVAL
MEMORY, VARIANCE = ResultType.MEMORY, ResultType.VARIANCE
STATEVECTOR, PROBABILITIES = ResultType.STATEVECTOR, ResultType.PROBABILITIES
Z = PauliSum(terms=(PauliTerm(paulis="Z", qubits=(0,)),))
Z_OF_TWO = PauliSum(terms=(PauliTerm(paulis="Z", qubits=(2,)),))
ZX = PauliSum(terms=(PauliTerm(paulis="ZX"), PauliTerm(paulis="YY", coefficient=0.5)))

RABI = QASM3 + "input float[64] theta;qubit q;bit c;rx(theta) q;c = measure q;"
LIMITS = Limits(threads=2, max_qubits=20, memory_limit_bytes=2**30, max_result_bytes=2**20)


def spec(program: str, values: tuple[tuple[float, ...], ...], **changes: object) -> JobSpec:
    circuit = read(program)
    known = JobSpec(
        program=program,
        program_format=ProgramFormat.OPENQASM3,
        framework="custom",
        n_qubits=circuit.n_qubits,
        depth=1,
        parameters=circuit.parameters,
        parameter_values=values,
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def points_of(name: str, job: JobSpec, request: Request) -> list[Simulation]:
    return list(simulate_points(loaded(name), read(job.program), job, request))


def test_a_rabi_oscillation(name: str) -> None:
    angles = [2 * math.pi * k / 40 for k in range(41)]
    job = spec(RABI, tuple((angle,) for angle in angles))
    request = Request(
        result_types=(COUNTS, EXPVAL), shots=1000, seed=3, observables=(Z,), threads=2
    )
    found = points_of(name, job, request)
    assert len(found) == len(angles)
    for angle, simulation in zip(angles, found, strict=True):
        counts, expval = simulation.results
        assert (counts.type, expval.type) == (COUNTS, EXPVAL)
        one = math.sin(angle / 2) ** 2
        assert counts.counts is not None
        drawn_from(counts.counts, {key: p for key, p in (("0", 1 - one), ("1", one)) if p > 1e-12})
        assert expval.expval is not None
        hits = round((1 + expval.expval[0]) * 500)
        assert stats.binomtest(hits, 1000, min(1.0, 1 - one)).pvalue > SIGNIFICANCE
    # Equal angles at points of their own seeds: no point repeats another.
    job = spec(RABI, ((math.pi / 2,),) * 12)
    drawn = [each.results[0].counts for each in points_of(name, job, request)]
    assert len({str(each) for each in drawn}) > 6


#: Programs with {theta} and {phi} in them, and what is asked of them.
PROGRAMS = {
    "static": (
        "qubit[2] q;bit[2] c;rx({theta}) q[0];ry({phi}+0.5) q[1];cx q[0],q[1];c = measure q;",
        Request(result_types=(COUNTS, EXPVAL), shots=300, seed=7, observables=(ZX,), threads=2),
    ),
    "exact": (
        "qubit[2] q;bit[2] c;h q;crz({theta}/2) q[0],q[1];h q[1];u2({phi},1) q[0];c = measure q;",
        Request(result_types=(QUASI, EXPVAL), shots=0, seed=None, observables=(ZX,), threads=2),
    ),
    "dynamic": (
        "qubit[2] q;bit[2] c;rx({theta}) q[0];c[0] = measure q[0];"
        "if (c[0]) {{ry({phi}) q[1];}} else {{rz({theta}) q[1];h q[1];}} c[1] = measure q[1];",
        Request(result_types=(COUNTS, EXPVAL), shots=300, seed=7, observables=(ZX,), threads=2),
    ),
    "every gate with a parameter": (
        "qubit[2] q;bit[2] c;rx({theta}) q[0];ry({phi}) q[1];rz({theta}) q[0];p({phi}) q[1];"
        "u({theta},{phi},0.3) q[0];crx({theta}) q[0],q[1];cry({phi}) q[1],q[0];"
        "crz({theta}) q[0],q[1];cp({phi}) q[0],q[1];cu({theta},{phi},0.3,{phi}) q[0],q[1];"
        "rxx({theta}) q[0],q[1];ryy({phi}) q[0],q[1];rzz({theta}) q[0],q[1];crx(0.3) q[0],q[1];"
        "ry(0.4) q;c = measure q;",
        Request(result_types=(QUASI, EXPVAL), shots=0, seed=None, observables=(ZX,), threads=2),
    ),
    "states and shots": (
        "qubit[3] q;bit[2] c;gphase({theta}*{phi});rx({theta}) q[0];cx q[0],q[1];"
        "crz({phi}) q[0],q[2];u({theta},{phi},1) q[2];gphase(0.5);c = measure q[0:1];",
        Request(
            result_types=(COUNTS, MEMORY, STATEVECTOR, PROBABILITIES, EXPVAL, VARIANCE),
            shots=300,
            seed=7,
            observables=(ZX,),
            threads=2,
        ),
    ),
    "exact states": (
        "qubit[2] q;gphase({theta}*{phi});rx({theta}) q[0];rxx({phi}) q[0],q[1];",
        Request(
            result_types=(STATEVECTOR, PROBABILITIES, EXPVAL, VARIANCE),
            shots=0,
            seed=None,
            observables=(ZX,),
            threads=2,
        ),
    ),
    "values of some qubits": (
        "qubit[5] q;rx({theta}) q[0];ry({phi}) q[1];ry({theta}) q[2];h q[3];rx({phi}) q[4];",
        Request(result_types=(EXPVAL,), shots=0, seed=None, observables=(Z, Z_OF_TWO), threads=2),
    ),
    "nothing to bind": (
        "qubit[2] q;bit[2] c;h q;c = measure q;",
        Request(result_types=(COUNTS,), shots=300, seed=2**63 - 1, threads=2),
    ),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_point_is_what_its_circuit_is_alone(name: str, case: str) -> None:
    body, request = PROGRAMS[case]
    declared = QASM3 + "input float[64] theta;input angle[32] phi;"
    angles = tuple((0.37 * k, 3.0 - 0.11 * k) for k in range(11))
    job = spec(declared + body.format(theta="theta", phi="phi"), angles)
    # The columns come in any order.
    job = replace(
        job,
        parameters=("phi", "theta"),
        parameter_values=tuple((phi, theta) for theta, phi in angles),
    )
    found = points_of(name, job, request)
    for point, (theta, phi) in enumerate(angles):
        circuit = read(QASM3 + body.format(theta=theta, phi=phi))
        alone = loaded(name).simulate(circuit, at_point(request, point))
        assert found[point].method == alone.method
        for one, other in zip(found[point].results, alone.results, strict=True):
            close(one, other)


def close(found: Result, expected: Result) -> None:
    assert found.type == expected.type
    assert (found.counts, found.memory) == (expected.counts, expected.memory)
    for array in ("statevector", "probabilities"):
        one, other = getattr(found, array), getattr(expected, array)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(np.array(one), np.array(other), atol=1e-5)
    assert found.variance == pytest.approx(expected.variance, abs=1e-6)
    assert found.quasi == pytest.approx(expected.quasi, abs=1e-6)
    assert found.expval == pytest.approx(expected.expval, abs=1e-6)
    assert found.standard_errors == pytest.approx(expected.standard_errors, abs=1e-6)


@pytest.mark.parametrize("step", [2113, 7], ids=["Aer's seeds", "others"])
def test_points_run_together_on_aer_only_with_the_seeds_that_they_have_alone(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []
    execute = CoreAer._execute

    def counted(self: CoreAer, *args: Any) -> list[Point]:
        ran.append(1)
        return execute(self, *args)

    monkeypatch.setattr(points, "SEED_STEP", step)
    monkeypatch.setattr(CoreAer, "_execute", counted)
    monkeypatch.setattr(aer_sweep, "_RUN_S", math.inf)
    job = spec(RABI, tuple((0.1 * k,) for k in range(120)))
    # Both runs are shared by two threads.
    request = Request(result_types=(COUNTS,), shots=10, seed=11, threads=2)
    found = points_of("aer", job, request)
    # 16 points, and 104; and each of them once more if that was in vain.
    assert len(ran) == (2 if step == 2113 else 122)
    for point, simulation in enumerate(found):
        circuit = read(RABI.replace("input", "const").replace("theta;", f"theta = {0.1 * point};"))
        alone = loaded("aer").simulate(circuit, at_point(request, point))
        assert simulation.results[0].counts == alone.results[0].counts


def test_without_a_seed_points_differ(name: str) -> None:
    job = spec(RABI, ((math.pi / 2,),) * 12)
    request = Request(result_types=(COUNTS,), shots=1000, seed=None)
    drawn = [str(each.results[0].counts) for each in points_of(name, job, request)]
    assert len(set(drawn)) > 6


# -- a plug-in that knows nothing of sweeps, and the engine around it


class Plain:
    """A simulator as a plug-in may be."""

    version = "plain 1.0"

    def __init__(self, fails_at: float = math.inf, kind: type[Exception] = ValueError) -> None:
        self.seen: list[tuple[Circuit, Request]] = []
        self._fails_at = fails_at
        self._kind = kind

    def simulate(self, circuit: Circuit, request: Request) -> Simulation:
        self.seen.append((circuit, request))
        (gate,) = circuit.gates()
        if gate.params == (self._fails_at,):
            if self._kind is SimulationError:
                raise SimulationError(ErrorKind.UNSUPPORTED, "no such angle")
            raise self._kind
        counts = {format(key, "010b"): 1 for key in range(request.shots)}
        result = Result(type=COUNTS, n_bits=10, counts=counts)
        return Simulation(results=(result,), method=f"method {len(self.seen) % 2}")


def answer(simulator: Plain, job: JobSpec, limits: Limits = LIMITS) -> dict[str, object]:
    message = encode_spec(job).SerializeToString()
    header, results = Answers(simulator, limits).answer(message, Progress(lambda _: None))
    known: Any = header.get("results", {})
    assert [*map(len, results)] == known.get("sizes", [])
    json.dumps(header)
    return header


def test_a_simulator_without_a_way_of_its_own_runs_point_by_point() -> None:
    plain = Plain()
    header = answer(plain, spec(RABI, ((0.0,), (1.0,), (2.0,)), shots=4, seed=5))
    known: Any = header["results"]
    assert (known["types"], known["points"]) == (["counts"] * 3, [0, 1, 2])
    assert header["method"] == "method 1, method 0"
    asked = Request(result_types=(COUNTS,), shots=4, seed=5)
    assert [each.seed for _, each in plain.seen] == [at_point(asked, k).seed for k in range(3)]
    assert [next(each.gates()).params for each, _ in plain.seen] == [(0.0,), (1.0,), (2.0,)]


def test_a_job_without_a_sweep_keeps_its_seed() -> None:
    plain = Plain()
    program = QASM3 + "qubit q;bit c;rx(0.5) q;c = measure q;"
    answer(plain, spec(program, (), shots=4, seed=5))
    assert [each.seed for _, each in plain.seen] == [5]


@pytest.mark.parametrize(
    ("kind", "error", "says"),
    [
        (SimulationError, "unsupported", "point 2: no such angle"),
        (MemoryError, "out_of_memory", "point 2: the simulation needs more memory"),
        (ValueError, "internal", "point 2: the simulator failed with ValueError"),
    ],
)
def test_an_error_names_its_point(kind: type[Exception], error: str, says: str) -> None:
    plain = Plain(2.0, kind)
    header = answer(plain, spec(RABI, tuple((float(k),) for k in range(5))))
    assert header["kind"] == error
    assert str(header["message"]).startswith(says)
    assert len(plain.seen) == 3


def test_a_sweep_ends_once_its_results_are_too_large() -> None:
    plain = Plain()
    limits = replace(LIMITS, max_result_bytes=10_000)
    header = answer(plain, spec(RABI, ((0.0,),) * 1000, shots=100), limits)
    assert header["kind"] == "unsupported"
    assert "at most 10,000 are kept" in str(header["message"])
    assert 1 < len(plain.seen) < 100


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"parameters": (), "parameter_values": ()}, "the program has inputs (theta): give"),
        ({"parameters": ("phi",)}, "the program has inputs that have no values: theta"),
        ({"parameter_values": ((0.0,), (1e308,))}, "point 1: a parameter of gate rx is not"),
    ],
    ids=["none", "unknown", "not finite"],
)
def test_values_that_cannot_be_used(changes: dict[str, object], says: str) -> None:
    plain = Plain()
    job = spec(RABI.replace("rx(theta)", "rx(10*theta)"), ((0.0,),), **changes)
    header = answer(plain, job)
    assert header["kind"] == "program_invalid"
    assert str(header["message"]).startswith(says)
    assert plain.seen == []


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level("CRITICAL"):
        yield
