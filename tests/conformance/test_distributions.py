"""Outcomes: exact, sampled, and the same on every target."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from math import cos, sin

import pytest
from conformance_cases import CASES, DYNAMIC, QASM2, QASM3, STATIC, Case
from conformance_checks import drawn_from, same_distribution, same_source
from conformance_runs import BUILT_IN, Run, run_on

from qdispatch.model import ResultType
from tasks.simulators import SimulationError

SHOTS = 4000


def by_name(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name.replace(" ", "-"))


@by_name(CASES)
def test_exact(run: Run, case: Case) -> None:
    (result,) = run(case.program, ResultType.QUASI).results
    same_distribution(result.quasi, case.expected, 2e-6)
    assert list(result.quasi) == sorted(result.quasi)
    assert {len(key) for key in result.quasi} == {result.n_bits}


@by_name(CASES)
def test_sampled(run: Run, case: Case) -> None:
    counts, quasi = run(case.program, ResultType.COUNTS, ResultType.QUASI, shots=SHOTS).results
    assert sum(counts.counts.values()) == SHOTS
    assert list(counts.counts) == sorted(counts.counts)
    assert quasi.quasi == {key: times / SHOTS for key, times in counts.counts.items()}
    drawn_from(counts.counts, case.expected)


@cache
def sampled(name: str, program: str) -> dict[str, int]:
    # Each target its own seed: equal seeds may give equal samples.
    seed = 100 + sum(map(ord, name))
    result = run_on(name, program, ResultType.COUNTS, shots=SHOTS, seed=seed)
    return dict(result.results[0].counts)


@pytest.mark.parametrize(("first", "second"), list(combinations(BUILT_IN, 2)))
@by_name(CASES)
def test_targets_agree(case: Case, first: str, second: str) -> None:
    same_source(sampled(first, case.program), sampled(second, case.program))


def entangled(n_qubits: int, depth: int) -> str:
    """A brickwork of rotations and cz, all angles different."""
    lines = [f"qreg q[{n_qubits}];creg c[{n_qubits}];"]
    for layer in range(depth):
        for qubit in range(n_qubits):
            angle = 0.3 + 0.37 * qubit + 0.61 * layer
            lines.append(f"u({angle},{angle / 2},{-angle / 3}) q[{qubit}];")
        lines += [f"cz q[{a}],q[{a + 1}];" for a in range(layer % 2, n_qubits - 1, 2)]
    return QASM2 + "".join(lines) + "measure q->c;"


@pytest.mark.parametrize("size", [(2, 3), (5, 6), (8, 4), (18, 3)], ids=str)
def test_entangled_circuits_agree(size: tuple[int, int]) -> None:
    program = entangled(*size)
    exact = [run_on(name, program, ResultType.QUASI).results[0].quasi for name in BUILT_IN]
    for other in exact[1:]:
        same_distribution(other, exact[0], 2e-6)
    for name in BUILT_IN:
        drawn_from(sampled(name, program), exact[0])


@by_name(STATIC[:14] + DYNAMIC[:8])
def test_seeds(run: Run, case: Case) -> None:
    def counts(seed: int) -> dict[str, int]:
        request = run(case.program, ResultType.COUNTS, shots=SHOTS, seed=seed)
        return dict(request.results[0].counts)

    assert counts(7) == counts(7)
    if len(case.expected) > 1:
        drawn = [counts(seed) for seed in (0, 7, 8, 2**32 + 7, 2**63 - 1)]
        assert len({tuple(each.items()) for each in drawn}) > 2


def test_without_a_seed_samples_differ(run: Run) -> None:
    program = entangled(8, 4)
    drawn = [run(program, ResultType.COUNTS, shots=500, seed=None).results[0] for _ in range(2)]
    assert drawn[0].counts != drawn[1].counts


def test_counts_do_not_depend_on_what_else_is_asked(run: Run) -> None:
    program = entangled(5, 6)
    alone = run(program, ResultType.COUNTS, shots=SHOTS).results[0]
    both = run(program, ResultType.EXPVAL, ResultType.COUNTS, shots=SHOTS).results[1]
    assert alone.counts == both.counts


def test_twenty_qubits(run: Run) -> None:
    program = entangled(20, 2)
    (result,) = run(program, ResultType.COUNTS, shots=200, threads=2).results
    assert sum(result.counts.values()) == 200
    assert result.n_bits == 20


def test_more_classical_bits_than_a_word_has(run: Run) -> None:
    program = QASM2 + "qreg q[2];creg c[70];x q[0];h q[1];measure q[0]->c[69];measure q[1]->c[1];"
    expected = {"1" + "0" * 69: 0.5, "1" + "0" * 67 + "10": 0.5}
    exact, sampled_ = (
        run(program, ResultType.QUASI).results[0].quasi,
        run(program, ResultType.COUNTS, shots=SHOTS).results[0].counts,
    )
    same_distribution(exact, expected, 1e-6)
    drawn_from(sampled_, expected)


def test_loop_that_never_ends(run: Run) -> None:
    program = QASM3 + "qubit q;bit c;x q;c=measure q;while (c) {x q;x q;c=measure q;}"
    with pytest.raises(SimulationError, match="while loop has not ended"):
        run(program, ResultType.QUASI, shots=10)


@pytest.mark.timeout(30)
def test_few_measurements_in_a_wide_dynamic_circuit(run: Run) -> None:
    # Shot by shot, this would take minutes.
    chain = "".join(f"cx q[{q}],q[{q + 1}];" for q in range(15))
    program = QASM2 + "qreg q[16];creg c[16];ry(0.7) q[0];" + chain
    program += "measure q[0]->c[0];ry(1.9) q[0];measure q->c;"
    (a0, a1), (b0, b1) = ((cos(x / 2) ** 2, sin(x / 2) ** 2) for x in (0.7, 1.9))
    expected = {
        "0" * 16: a0 * b0, "0" * 15 + "1": a0 * b1, "1" * 15 + "0": a1 * b1, "1" * 16: a1 * b0,
    }  # fmt: skip
    (result,) = run(program, ResultType.COUNTS, shots=10_000).results
    assert sum(result.counts.values()) == 10_000
    drawn_from(result.counts, expected)


def test_many_measurements_with_shots(run: Run) -> None:
    body = "".join(f"h q[0];measure q[0]->c[{bit}];" for bit in range(12))
    program = QASM2 + "qreg q[1];creg c[12];" + body
    (result,) = run(program, ResultType.COUNTS, shots=300).results
    assert sum(result.counts.values()) == 300
    assert len(result.counts) > 200
