"""Programs that an engine has parsed, for jobs that repeat one."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from qdispatch.model import ProgramFormat
from tasks.circuit import Circuit
from tasks.parse import parse

#: What the kept circuits and their programs may take together, in bytes.
_KEPT_BYTES: Final = 2**23

#: What an operation takes, and a program beside its text; estimates, in bytes.
_OPERATION_BYTES: Final = 200
_PROGRAM_BYTES: Final = 2000


class ParsedPrograms:
    """Parses programs, and keeps the circuits of those that were used last.

    Nothing changes a circuit, so jobs may share one.

    Args:
        max_qubits: The most that a program may declare.
        kept_bytes: See `_KEPT_BYTES`.
    """

    def __init__(self, max_qubits: int, kept_bytes: int = _KEPT_BYTES) -> None:
        self._max_qubits = max_qubits
        self._kept_bytes = kept_bytes
        self._size = 0
        self._kept: OrderedDict[tuple[str, ProgramFormat], Circuit] = OrderedDict()

    def circuit(self, program: str, program_format: ProgramFormat) -> Circuit:
        """The circuit of a program; see `tasks.parse.parse`, also for what it raises."""
        key = (program, program_format)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        circuit = parse(program, program_format, max_qubits=self._max_qubits)
        self._keep(key, circuit)
        return circuit

    def _keep(self, key: tuple[str, ProgramFormat], circuit: Circuit) -> None:
        size = _size(key[0], circuit)
        # One of its own size would push out all others.
        if size > self._kept_bytes // 4:
            return
        self._kept[key] = circuit
        self._size += size
        while self._size > self._kept_bytes:
            (program, _), oldest = self._kept.popitem(last=False)
            self._size -= _size(program, oldest)


def _size(program: str, circuit: Circuit) -> int:
    return _PROGRAM_BYTES + 4 * len(program) + _OPERATION_BYTES * len(circuit.ops)
