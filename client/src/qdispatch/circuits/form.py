"""What an adapter makes of a circuit."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from qdispatch.model import PauliSum, ProgramFormat, ResultType


@dataclass(frozen=True, kw_only=True)
class CircuitForm:
    """A circuit as text, and all that a job says about it."""

    program: str
    """The program text."""
    program_format: ProgramFormat
    """The language of ``program``."""
    framework: str
    """What the circuit was written in, such as "qiskit"."""
    n_qubits: int
    """Number of qubits that the program declares."""
    depth: int
    """Longest path through the circuit, in operations, without barriers."""
    qubit_of: Mapping[Hashable, int] = field(default_factory=dict)
    """The framework's own qubit (a Qid, a wire, an index) -> index in the program."""
    clbits_of: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Register or measurement key -> its classical bits, as indices in the
    program; bit k of an outcome is its k-th character from the right. Of a key
    that is measured more than once: the bits of its last measurement."""
    repeated: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    """Measurement key that is measured more than once -> the bits of each of
    its measurements, in order."""
    inverted: frozenset[int] = frozenset()
    """Classical bits that the program leaves for whoever reads an outcome to
    invert; none unless the adapter was told so."""
    parameters: tuple[str, ...] = ()
    """The program's ``input`` variables, in their order."""
    parameter_of: Mapping[Hashable, str] = field(default_factory=dict)
    """The framework's own parameter, and its name -> input variable."""
    observables: tuple[PauliSum, ...] = ()
    """Those that the circuit carries itself."""
    result_types: tuple[ResultType, ...] = ()
    """Those that the circuit asks for itself; empty if it does not say."""
    shots: int | None = None
    """As the circuit says itself; None if it does not say."""


def longest_path(operations: Iterable[Iterable[Hashable]]) -> int:
    """The depth of a circuit.

    Args:
        operations: In order; each as the qubits and classical bits it touches.

    Returns:
        The number of operations on the longest path.
    """
    levels: dict[Hashable, int] = {}
    for operation in operations:
        touched = tuple(operation)
        level = 1 + max((levels.get(each, 0) for each in touched), default=0)
        levels.update(dict.fromkeys(touched, level))
    return max(levels.values(), default=0)
