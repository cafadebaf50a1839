from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("qiskit", "cirq", "pennylane", "numpy", "sympy", "scipy", "matplotlib", "rich", "tqdm")


@pytest.mark.parametrize(
    "code",
    [
        "import qdispatch",
        "import qdispatch.model, qdispatch.codec, qdispatch.errors",
        "import qdispatch.circuits",
        "from qdispatch import AsyncClient, Batch, Client, Job, JobResult",
        "import qdispatch.observables",
        "from qdispatch.circuits import CustomCircuit, describe\n"
        "from qdispatch.observables import to_pauli_sum\n"
        "form = describe(CustomCircuit(program='x', program_format='openqasm3', n_qubits=2,"
        " depth=1, framework='mine'))\n"
        "to_pauli_sum('XZ', form)",
    ],
)
def test_no_sdk_is_imported_before_it_is_needed(code: str) -> None:
    check = f"\nimport sys; print([name for name in {HEAVY} if name in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", code + check], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_the_package_itself_is_light() -> None:
    code = (
        "from time import perf_counter; before = perf_counter(); import qdispatch; import sys\n"
        "took = perf_counter() - before\n"
        "print(took < 0.3, [name for name in ('grpc', 'google.protobuf') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "True []"


@pytest.mark.parametrize(
    ("mine", "make"),
    [
        ("qiskit", "from qiskit import QuantumCircuit; c = QuantumCircuit(1)"),
        ("cirq", "import cirq; c = cirq.Circuit(cirq.X(cirq.LineQubit(0)))"),
        (
            "pennylane",
            "import pennylane as qml; c = qml.tape.QuantumScript([qml.X(0)], [qml.probs()])",
        ),
    ],
)
def test_only_the_sdk_of_the_circuit_is_imported(mine: str, make: str) -> None:
    others = [name for name in ("qiskit", "cirq", "pennylane") if name != mine]
    code = (
        f"{make}\nimport sys; before = set(sys.modules)\n"
        "from qdispatch.circuits import describe; describe(c)\n"
        f"print([n for n in {others} if n in sys.modules and n not in before])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_interface_of_qiskit_imports_qiskit_alone() -> None:
    others = ("cirq", "pennylane", "qiskit_aer")
    code = f"import qdispatch.qiskit, sys; print([n for n in {others} if n in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
