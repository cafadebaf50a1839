"""Matrices of programs, phase included, as the service reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from qdispatch.circuits import CircuitForm
from tasks.parse import parse
from tasks.simulators.matrices import matrix


def exact_unitary(form: CircuitForm, values: Mapping[str, float] | None = None) -> Any:
    """Matrix of a program without measurements; qubit 0 is the highest bit, as in Cirq.

    Args:
        form: The program.
        values: Input variable -> its value.
    """
    program = form.program
    for name, value in (values or {}).items():
        program = program.replace(f"input float[64] {name};", f"const float {name} = {value!r};")
    circuit = parse(program, form.program_format, max_qubits=10)
    n_qubits = circuit.n_qubits
    whole = np.eye(2**n_qubits, dtype=np.complex128).reshape([2] * n_qubits + [-1])
    for gate in circuit.gates():
        count = len(gate.qubits)
        tensor = matrix(gate).reshape([2] * (2 * count))
        whole = np.tensordot(tensor, whole, (range(count, 2 * count), gate.qubits))
        whole = np.moveaxis(whole, range(count), gate.qubits)
    phase = circuit.global_phase
    return np.exp(1j * phase) * whole.reshape(2**n_qubits, -1)


def written_phase(form: CircuitForm) -> bool:
    """Whether the program has a global phase."""
    return re.search(r"^gphase", form.program, re.MULTILINE) is not None
