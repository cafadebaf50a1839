"""What only Aer does: methods other than a state vector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from conformance_cases import QASM2
from conformance_checks import drawn_from, same_distribution
from conformance_runs import read, run_on

from qdispatch.model import ErrorKind, PauliSum, PauliTerm, ResultType
from tasks.simulators import Request, SimulationError, aer_core
from tasks.simulators.aer import _Run
from tasks.simulators.aer_circuit import Setup
from tasks.simulators.aer_core import CoreCircuit
from tasks.simulators.aer_ways import Ways

GIB = 2**30
SMALL = "up to 16 qubits a state vector is fastest"
CLIFFORD = "every gate is a Clifford gate"
CLIFFORD_ANGLES = (
    "rz(2*pi) q[0];cp(0) q[1],q[2];rz(pi/2) q[3];cp(pi) q[1],q[9];rx(-pi/2) q[1];rx(pi/2) q[1];"
)


def ghz(n_qubits: int, extra: str = "") -> str:
    chain = "".join(f"cx q[{q}],q[{q + 1}];" for q in range(n_qubits - 1))
    return (
        QASM2 + f"qreg q[{n_qubits}];creg c[{n_qubits}];h q[0];" + chain + extra + "measure q->c;"
    )


def shallow(n_qubits: int) -> str:
    """Depth 3: rotations, pairs, pairs."""
    lines = [f"ry(0.{q + 10}) q[{q}];" for q in range(n_qubits)]
    lines += [f"cx q[{q}],q[{q + 1}];" for q in range(0, n_qubits - 1, 2)]
    lines += [f"crx(0.3) q[{q}],q[{q + 1}];" for q in range(1, n_qubits - 1, 2)]
    return QASM2 + f"qreg q[{n_qubits}];creg c[{n_qubits}];" + "".join(lines) + "measure q->c;"


@pytest.mark.parametrize(
    ("program", "method", "reason"),
    [
        (ghz(4), "statevector", SMALL),
        (ghz(16), "statevector", SMALL),
        (ghz(17), "stabilizer", CLIFFORD),
        (
            ghz(17, "t q[0];"),
            "statevector",
            "t is not a Clifford gate, and a state vector fits",
        ),
        (
            ghz(24, "t q[0];"),
            "matrix_product_state",
            "t is not a Clifford gate, and there is so little entanglement that it is fastest",
        ),
        (
            ghz(40, "t q[0];"),
            "matrix_product_state",
            "t is not a Clifford gate, and a state vector would take 16.0 TiB",
        ),
        (
            shallow(60),
            "matrix_product_state",
            "ry(0.1) is not a Clifford gate, and a state vector would take 16.0 EiB",
        ),
        (ghz(100, CLIFFORD_ANGLES), "stabilizer", CLIFFORD),
    ],
    ids=["small", "sixteen", "clifford", "one-t", "low", "wide-t", "shallow", "clifford-angles"],
)
def test_method_is_chosen(program: str, method: str, reason: str) -> None:
    found = run_on("aer", program, ResultType.COUNTS, shots=100, memory_limit_bytes=4 * GIB)
    assert (found.method, found.method_reason) == (method, reason)
    assert sum(found.results[0].counts.values()) == 100


def test_ghz_of_forty_with_a_t() -> None:
    asked = (
        PauliSum(terms=(PauliTerm(paulis="X" * 40),)),
        PauliSum(terms=(PauliTerm(paulis="Z" * 40),)),
    )
    found = run_on(
        "aer",
        ghz(40, "t q[0];"),
        ResultType.COUNTS,
        ResultType.EXPVAL,
        shots=400,
        observables=asked,
        memory_limit_bytes=4 * GIB,
    )
    drawn_from(found.results[0].counts, {"0" * 40: 0.5, "1" * 40: 0.5})
    error = found.results[1].standard_errors[0]
    assert abs(found.results[1].expval[0] - 2**-0.5) < 5 * error
    assert found.results[1].expval[1] == 1


def test_stabilizer_beyond_the_width_of_a_word() -> None:
    program = ghz(70)
    found = run_on("aer", program, ResultType.COUNTS, shots=500)
    drawn_from(found.results[0].counts, {"0" * 70: 0.5, "1" * 70: 0.5})
    asked = (PauliSum(terms=(PauliTerm(paulis="X" * 70, coefficient=2.0),)),)
    (result,) = run_on("aer", program, ResultType.EXPVAL, observables=asked).results
    assert result.expval == (2.0,)


def test_exact_stabilizer_distribution() -> None:
    program = ghz(40, "x q[39];h q[5];")
    (result,) = run_on("aer", program, ResultType.QUASI).results
    expected = {
        f"{1 - top}{str(top) * 33}{fifth}{str(top) * 5}": 0.25 for top in (0, 1) for fifth in (0, 1)
    }
    same_distribution(result.quasi, expected, 1e-12)


def test_exact_stabilizer_distribution_that_is_too_long() -> None:
    program = QASM2 + "qreg q[30];creg c[30];h q;measure q->c;"
    with pytest.raises(SimulationError, match=r"2\^30 outcomes"):
        run_on("aer", program, ResultType.QUASI)


def test_exact_probabilities_of_many_qubits_of_a_product_state() -> None:
    with pytest.raises(SimulationError, match="up to 20 measured qubits") as caught:
        run_on("aer", shallow(60), ResultType.QUASI, memory_limit_bytes=GIB)
    assert caught.value.kind is ErrorKind.UNSUPPORTED


def test_exact_probabilities_of_some_qubits_of_a_product_state() -> None:
    program = shallow(60).replace("measure q->c;", "measure q[0]->c[0];measure q[59]->c[59];")
    (result,) = run_on("aer", program, ResultType.QUASI, memory_limit_bytes=GIB).results
    assert sum(result.quasi.values()) == pytest.approx(1)
    assert len(result.quasi) == 4


@pytest.mark.parametrize("method", ["statevector", "stabilizer", "matrix_product_state"])
def test_every_method_gives_the_same(method: str) -> None:
    program = ghz(
        5, "s q[0];h q[0];cz q[0],q[4];rzz(pi/2) q[1],q[2];sx q[3];csx q[0],q[1];csx q[0],q[1];"
    )
    if method == "stabilizer":
        program = program.replace("csx q[0],q[1];csx q[0],q[1];", "cx q[0],q[1];")
    asked = tuple(
        PauliSum(terms=(PauliTerm(paulis=label),)) for label in ("XXXXX", "ZIIIZ", "IIYZI")
    )
    types = (ResultType.QUASI, ResultType.EXPVAL)
    options = {"method": method}
    found = run_on("aer", program, *types, observables=asked, options=options)
    reference = run_on("pennylane", program, *types, observables=asked)
    assert found.method == method
    same_distribution(found.results[0].quasi, reference.results[0].quasi, 1e-9)
    assert found.results[1].expval == pytest.approx(reference.results[1].expval, abs=1e-9)


def test_every_gate_runs_as_a_product_state() -> None:
    from tasks.circuit import GATES

    calls = "".join(
        f"{name}{'(' + ','.join(['0.3', '0.5', '0.7', '0.9'][:n]) + ')' if n else ''} "
        + ",".join(f"q[{q}]" for q in range(k))
        + ";"
        for name, (n, k) in GATES.items()
        if name not in {"ccz", "ryy"}
    )
    program = QASM2 + "qreg q[3];creg c[3];h q;" + calls + "measure q->c;"
    options = {"method": "matrix_product_state"}
    (found,) = run_on("aer", program, ResultType.QUASI, options=options).results
    (reference,) = run_on(
        "cirq", program, ResultType.QUASI, options={"precision": "double"}
    ).results
    same_distribution(found.quasi, reference.quasi, 1e-9)


def test_stabilizer_names_the_gate_that_it_cannot_run() -> None:
    with pytest.raises(SimulationError, match=r"rx\(0\.3\).*not a Clifford") as caught:
        run_on("aer", ghz(4, "rx(0.3) q[1];"), ResultType.QUASI, options={"method": "stabilizer"})
    assert caught.value.kind is ErrorKind.UNSUPPORTED


def test_unknown_method() -> None:
    with pytest.raises(SimulationError, match="must be one of automatic, statevector"):
        run_on("aer", ghz(4), ResultType.QUASI, options={"method": "magic"})


def test_a_method_that_does_not_fit() -> None:
    with pytest.raises(SimulationError, match="state vector of 40 qubits") as caught:
        run_on("aer", ghz(40), ResultType.EXPVAL, options={"method": "statevector"})
    assert caught.value.kind is ErrorKind.OUT_OF_MEMORY


def test_samples_of_a_stabilizer_state_that_do_not_fit() -> None:
    program = QASM2 + "qreg q[1000];creg c[1000];h q;measure q->c;"
    with pytest.raises(SimulationError, match="Use fewer shots, or measure fewer bits") as caught:
        run_on("aer", program, ResultType.COUNTS, shots=10_000_000, memory_limit_bytes=4 * GIB)
    assert caught.value.kind is ErrorKind.OUT_OF_MEMORY


def test_few_outcomes_of_a_stabilizer_state_fit() -> None:
    """By the width alone they could be as many as the shots, and take 170 MiB."""
    asked = {"shots": 200_000, "memory_limit_bytes": GIB // 8}
    found = run_on("aer", ghz(1000), ResultType.COUNTS, **asked)
    assert found.method == "stabilizer"
    assert set(found.results[0].counts) == {"0" * 1000, "1" * 1000}


MEASURED_TWICE = "measure q[0]->c[0];ry(0.3) q[0];measure q->c;"


@pytest.mark.parametrize(
    ("program", "shots", "limit_bytes", "expected"),
    [
        (ghz(10).replace("measure q->c;", MEASURED_TWICE), 1000, None, False),
        (ghz(10).replace("measure q->c;", MEASURED_TWICE), 10, None, True),
        (ghz(20, "t q[0];").replace("measure q->c;", MEASURED_TWICE), 1000, 2**26, True),
        (ghz(10), 1000, None, True),
    ],
    ids=["many-shots", "few-shots", "no-room", "static"],
)
def test_who_follows_branches(
    program: str, shots: int, limit_bytes: int | None, expected: bool
) -> None:
    request = Request(
        result_types=(ResultType.COUNTS,), shots=shots, seed=1, memory_limit_bytes=limit_bytes
    )
    run = _Run(Ways.found(), read(program), request)
    assert (run.native, run.method) == (expected, "statevector")


def test_dynamic_clifford_circuit_of_sixty_qubits() -> None:
    program = ghz(60).replace("measure q->c;", "measure q[0]->c[0];if(c==1) x q[1];measure q->c;")
    found = run_on("aer", program, ResultType.COUNTS, shots=200)
    assert found.method == "stabilizer"
    drawn_from(found.results[0].counts, {"0" * 60: 0.5, "1" * 58 + "01": 0.5})


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_a_seed_gives_the_counts_that_aer_alone_gives(seed: int) -> None:
    from qiskit import qasm2
    from qiskit_aer import AerSimulator

    program = QASM2 + "qreg q[5];creg c[5];"
    for layer in range(4):
        program += "".join(f"u(0.{layer + 3},{q}.7,-1.{q}) q[{q}];" for q in range(5))
        program += "".join(f"cx q[{(q + layer) % 5}],q[{(q + 2 * layer + 1) % 5}];" for q in (0, 2))
    program += "ccx q[0],q[1],q[2];cp(0.3) q[3],q[4];"
    program += "".join(f"measure q[{q}]->c[{q}];" for q in (3, 0, 4, 1, 2))
    source = qasm2.loads(program, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    options = {"shots": 2000, "seed_simulator": seed, "memory": True}
    alone = AerSimulator(method="statevector").run(source, **options).result()
    types = (ResultType.COUNTS, ResultType.MEMORY)
    counts, memory = run_on("aer", program, *types, shots=2000, seed=seed).results
    assert counts.counts == alone.get_counts()
    assert list(memory.memory) == alone.get_memory()


@pytest.mark.parametrize(("seed", "shots"), [(None, 1), (3, 1000)], ids=["none", "seed"])
def test_aer_draws_the_shots_of_a_seed_only(
    seed: int | None, shots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    run = aer_core.CoreAer.run

    def seen(self: aer_core.CoreAer, circuit: CoreCircuit, setup: Setup) -> Mapping[str, Any]:
        asked.append(setup.shots)
        return run(self, circuit, setup)

    monkeypatch.setattr(aer_core.CoreAer, "run", seen)
    program = ghz(4, "ry(0.4) q[1];").replace("measure q->c;", "measure q[1]->c[0];")
    types = (ResultType.COUNTS, ResultType.QUASI, ResultType.MEMORY)
    results = [run_on("aer", program, *types, shots=1000, seed=seed).results for _ in range(2)]
    assert asked == [shots, shots]
    for counts, quasi, memory in results:
        drawn_from(counts.counts, {"0000": 0.5, "0001": 0.5})
        assert Counter(memory.memory) == counts.counts
        assert quasi.quasi == {key: times / 1000 for key, times in counts.counts.items()}
    memories = [list(memory.memory) for _, _, memory in results]
    assert (memories[0] == memories[1]) == (seed is not None)


BELOW_AND_ABOVE = {
    "counts": (ghz(3, "ch q[0],q[2];crx(0.3) q[1],q[2];u2(0.1,0.2) q[0];"), {"shots": 500}),
    "exact": (shallow(6), {"shots": 0}),
    "some measured": (shallow(5).replace("measure q->c;", "measure q[3]->c[0];"), {"shots": 500}),
    "dynamic": (ghz(4).replace("measure q->c;", MEASURED_TWICE), {"shots": 300}),
    "reset": (ghz(4).replace("measure q->c;", "reset q[0];measure q->c;"), {"shots": 5}),
    "stabilizer": (ghz(4, "s q[1];"), {"shots": 300, "options": {"method": "stabilizer"}}),
    "exact stabilizer": (ghz(4), {"shots": 0, "options": {"method": "stabilizer"}}),
    "product state": (
        ghz(4, "crx(0.3) q[0],q[1];"),
        {"shots": 300, "options": {"method": "matrix_product_state"}},
    ),
}


@pytest.mark.parametrize("case", BELOW_AND_ABOVE)
def test_aer_gives_the_same_below_qiskit(case: str) -> None:
    ways = Ways.found()
    assert ways.core is not None, "tasks.simulators.aer_core does not know this version of Aer"
    program, asked = BELOW_AND_ABOVE[case]
    types = [ResultType.EXPVAL, ResultType.VARIANCE]
    types += [ResultType.COUNTS, ResultType.MEMORY] if asked["shots"] else [ResultType.QUASI]
    circuit = read(program)
    if circuit.terminal is not None and "options" not in asked:
        types += [ResultType.STATEVECTOR, ResultType.PROBABILITIES]
    terms = (
        PauliTerm(paulis="XZ", qubits=(0, 1), coefficient=0.5),
        PauliTerm(paulis="Y", qubits=(2,), coefficient=2.0),
        PauliTerm(paulis="I", qubits=(0,), coefficient=-1.0),
    )
    fields = {"seed": 9, "threads": 2, "observables": (PauliSum(terms=terms),), **asked}
    request = Request(result_types=tuple(types), **fields)
    below = _Run(ways, circuit, request).simulation()
    above = _Run(replace(ways, core=None), circuit, request).simulation()
    assert below == above


@pytest.mark.parametrize("is_known", [True, False], ids=["below Qiskit", "above"])
def test_rotations_are_joined_where_only_values_are_asked_for(is_known: bool) -> None:
    layers = "".join(
        "".join(f"ry({q + layer}.1) q[{q}];rz({q}.{layer + 2}) q[{q}];" for q in range(4))
        + "cx q[0],q[1];cx q[2],q[3];cx q[1],q[2];"
        for layer in range(2)
    )
    ways = Ways.found() if is_known else replace(Ways.found(), core=None)
    circuit = read(QASM2 + "qreg q[4];" + layers)
    terms = tuple(PauliTerm(paulis=each) for each in ("XIIZ", "IZYI", "ZZII"))
    types = (ResultType.EXPVAL, ResultType.VARIANCE)
    only = Request(result_types=types, shots=0, seed=None, observables=(PauliSum(terms=terms),))
    with_state = replace(only, result_types=(*types, ResultType.STATEVECTOR))
    joined, plain = (_Run(ways, circuit, each) for each in (only, with_state))
    assert (len(joined._gates), len(plain._gates)) == (14, 22)
    found, expected = joined.simulation().results, plain.simulation().results
    assert found[0].expval == pytest.approx(expected[0].expval, abs=1e-12)
    assert found[1].variance == pytest.approx(expected[1].variance, abs=1e-12)


def test_an_aer_that_is_not_known_goes_by_its_public_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aer_core, "version", lambda _: "0.19.0")
    ways = Ways.found()
    assert ways.core is None
    request = Request(result_types=(ResultType.COUNTS,), shots=10, seed=1)
    (result,) = _Run(ways, read(ghz(3)), request).simulation().results
    assert sum((result.counts or {}).values()) == 10
