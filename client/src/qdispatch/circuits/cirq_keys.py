"""Measurement keys of Cirq and the classical bits that they get."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import cirq

from qdispatch.circuits.cirq_parts import cannot

_LATEST: Final = -1
"""The index by which conditions of Cirq mean the latest measurement of a key."""


class Keys:
    """The bits of every measurement, and where in the circuit one is.

    Args:
        operations: All of the circuit, with measurements as operations of
            their own.

    Attributes:
        registers: A name and a size for each measurement, in order.
        is_read: Whether an operation depends on a measurement.

    Raises:
        CircuitError: The measurements of one key differ in their number of qubits.
    """

    def __init__(self, operations: Iterable[Any]) -> None:
        self.registers: list[tuple[str, int]] = []
        self.is_read = False
        self._bits: dict[str, list[tuple[int, ...]]] = {}
        self._qubits: dict[str, list[Any]] = {}
        self._passed: dict[str, int] = {}
        for operation in operations:
            self.is_read |= bool(operation.classical_controls)
            # Cirq has no measurement under a condition.
            if isinstance(operation.gate, cirq.MeasurementGate):
                self._allot(operation)

    def _allot(self, operation: Any) -> None:
        key, width = cirq.measurement_key_name(operation), len(operation.qubits)
        earlier = self._bits.setdefault(key, [])
        if earlier and len(earlier[0]) != width:
            raise cannot(operation, f"the key '{key}' was measured on {len(earlier[0])} qubits")
        first = sum(size for _, size in self.registers)
        earlier.append(tuple(range(first, first + width)))
        self._qubits.setdefault(key, []).append(operation.qubits)
        name = key if len(earlier) == 1 else f"{key}_{len(earlier)}"
        self.registers.append((name, width))

    def clbits_of(self) -> dict[str, tuple[int, ...]]:
        """The bits of each key's last measurement."""
        return {key: each[_LATEST] for key, each in self._bits.items()}

    def repeated(self) -> dict[str, tuple[tuple[int, ...], ...]]:
        """The bits of all measurements of the keys that are measured more than once."""
        return {key: tuple(each) for key, each in self._bits.items() if len(each) > 1}

    def here(self, operation: Any) -> tuple[int, ...]:
        """The bits of the measurement that comes next."""
        key = cirq.measurement_key_name(operation)
        return self._bits[key][self._passed.get(key, 0)]

    def move_past(self, operation: Any) -> None:
        """Whatever comes next comes after this operation."""
        if isinstance(operation.gate, cirq.MeasurementGate):
            key = cirq.measurement_key_name(operation)
            self._passed[key] = self._passed.get(key, 0) + 1

    def condition(self, operation: Any) -> tuple[list[int], Callable[[Mapping[int, int]], bool]]:
        """What an operation here depends on.

        Returns:
            The bits that it looks at, and whether it happens, given each of
            them as 0 or 1.

        Raises:
            CircuitError: A key is not measured before.
        """
        conditions = operation.classical_controls
        keys = {str(key) for each in conditions for key in each.keys}
        for key in sorted(keys):
            if not self._passed.get(key):
                raise cannot(operation, f"the key '{key}' is not measured before")
        # Whoever names an index may mean any measurement so far.
        all_of = {
            str(key)
            for each in conditions
            for key in each.keys
            if getattr(each, "index", _LATEST) != _LATEST
        }
        so_far = {key: self._bits[key][: self._passed[key]] for key in sorted(keys)}
        looked_at = [
            bit
            for key, measurements in so_far.items()
            for bits in (measurements if key in all_of else measurements[_LATEST:])
            for bit in bits
        ]

        def holds(values: Mapping[int, int]) -> bool:
            store = cirq.ClassicalDataDictionaryStore()
            for key, measurements in so_far.items():
                parsed = cirq.MeasurementKey.parse_serialized(key)
                for bits, qubits in zip(measurements, self._qubits[key], strict=False):
                    store.record_measurement(parsed, [values.get(bit, 0) for bit in bits], qubits)
            return all(each.resolve(store) for each in conditions)

        return looked_at, holds
