"""The documentation does what it says."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.sdk.pages import blocks, pages, without_ids

# It shows the load of workers, which the installation in this process has not.
WITHOUT: Final = "docs/administration.md"

# What a section takes as given: page and heading -> the code before its block.
GIVEN: Final = {
    ("client/README.md", "Anything else"): """
text = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q; c = measure q;'
""",
    ("client/README.md", "Batches"): """
measured = circuit.assign_parameters([0.5])
measured.measure_all()
circuits = [measured, measured]
""",
    ("docs/qiskit.md", "Backends"): """
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

theta = Parameter("theta")
alpha, beta = ClassicalRegister(4, "alpha"), ClassicalRegister(1, "beta")
bare = QuantumCircuit(QuantumRegister(2), alpha, beta)
bare.ry(theta, 0)
bare.cx(0, 1)
ansatz = bare.copy()
ansatz.measure([0, 1, 1], [alpha[0], alpha[3], beta[0]])
circuit = ansatz.assign_parameters([0.5])
""",
    ("docs/qiskit.md", "Sampler"): "circuit, other, values = ansatz, circuit, [[0.1], [0.2]]",
    ("docs/qiskit.md", "Estimator"): """
circuit, hamiltonian = bare, SparsePauliOp(["ZZ", "XI"], [0.5, 0.25])
""",
    ("docs/cirq.md", "State vectors"): """
from qdispatch import Client

client, n_qubits = Client(), 2
circuit = cirq.Circuit(cirq.X(a) ** 0.3, cirq.CX(a, b), cirq.H(a))
""",
}

# What holds after it.
FOUND: Final = {
    ("client/README.md", "Sweeps"): "assert point.index == 199",
    ("docs/qiskit.md", "Backends"): """
assert sum(counts.values()) == len(shots) == 1000
assert again.result().get_counts() == counts
""",
    ("docs/qiskit.md", "Sampler"): "assert result[0].data.alpha.shape == (2,)",
    ("docs/qiskit.md", "Estimator"): "assert data.evs.shape == data.stds.shape == (2, 2)",
    ("docs/qiskit.md", "Parameters and the global phase"): "assert len(job.result()) == 3",
    ("docs/cirq.md", "qdispatch for users of Cirq"): """
assert sum(results[5].histogram(key="m").values()) == 1000
""",
    # Single precision.
    ("docs/cirq.md", "State vectors"): """
assert abs(state - cirq.final_state_vector(circuit)).max() < 1e-6
client.close()
""",
    ("docs/pennylane.md", "PennyLane"): """
exact = np.cos(angles[1]) + 0.5 * np.sin(angles[0]) * np.sin(angles[1])
assert abs(energy(angles) - exact) < 1e-9
""",
}


@pytest.mark.parametrize("page", [each for each in pages() if each != WITHOUT])
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(
    page: str, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Blocks follow each other on their page, as a reader would type them in.
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        section = (page, block.heading)
        exec(GIVEN.get(section, ""), names)
        exec(block.code.replace("localhost:50051", address), names)
        printed = capsys.readouterr().out
        assert bool(printed) == ("print(" in block.code)
        if block.output:
            assert without_ids(printed) == without_ids(block.output)
        exec(FOUND.get(section, ""), names)


def test_what_is_given_and_found_belongs_to_a_section() -> None:
    sections = {(page, block.heading) for page in pages() for block in blocks(page)}
    assert GIVEN.keys() | FOUND.keys() <= sections
