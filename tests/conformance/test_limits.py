"""What is refused, before anything is allocated, and how it is said."""

from __future__ import annotations

import pytest
from conformance_cases import QASM2
from conformance_runs import Run, read, run_on

from qdispatch.model import ErrorKind, PauliSum, PauliTerm, ResultType
from tasks.simulators import SimulationError

GIB = 2**30
NON_CLIFFORD = "".join(f"ry(0.{q + 1}) q[{q}];" for q in range(32))


def dense(n_qubits: int) -> str:
    """Entangles every qubit with every other, so that no method is small."""
    pairs = [(a, b) for a in range(n_qubits) for b in range(a)]
    return (
        QASM2
        + f"qreg q[{n_qubits}];creg c[{n_qubits}];"
        + "".join(f"ry(0.3) q[{a}];cx q[{a}],q[{b}];" for a, b in pairs)
        + "measure q->c;"
    )


@pytest.mark.parametrize("types", [(ResultType.COUNTS,), (ResultType.COUNTS, ResultType.QUASI)])
def test_out_of_memory_names_need_and_limit(run: Run, types: tuple[ResultType, ...]) -> None:
    with pytest.raises(SimulationError, match=r"needs about .*GiB.*limit.* 8\.0 GiB") as caught:
        run(dense(33), *types, shots=10, memory_limit_bytes=8 * GIB)
    assert caught.value.kind is ErrorKind.OUT_OF_MEMORY
    assert "33 qubits" in str(caught.value)


def test_more_qubits_than_any_machine_holds(run: Run) -> None:
    with pytest.raises(SimulationError) as caught:
        run(dense(200), ResultType.COUNTS, shots=10)
    assert caught.value.kind is ErrorKind.OUT_OF_MEMORY


def test_a_dynamic_circuit_that_is_too_large(run: Run) -> None:
    program = (
        QASM2 + "qreg q[40];creg c[40];ry(0.3) q[0];measure q[0]->c[0];ry(0.4) q[0];measure q->c;"
    )
    with pytest.raises(SimulationError) as caught:
        run(program, ResultType.QUASI, memory_limit_bytes=8 * GIB)
    assert caught.value.kind is ErrorKind.OUT_OF_MEMORY


@pytest.mark.parametrize("shots", [0, 1_000_000])
def test_wide_outcomes_are_counted(run: Run, shots: int) -> None:
    program = QASM2 + "qreg q[16];creg c[8000];h q;t q[0];"
    program += "".join(f"measure q[{q}]->c[{q}];" for q in range(16))
    with pytest.raises(SimulationError, match="easure fewer bits") as caught:
        run(program, ResultType.QUASI, shots=shots, memory_limit_bytes=GIB)
    assert caught.value.kind is ErrorKind.OUT_OF_MEMORY


def test_a_program_that_measures_nothing(run: Run) -> None:
    for program in (QASM2 + "qreg q[1];h q[0];", QASM2 + "qreg q[1];creg c[1];h q[0];"):
        with pytest.raises(SimulationError, match="measures nothing; add measurements or ask"):
            run(program, ResultType.QUASI)
        observables = (PauliSum(terms=(PauliTerm(paulis="X"),)),)
        (result,) = run(program, ResultType.EXPVAL, observables=observables).results
        assert result.expval[0] == pytest.approx(1)


def test_counts_without_shots(run: Run) -> None:
    with pytest.raises(SimulationError, match="counts need shots"):
        run(QASM2 + "qreg q[1];creg c[1];measure q->c;", ResultType.COUNTS)


def test_too_many_exact_outcomes(run: Run) -> None:
    program = QASM2 + "qreg q[21];creg c[21];" + "h q;t q[0];measure q->c;"
    with pytest.raises(SimulationError, match=r"2,097,152 outcomes") as caught:
        run(program, ResultType.QUASI)
    assert caught.value.kind is ErrorKind.UNSUPPORTED


def test_too_many_exact_branches() -> None:
    """All simulators follow them by the same code; this one is the quickest."""
    body = "t q[0];" + "".join(f"h q[0];measure q[0]->c[{bit % 3}];" for bit in range(40))
    program = QASM2 + "qreg q[1];creg c[3];" + body
    circuit = read(program)
    assert circuit.terminal is None
    with pytest.raises(SimulationError, match="every branch"):
        run_on("pennylane", circuit, ResultType.QUASI, memory_limit_bytes=GIB)


def test_unknown_options_are_left_alone(run: Run) -> None:
    program = QASM2 + "qreg q[1];creg c[1];x q[0];measure q->c;"
    (result,) = run(program, ResultType.QUASI, options={"colour": "green"}).results
    assert result.quasi == {"1": pytest.approx(1)}
