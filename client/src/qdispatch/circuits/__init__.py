"""Circuits of Qiskit, Cirq and PennyLane, turned into programs.

No SDK is imported before one of its circuits is handed in: what a circuit
belongs to is read off the names of its classes.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Final

from qdispatch.circuits.custom import CustomCircuit
from qdispatch.circuits.custom import describe as _describe_custom
from qdispatch.circuits.form import CircuitForm
from qdispatch.errors import CircuitError

__all__ = ["CircuitForm", "CustomCircuit", "describe", "framework_of"]

_CLASSES: Final[Mapping[tuple[str, str], str]] = {
    ("qiskit", "QuantumCircuit"): "qiskit",
    ("cirq", "AbstractCircuit"): "cirq",
    ("pennylane", "QuantumScript"): "pennylane",
    ("pennylane", "QNode"): "pennylane",
}


def framework_of(circuit: object) -> str | None:
    """The SDK that a circuit belongs to: "qiskit", "cirq", "pennylane", or None."""
    for base in type(circuit).__mro__:
        framework = _CLASSES.get((base.__module__.partition(".")[0], base.__name__))
        if framework is not None:
            return framework
    return None


def describe(
    circuit: object,
    args: Sequence[object] = (),
    kwargs: Mapping[str, object] | None = None,
    *,
    parametric: bool = False,
    keep_phase: bool = False,
) -> CircuitForm:
    """Turns a circuit into a program and its metadata.

    Args:
        circuit: A Qiskit ``QuantumCircuit``, a Cirq ``Circuit`` or
            ``FrozenCircuit``, a PennyLane tape or ``QNode`` (or a
            ``functools.partial`` of one), or a `CustomCircuit`.
        args: Positional arguments of a QNode.
        kwargs: Keyword arguments of a QNode.
        parametric: Whether parameters without a value become the program's
            ``input`` variables; else they are refused.
        keep_phase: Whether the program has the circuit's global phase, which
            only a state vector shows.

    Returns:
        The form. Angles parse back as the same doubles.

    Raises:
        CircuitError: The circuit cannot be carried faithfully; ``gate`` names
            what is at fault.
    """
    while isinstance(circuit, functools.partial):
        args = (*circuit.args, *args)
        kwargs = {**circuit.keywords, **(kwargs or {})}
        circuit = circuit.func
    framework = framework_of(circuit)
    if framework == "pennylane":
        from qdispatch.circuits import pennylane

        return pennylane.describe(circuit, args, kwargs or {}, keep_phase=keep_phase)
    if args or kwargs:
        raise CircuitError("only a PennyLane QNode takes arguments; bind the parameters before")
    if isinstance(circuit, CustomCircuit):
        return _describe_custom(circuit)
    if framework == "qiskit":
        from qdispatch.circuits import qiskit

        return qiskit.describe(circuit, parametric=parametric, keep_phase=keep_phase)
    if framework == "cirq":
        from qdispatch.circuits import cirq

        return cirq.describe(circuit, parametric=parametric, keep_phase=keep_phase)
    kind = f"{type(circuit).__module__}.{type(circuit).__qualname__}".removeprefix("builtins.")
    raise CircuitError(
        f"a circuit of type '{kind}' is not known; give a Qiskit QuantumCircuit, a Cirq Circuit, "
        "a PennyLane tape or QNode, or wrap an OpenQASM program in a CustomCircuit"
    )
