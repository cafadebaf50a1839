"""Shots as Cirq keeps them."""

from __future__ import annotations

from typing import Any

import cirq
import numpy as np

from qdispatch.arrays import Memory
from qdispatch.circuits.form import CircuitForm


def records_of(memory: Memory, form: CircuitForm) -> dict[str, Any]:
    """The records of a ``cirq.Result``.

    Args:
        memory: The outcome of each shot.
        form: Whose outcomes they are.

    Returns:
        Measurement key -> uint8 of shape (shots, times measured, qubits), the
        qubits in the order of the measurement; keys in the order of their
        first measurement.
    """
    # Most significant bit first, so bit k of an outcome is column -1 - k.
    bits = np.unpackbits(np.asarray(memory), axis=1)[:, ::-1]
    bits[:, sorted(form.inverted)] ^= 1
    return {
        key: bits[:, np.array(form.repeated.get(key, (clbits,)))]
        for key, clbits in form.clbits_of.items()
    }


def no_records(program: Any) -> dict[str, Any]:
    """The records of no repetitions, in the shape that ``cirq.Simulator`` gives them."""
    return {key: np.empty((0, 1, 1)) for key in sorted(cirq.measurement_key_names(program))}
