"""Clifford circuits by stim: the same results as a state vector, and far wider ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import stim
from conformance_cases import QASM2, QASM3
from conformance_checks import drawn_from, same_distribution
from conformance_runs import BUILT_IN, read, run_on
from hypothesis import given, settings
from hypothesis import strategies as st

from qdispatch.arrays import PackedOutcomes
from qdispatch.model import ErrorKind, PauliSum, PauliTerm, ResultType
from qdispatch.results_codec import decode_result, encode_result
from tasks.circuit import Bits, Branch, Circuit, Constant, Gate, Measure, Op, Operation, Reset
from tasks.simulators import SimulationError, stabilizer
from tasks.simulators.clifford import NAMES
from tasks.simulators.stabilizer_circuit import NotStabilizerError, convert

GIB = 2**30
BY_STIM = {"method": "stabilizer"}
BY_VECTOR = {"method": "statevector"}
CLIFFORD = "every gate is a Clifford gate"

TELEPORTED = (
    QASM2 + "qreg q[3];creg a[1];creg b[1];creg c[1];h q[0];s q[0];h q[1];cx q[1],q[2];"
    "cx q[0],q[1];h q[0];measure q[0]->a[0];measure q[1]->b[0];"
    "if(b==1) x q[2];if(a==1) z q[2];sdg q[2];h q[2];measure q[2]->c[0];"
)
PARITY = (
    QASM3 + "qubit[3] q;bit[3] c;bit p;h q[0];h q[1];c[0]=measure q[0];c[1]=measure q[1];"
    "p=c[0]^c[1];if(p==0){x q[2];}else{y q[2];}if(p!=c[0]){z q[2];}reset q[0];h q[0];"
    "c[0]=measure q[0];c[2]=measure q[2];"
)


def observables(n_qubits: int) -> tuple[PauliSum, ...]:
    """Strings that commute and some that do not, each with a constant."""
    words = ["Z" * n_qubits, "X" * n_qubits, "Y" + "I" * (n_qubits - 1), "I" * n_qubits]
    terms = [PauliTerm(paulis=word, coefficient=0.5 + place) for place, word in enumerate(words)]
    return (PauliSum(terms=tuple(terms)), PauliSum(terms=(terms[0], terms[2])))


# -- the same as a state vector


def one_bit(draw: st.DrawFn, n_clbits: int) -> Operation:
    """Whether a bit has a value: a parity."""
    clbit = draw(st.integers(0, n_clbits - 1))
    return Operation("==", (Bits((clbit,)), Constant(draw(st.integers(0, 1)))))


def many_bits(draw: st.DrawFn, n_clbits: int) -> Operation:
    """How all bits compare with a number: no parity."""
    operator = draw(st.sampled_from(["==", "!=", "<", ">="]))
    number = draw(st.integers(0, 2**n_clbits - 1))
    return Operation(operator, (Bits(tuple(range(n_clbits))), Constant(number)))


@st.composite
def circuits(
    draw: st.DrawFn, condition_of: Callable[[st.DrawFn, int], Operation] = one_bit
) -> Circuit:
    """Clifford gates, resets, measurements, and Pauli gates under conditions."""
    n_qubits, n_clbits = draw(st.integers(1, 4)), 3
    qubit, clbit = st.integers(0, n_qubits - 1), st.integers(0, n_clbits - 1)
    ops: list[Op] = []
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["gate", "gate", "gate", "angle", "measure", "reset", "if"]))
        if kind == "gate":
            name = draw(st.sampled_from(sorted(NAMES)))
            wide = name in ("cx", "cy", "cz", "swap")
            if wide and n_qubits < 2:
                continue
            qubits = draw(st.permutations(range(n_qubits)))[: 1 + wide]
            ops.append(Gate(name, tuple(qubits)))
        elif kind == "angle":
            angle = draw(st.integers(-4, 4)) * np.pi / 2
            ops.append(
                Gate(draw(st.sampled_from(["rx", "ry", "rz", "p"])), (draw(qubit),), (angle,))
            )
        elif kind == "measure":
            ops.append(Measure(draw(qubit), draw(clbit)))
        elif kind == "reset":
            ops.append(Reset(draw(qubit)))
        else:
            condition = condition_of(draw, n_clbits)
            arms = [(Gate(draw(st.sampled_from("xyz")), (draw(qubit),)),) for _ in range(2)]
            ops.append(Branch(condition, arms[0], arms[1] if draw(st.booleans()) else ()))
    ops.append(Measure(draw(qubit), draw(clbit)))
    return Circuit(n_qubits=n_qubits, n_clbits=n_clbits, ops=tuple(ops))


@settings(max_examples=40, deadline=None)
@given(circuits())
def test_exact_results_are_those_of_a_state_vector(circuit: Circuit) -> None:
    types = (ResultType.QUASI, ResultType.EXPVAL, ResultType.VARIANCE)
    asked = observables(circuit.n_qubits)
    found = run_on("pennylane", circuit, *types, observables=asked, options=BY_STIM)
    expected = run_on("pennylane", circuit, *types, observables=asked, options=BY_VECTOR)
    assert found.method == "stabilizer"
    same_distribution(found.results[0].quasi, expected.results[0].quasi, 1e-9)
    assert found.results[1].expval == pytest.approx(expected.results[1].expval, abs=1e-9)
    assert found.results[2].variance == pytest.approx(expected.results[2].variance, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(circuits(many_bits))
def test_conditions_on_many_bits_are_made_up_for(circuit: Circuit) -> None:
    types = (ResultType.COUNTS, ResultType.MEMORY)
    found = run_on("pennylane", circuit, *types, shots=500, options=BY_STIM)
    (expected,) = run_on("pennylane", circuit, ResultType.QUASI, options=BY_VECTOR).results
    assert found.method == "stabilizer"
    drawn_from(found.results[0].counts, expected.quasi)
    assert Counter(found.results[1].memory) == found.results[0].counts


@pytest.mark.parametrize("program", [TELEPORTED, PARITY], ids=["teleported", "parity"])
def test_samples_are_those_of_a_state_vector(program: str) -> None:
    types = (ResultType.COUNTS, ResultType.MEMORY, ResultType.EXPVAL, ResultType.VARIANCE)
    asked = observables(3)
    found = run_on("pennylane", program, *types, shots=4000, observables=asked, options=BY_STIM)
    exact = run_on(
        "pennylane", program, ResultType.QUASI, *types[2:], observables=asked, options=BY_VECTOR
    )
    counts, memory, expval, variance = found.results
    drawn_from(counts.counts, exact.results[0].quasi)
    assert Counter(memory.memory) == counts.counts
    for each, error, mean in zip(
        expval.expval, expval.standard_errors, exact.results[1].expval, strict=True
    ):
        assert abs(each - mean) <= 5 * error + 1e-9
    # In a mixture of stabilizer states the spread of a sum of strings is at most their norm.
    assert variance.variance == pytest.approx(exact.results[2].variance, rel=0.1, abs=1e-9)


def test_sampled_values_of_a_static_circuit() -> None:
    program = QASM2 + "qreg q[2];h q[0];cx q[0],q[1];s q[0];"
    asked = (PauliSum(terms=(PauliTerm(paulis="ZZ"), PauliTerm(paulis="XX", coefficient=2.0))),)
    (found,) = run_on(
        "cirq", program, ResultType.EXPVAL, shots=10_000, observables=asked, options=BY_STIM
    ).results
    # <ZZ> is 1 and <XX> is 0; the latter is estimated with an error of 2 / sqrt(shots).
    assert abs(found.expval[0] - 1) < 5 * 0.02
    assert found.standard_errors[0] == pytest.approx(0.02, rel=0.01)


def test_a_teleported_state_arrives() -> None:
    assert convert(read(TELEPORTED)).static is False
    (result,) = run_on("aer", TELEPORTED, ResultType.COUNTS, shots=500, options=BY_STIM).results
    assert {key[0] for key in result.counts} == {"0"}
    assert len(result.counts) == 4


def test_a_seed_is_kept_and_neighbours_differ() -> None:
    program = QASM2 + "qreg q[50];creg c[50];h q;measure q->c;"
    runs = [
        run_on("cirq", program, ResultType.MEMORY, shots=20, seed=seed).results[0].memory
        for seed in (3, 3, 4)
    ]
    assert runs[0] == runs[1]
    assert set(runs[0]).isdisjoint(runs[2])


def test_pieces_of_a_long_sample_are_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stabilizer, "_CHUNK_SHOTS", 300)
    program = QASM2 + "qreg q[80];creg c[80];h q;measure q->c;"
    types = (ResultType.COUNTS, ResultType.MEMORY)
    counts, memory = run_on("aer", program, *types, shots=1000).results
    assert len(set(memory.memory)) == len(memory.memory) == 1000
    assert dict(counts.counts) == dict.fromkeys(sorted(memory.memory), 1)
    bits = np.unpackbits(np.asarray(memory.memory), axis=1)
    # 80,000 fair bits, to five standard deviations.
    assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(bits.size)


def test_counts_do_not_depend_on_what_else_is_asked_for() -> None:
    program = QASM2 + "qreg q[30];creg c[30];h q;measure q->c;"
    types = (ResultType.COUNTS, ResultType.MEMORY, ResultType.EXPVAL)
    alone = run_on("aer", program, ResultType.COUNTS, shots=50)
    both = run_on("aer", program, *types, shots=50, observables=observables(30))
    assert alone.results[0].counts == both.results[0].counts


def test_a_qubit_is_measured_and_reset_by_one_instruction() -> None:
    ops = (Measure(0, 0), Reset(0), Measure(1, 1), Reset(0), Gate("h", (1,)))
    assert convert(Circuit(n_qubits=2, n_clbits=2, ops=ops)).body == "MR 0\nM 1\nR 0\nH 1"


# -- wide ones


def surface_code_cycles(distance: int, rounds: int) -> tuple[Circuit, int]:
    """Cycles of a rotated surface code without noise, and the number of its stabilizers."""
    source = stim.Circuit.generated(
        "surface_code:rotated_memory_z", distance=distance, rounds=rounds
    )
    ops: list[Op] = []
    n_clbits = 0
    for each in source.flattened():
        qubits = [target.value for target in each.targets_copy() if target.is_qubit_target]
        if each.name == "H":
            ops += [Gate("h", (qubit,)) for qubit in qubits]
        elif each.name == "CX":
            ops += [Gate("cx", pair) for pair in zip(qubits[::2], qubits[1::2], strict=True)]
        elif each.name == "R":
            ops += [Reset(qubit) for qubit in qubits]
        elif each.name in ("M", "MR"):
            for qubit in qubits:
                ops += [Measure(qubit, n_clbits), *([Reset(qubit)] * (each.name == "MR"))]
                n_clbits += 1
    circuit = Circuit(n_qubits=source.num_qubits, n_clbits=n_clbits, ops=tuple(ops))
    return circuit, distance * distance - 1


@pytest.mark.parametrize("name", BUILT_IN)
def test_ghz_of_five_hundred(name: str) -> None:
    chain = "".join(f"cx q[{q}],q[{q + 1}];" for q in range(499))
    program = QASM2 + "qreg q[500];creg c[500];h q[0];" + chain + "measure q->c;"
    asked = (PauliSum(terms=(PauliTerm(paulis="X" * 500),)),)
    types = (ResultType.COUNTS, ResultType.QUASI, ResultType.EXPVAL)
    found = run_on(name, program, *types, shots=10_000, observables=asked, memory_limit_bytes=GIB)
    assert (found.method, found.method_reason) == ("stabilizer", CLIFFORD)
    drawn_from(found.results[0].counts, {"0" * 500: 0.5, "1" * 500: 0.5})
    assert found.results[1].quasi == pytest.approx(
        {key: times / 10_000 for key, times in found.results[0].counts.items()}
    )
    assert found.results[2].expval == (1.0,)


def test_a_table_of_corrections_on_a_wide_code() -> None:
    """One flip in a repetition code of 101 qubits is found by its syndrome and taken back."""
    n_data, flipped = 101, 37
    pairs = range(n_data - 1)
    ops: list[Op] = [Gate("h", (0,)), *(Gate("cx", (q, q + 1)) for q in pairs)]
    ops.append(Gate("x", (flipped,)))
    for pair in pairs:
        ancilla = n_data + pair
        ops += [Gate("cx", (pair, ancilla)), Gate("cx", (pair + 1, ancilla))]
        ops.append(Measure(ancilla, pair))
    syndromes = [1 << (n_data - 2), *(0b11 << place for place in pairs[:-1]), 1]
    fixed = [n_data - 1, *range(1, n_data - 1), 0]
    register = Bits(tuple(pairs))
    for syndrome, qubit in zip(syndromes, fixed, strict=True):
        condition = Operation("==", (register, Constant(syndrome)))
        ops.append(Branch(condition, (Gate("x", (qubit,)),)))
    ops += [Measure(qubit, n_data - 1 + qubit) for qubit in range(n_data)]
    circuit = Circuit(n_qubits=2 * n_data - 1, n_clbits=2 * n_data - 1, ops=tuple(ops))
    found = run_on("cirq", circuit, ResultType.COUNTS, shots=1000)
    assert found.method == "stabilizer"
    syndrome = format(0b11 << (flipped - 1), f"0{n_data - 1}b")
    drawn_from(found.results[0].counts, {bit * n_data + syndrome: 0.5 for bit in "01"})


def test_repeated_cycles_of_a_surface_code_agree() -> None:
    circuit, n_stabilizers = surface_code_cycles(distance=16, rounds=3)
    assert circuit.n_qubits > 500
    found = run_on("cirq", circuit, ResultType.COUNTS, ResultType.MEMORY, shots=2000)
    counts = found.results[0].counts
    assert isinstance(counts, PackedOutcomes)
    assert counts == decode_result(encode_result(found.results[0])).counts
    packed = np.asarray(found.results[1].memory)
    bits = np.unpackbits(packed, axis=1)[:, ::-1][:, : circuit.n_clbits]
    rounds = bits[:, : 3 * n_stabilizers].reshape(2000, 3, n_stabilizers)
    assert (rounds == rounds[:, :1]).all()
    # Half of them are random at first, those of X; of Z all are 0, as the qubits were.
    ones = rounds[:, 0].mean(axis=0)
    assert (ones == 0).sum() == n_stabilizers // 2
    assert np.abs(ones[ones > 0] - 0.5).max() < 6 * 0.5 / np.sqrt(2000)


# -- what does not run so, and why


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("t q[0];", "t is not a Clifford gate"),
        ("rx(0.3) q[0];", r"rx\(0\.3\) is not a Clifford gate"),
        ("h q;measure q->c;if(c==3) x q[0];", "a condition is not one bit or a parity"),
        ("creg d[1];h q[0];measure q[0]->d[0];if(d==1) h q[1];", "is not a Pauli gate"),
        (
            "creg d[1];h q[0];measure q[0]->d[0];if(d==1) reset q[1];",
            "more than gates is under a condition",
        ),
    ],
)
def test_what_is_no_stabilizer_circuit_says_why(body: str, message: str) -> None:
    program = QASM2 + "qreg q[2];creg c[2];" + body + "measure q->c;"
    with pytest.raises(NotStabilizerError, match=message):
        convert(read(program))
    with pytest.raises(SimulationError, match=message) as caught:
        run_on("cirq", program, ResultType.QUASI, options=BY_STIM)
    assert caught.value.kind is ErrorKind.UNSUPPORTED


@pytest.mark.parametrize("name", ["cirq", "pennylane"])
def test_a_wide_circuit_that_is_not_clifford_is_refused_by_its_memory(name: str) -> None:
    program = QASM2 + "qreg q[60];creg c[60];h q;t q[59];measure q->c;"
    with pytest.raises(SimulationError, match="t is not a Clifford gate") as caught:
        run_on(name, program, ResultType.COUNTS, shots=10, memory_limit_bytes=GIB)
    assert caught.value.kind is ErrorKind.OUT_OF_MEMORY
    assert "EiB as a state vector of 60 qubits" in str(caught.value)


@pytest.mark.parametrize("name", ["cirq", "pennylane"])
def test_a_method_that_the_target_has_not(name: str) -> None:
    program = QASM2 + "qreg q[1];creg c[1];measure q->c;"
    options = {"method": "matrix_product_state"}
    with pytest.raises(SimulationError, match="one of automatic, statevector, stabilizer, not"):
        run_on(name, program, ResultType.QUASI, options=options)


def test_a_state_is_not_given_by_stabilizers() -> None:
    with pytest.raises(SimulationError, match="come from a state vector"):
        run_on("cirq", QASM2 + "qreg q[1];h q;", ResultType.STATEVECTOR, options=BY_STIM)


def test_other_gates_under_conditions_are_left_to_aer() -> None:
    program = (
        QASM2 + "qreg q[40];creg a[2];creg c[40];h q;measure q[0]->a[0];measure q[1]->a[1];"
        "if(a==3) h q[2];measure q->c;"
    )
    found = run_on("aer", program, ResultType.MEMORY, shots=200, memory_limit_bytes=GIB)
    assert found.method == "stabilizer"
    assert found.method_reason.startswith(f"{CLIFFORD}; by Aer, since a gate under a condition")
    ones = Counter(key[-2:] for key in found.results[0].memory if key[-5] == "1")
    assert set(ones) == {"00", "01", "10"}


def test_a_tableau_that_does_not_fit() -> None:
    gates = (Gate("h", (0,)), Measure(0, 0))
    circuit = Circuit(n_qubits=50_000, n_clbits=1, ops=gates)
    with pytest.raises(SimulationError, match="a stabilizer state of 50000 qubits") as caught:
        run_on("cirq", circuit, ResultType.COUNTS, shots=10, memory_limit_bytes=GIB)
    assert caught.value.kind is ErrorKind.OUT_OF_MEMORY


def test_many_measurements_in_mid_circuit_are_not_left_to_a_state_vector() -> None:
    program = (
        QASM2
        + "qreg q[2];creg c[8];"
        + "".join(f"h q[0];cx q[0],q[1];measure q[0]->c[{bit}];reset q[1];" for bit in range(8))
    )
    found = run_on("aer", program, ResultType.QUASI)
    assert (found.method, found.method_reason) == ("stabilizer", CLIFFORD)
    assert found.results[0].quasi == {f"{number:08b}": 2.0**-8 for number in range(256)}
