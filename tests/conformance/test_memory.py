"""Single shots: their order, and that counts are their tally."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from conformance_cases import CASES, DYNAMIC, QASM2, STATIC, Case
from conformance_runs import NAMES, Run, run_on

from qdispatch.model import ErrorKind, ResultType
from tasks.simulators import SimulationError

SHOTS = 400
TYPES = (ResultType.MEMORY, ResultType.QUASI, ResultType.COUNTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_counts_are_the_tally_of_memory(run: Run, case: Case) -> None:
    memory, quasi, counts = run(case.program, *TYPES, shots=SHOTS).results
    assert len(memory.memory) == SHOTS
    assert Counter(memory.memory) == Counter(counts.counts)
    assert memory.n_bits == counts.n_bits
    assert quasi.quasi == {key: times / SHOTS for key, times in counts.counts.items()}
    alone = run(case.program, ResultType.COUNTS, shots=SHOTS).results[0]
    assert alone.counts == counts.counts


@pytest.mark.parametrize("case", [STATIC[1], DYNAMIC[3]], ids=["static", "dynamic"])
def test_the_seed_decides_the_order(run: Run, case: Case) -> None:
    def memory(seed: int) -> list[str]:
        return list(run(case.program, ResultType.MEMORY, shots=60, seed=seed).results[0].memory)

    assert memory(5) == memory(5)
    assert memory(5) != memory(6)
    assert memory(5) != sorted(memory(5))


METHODS = [(name, "") for name in NAMES]
METHODS += [("aer", "stabilizer"), ("aer", "matrix_product_state")]


def test_neighbouring_seeds_share_no_shots(run: Run) -> None:
    middle = "".join(f"measure q[{q}]->c[{q}];h q[{q}];" for q in range(4))
    program = QASM2 + "qreg q[16];creg c[16];h q;" + middle + "measure q->c;"
    first, second = (
        list(run(program, ResultType.MEMORY, shots=40, seed=seed).results[0].memory)
        for seed in (3, 4)
    )
    # Of 1,600 pairs of 65,536 outcomes.
    assert len(set(first) & set(second)) < 5


@pytest.mark.parametrize(("name", "method"), METHODS)
@pytest.mark.parametrize("middle", ["", "measure q[0]->c[0];"], ids=["static", "dynamic"])
def test_shots_are_exchangeable(name: str, method: str, middle: str) -> None:
    program = QASM2 + f"qreg q[2];creg c[70];h q;{middle}cx q[0],q[1];measure q[1]->c[69];"
    options = {"method": method} if method else {}
    (result,) = run_on(name, program, ResultType.MEMORY, shots=4000, options=options).results
    drawn = np.asarray(result.memory)
    assert drawn.shape == (4000, 9)
    bits = (drawn[:, 0] >> 5).astype(float)
    assert set(bits) == {0, 1}
    # Of independent shots both are normal with standard deviation 1 / sqrt(shots).
    for other in (bits[1:], np.arange(3999.0)):
        assert abs(np.corrcoef(bits[:-1], other)[0, 1]) < 5 / np.sqrt(4000)


def test_memory_without_shots(run: Run) -> None:
    with pytest.raises(SimulationError, match="memory needs shots") as caught:
        run(QASM2 + "qreg q[1];creg c[1];measure q->c;", ResultType.MEMORY)
    assert caught.value.kind is ErrorKind.UNSUPPORTED


def test_memory_of_a_program_that_measures_nothing(run: Run) -> None:
    with pytest.raises(SimulationError, match="measures nothing"):
        run(QASM2 + "qreg q[1];creg c[1];h q[0];", ResultType.MEMORY, shots=10)


def test_memory_that_is_too_long_to_return(run: Run) -> None:
    program = QASM2 + "qreg q[1];creg c[80];h q[0];measure q[0]->c[79];"
    with pytest.raises(SimulationError, match=r"9\.8 KiB; .*Use fewer shots"):
        run(program, ResultType.MEMORY, shots=1000, max_result_bytes=10_000)


def test_memory_that_does_not_fit_while_it_is_made(run: Run) -> None:
    program = QASM2 + "qreg q[2];creg c[4000];h q;measure q[0]->c[3999];"
    with pytest.raises(SimulationError, match="easure fewer bits") as caught:
        run(program, ResultType.MEMORY, shots=2_000_000, memory_limit_bytes=2**30)
    assert caught.value.kind is ErrorKind.OUT_OF_MEMORY
