"""Aer by its public way: Qiskit's circuits, and a backend that runs them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from tasks.circuit import GATES, Branch, Gate, Measure, Op, Reset
from tasks.simulators.aer_circuit import Forms, Setup, equalities, label_of, refused
from tasks.simulators.amplitudes import State
from tasks.simulators.matrices import matrix
from tasks.simulators.values import Pauli


class QiskitAer:
    """Runs Qiskit's circuits.

    Args:
        qiskit: The module.
        aer: The module qiskit_aer.
    """

    def __init__(self, qiskit: Any, aer: Any) -> None:
        self._qiskit = qiskit
        # One for each way to run: making one takes as long as parsing a small program.
        self._backend = cache(aer.AerSimulator)

    def circuit(self, n_qubits: int, n_clbits: int, method: str) -> QiskitCircuit:
        """An empty circuit."""
        return QiskitCircuit(self._qiskit, n_qubits, n_clbits, method)

    def run(self, circuit: QiskitCircuit, setup: Setup) -> Mapping[str, Any]:
        """See `tasks.simulators.aer_circuit.Aer`."""
        backend = self._backend(
            method=setup.method,
            max_parallel_threads=setup.threads,
            enable_truncation=setup.truncate,
        )
        result = backend.run(
            circuit.built, shots=setup.shots, seed_simulator=setup.seed, memory=setup.memory
        ).result()
        if not result.success:
            raise refused(str(result.status))
        data: Mapping[str, Any] = result.data(0)
        return data


class QiskitCircuit:
    """A Qiskit circuit in the making, for one method."""

    def __init__(self, qiskit: Any, n_qubits: int, n_clbits: int, method: str) -> None:
        self._qiskit = qiskit
        self.built = qiskit.QuantumCircuit(n_qubits, n_clbits)
        self._forms = Forms(method)
        self._add = {
            name: getattr(qiskit.QuantumCircuit, name)
            for name in GATES
            if name not in self._forms.as_matrix
        }

    def add(self, ops: Iterable[Op]) -> None:
        """Appends operations that `is_native` has passed."""
        built, known = self.built, self._add
        for op in ops:
            if isinstance(op, Gate):
                for gate in self._forms.of(op):
                    if gate.name in known:
                        known[gate.name](built, *gate.params, *gate.qubits)
                    else:
                        built.unitary(matrix(gate), gate.qubits[::-1])
            elif isinstance(op, Measure):
                built.measure(op.qubit, op.clbit)
            elif isinstance(op, Reset):
                built.reset(op.qubit)
            elif isinstance(op, Branch):
                self._branch(equalities(op.condition) or [], op.then)

    def _branch(self, conditions: list[tuple[int, int]], then: tuple[Op, ...]) -> None:
        if not conditions:
            self.add(then)
            return
        clbit, value = conditions[0]
        with self.built.if_test((self.built.clbits[clbit], value)):
            self._branch(conditions[1:], then)

    def measure(self, qubit: int, clbit: int) -> None:
        """Appends a measurement."""
        self.built.measure(qubit, clbit)

    def start_from(self, state: State) -> None:
        """Has it begin in a state."""
        self.built.set_statevector(state)

    def save_state(self, label: str) -> None:
        """Saves the state vector."""
        self.built.save_statevector(label=label)

    def save_paulis(self, strings: Sequence[tuple[Pauli, float]], label: str) -> None:
        """Saves the expectation value of a sum of Pauli strings."""
        qubits, labels = label_of([string for string, _ in strings])
        pairs = zip(labels, (coefficient for _, coefficient in strings), strict=True)
        operator = self._qiskit.quantum_info.SparsePauliOp.from_list(list(pairs))
        self.built.save_expectation_value(operator, qubits, label=label)

    def save_probabilities(self, qubits: list[int], label: str, *, listed: bool) -> None:
        """Saves the probabilities of outcomes."""
        save = self.built.save_probabilities_dict if listed else self.built.save_probabilities
        save(qubits, label=label)
