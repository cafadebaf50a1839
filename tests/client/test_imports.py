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
    light = ("grpc", "google.protobuf", "typer", "asyncio", *HEAVY)
    code = f"import qdispatch, sys; print([name for name in {light} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("mine", "make"),
    [
        ("qiskit", "c = qiskit.QuantumCircuit(1)"),
        ("cirq", "c = cirq.Circuit(cirq.X(cirq.LineQubit(0)))"),
        ("pennylane", "c = pennylane.tape.QuantumScript([pennylane.X(0)], [pennylane.probs()])"),
    ],
    ids=["qiskit", "cirq", "pennylane"],
)
def test_only_the_sdk_of_the_circuit_and_of_the_interface_is_imported(mine: str, make: str) -> None:
    others = [name for name in ("qiskit", "qiskit_aer", "cirq", "pennylane") if name != mine]
    # What an SDK imports by itself is its own affair.
    code = (
        f"import {mine}; {make}\nimport sys; before = set(sys.modules)\n"
        "from qdispatch.circuits import describe; describe(c)\n"
        f"import qdispatch.{mine}\n"
        f"print([name for name in {others} if name in set(sys.modules) - before])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_command_line_imports_no_sdk() -> None:
    code = (
        "import sys, qdispatch.cli, qdispatch.cli.app\n"
        "print([n for n in ('qiskit', 'qiskit_aer', 'cirq', 'pennylane') if n in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
