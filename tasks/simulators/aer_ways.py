"""Which of the ways to call Aer a circuit goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tasks.circuit import Branch, Circuit
from tasks.simulators import aer_core
from tasks.simulators.aer_circuit import Aer
from tasks.simulators.aer_qiskit import QiskitAer


@dataclass(frozen=True, kw_only=True)
class Ways:
    """How Aer is called."""

    public: Aer
    """Takes every circuit that `is_native` passes."""
    core: aer_core.CoreAer | None
    """Takes those without branches, and is quicker; None if this Aer has none that is known."""

    @classmethod
    def found(cls) -> Self:
        """Those of the Aer that is installed."""
        import qiskit.quantum_info
        import qiskit_aer

        return cls(public=QiskitAer(qiskit, qiskit_aer), core=aer_core.find())

    def way(self, circuit: Circuit) -> Aer:
        """The quickest for a circuit."""
        branches = circuit.terminal is None and any(isinstance(op, Branch) for op in circuit.ops)
        return self.public if branches or self.core is None else self.core
