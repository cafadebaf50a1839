"""What the reading of one OpenQASM 3 program may still take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tasks.lowering import MAX_EXPANDED, MAX_OPERATIONS, too_large_gates, unsupported
from tasks.openqasm3_values import at

#: Qubits and bits in all slices, sets and concatenations, as often as they are
#: evaluated. Each takes 8 bytes, so this is 160 MB.
MAX_SELECTED: Final = 10 * MAX_OPERATIONS


class Budget:
    """Counts, and refuses what is beyond; always before it is done."""

    def __init__(self) -> None:
        self._steps = self._operations = self._selected = 0
        # Of all bodies of gates, each time that one is run.
        self._expanded = 0
        self._in_body = False

    def step(self, node: Any, times: int = 1) -> None:
        """Counts statements and turns of loops.

        Raises:
            SimulationError: UNSUPPORTED, with the node's line; as all of these.
        """
        self._steps += times
        if self._steps > MAX_OPERATIONS:
            self._refuse(node)

    def add(self, node: Any, number: int) -> None:
        """Counts gates, measurements and resets."""
        if self._in_body:
            self._expanded += number
            if self._expanded > MAX_EXPANDED:
                raise too_large_gates(at(node))
            return
        self._operations += number
        if self._operations > MAX_OPERATIONS:
            self._refuse(node)

    def select(self, node: Any, number: int) -> None:
        """Counts qubits or bits that are taken together."""
        self._selected += number
        if self._selected > MAX_SELECTED:
            raise unsupported(
                f"{at(node)}the program's slices and aliases take more than {MAX_SELECTED:,}"
                " qubits and bits"
            )

    @contextmanager
    def body(self) -> Iterator[None]:
        """While the body of a gate is run: what is in it counts again where it is applied."""
        outer, self._in_body = self._in_body, True
        try:
            yield
        finally:
            self._in_body = outer

    def _refuse(self, node: Any) -> None:
        raise unsupported(f"{at(node)}the program has more than {MAX_OPERATIONS:,} operations")
