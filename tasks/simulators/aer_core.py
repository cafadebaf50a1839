"""Aer's compiled core, fed from the neutral form, without Qiskit's layers in between.

Qiskit's circuit, its translation to Aer's own, a thread for the job and the
object of the result take a small circuit several times as long as Aer itself.
What is called here is what `qiskit_aer.AerSimulator.run` ends in, with the same
configuration, so that everything comes out the same. It is not Aer's public
interface: with a version of Aer that it was not written for, `find` has
nothing, and everything goes by `tasks.simulators.aer_qiskit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import pairwise
from typing import Any, Final, TypeVar

from tasks.circuit import Gate, Measure, Op, Reset
from tasks.simulators.aer_circuit import Forms, Setup, label_of, refused
from tasks.simulators.amplitudes import State
from tasks.simulators.matrices import matrix
from tasks.simulators.values import Pauli

_T = TypeVar("_T")

#: The versions of Aer that this was written for.
_VERSIONS: Final = "0.18."

#: Of an operation without a condition.
_ALWAYS: Final = (-1, None)


def find() -> CoreAer | None:
    """The core of the Aer that is installed; None if it is not one that is known here."""
    if not version("qiskit-aer").startswith(_VERSIONS):
        return None
    try:
        return CoreAer()
    except (ImportError, AttributeError):
        return None


class CoreAer:
    """Runs Aer's own circuits."""

    def __init__(self) -> None:
        from qiskit_aer import AerSimulator
        from qiskit_aer.backends import controller_wrappers
        from qiskit_aer.backends.backend_utils import LIBRARY_DIR

        self._core = controller_wrappers
        known = set(dir(controller_wrappers.AerConfig))
        defaults = AerSimulator._default_options().__dict__.items()
        self._config = {
            **{key: value for key, value in defaults if key in known and value is not None},
            "library_dir": LIBRARY_DIR,
        }

    @cached_property
    def _controller(self) -> Any:
        # Made at first use, which is in an engine, after the fork.
        return self._core.aer_controller_execute()

    def circuit(self, n_qubits: int, n_clbits: int, method: str) -> CoreCircuit:
        """An empty circuit."""
        return CoreCircuit(self._core.AerCircuit(), n_qubits, n_clbits, method)

    def run(self, circuit: CoreCircuit, setup: Setup) -> Mapping[str, Any]:
        """See `tasks.simulators.aer_circuit.Aer`."""
        (point,) = self._execute([circuit], self._configured(circuit, setup))
        return point.data

    def run_points(
        self,
        circuits: Sequence[CoreCircuit],
        setup: Setup,
        rows: Sequence[Sequence[float]],
        *,
        together: bool,
    ) -> list[Point]:
        """Runs a circuit with the values of its `Column`s, at many points.

        Args:
            circuits: The same ones, with at least one column: they share the
                points among them, and run at once as far as there are threads.
            setup: With the seed of the first point; Aer makes the others from it.
            rows: Of each point, the value of each column.
            together: Whether Aer keeps one circuit for all points, which is
                quicker and rules out the fusion of gates.
        """
        config = self._configured(circuits[0], setup)
        config.max_parallel_experiments = setup.threads
        config.runtime_parameter_bind_enable = together
        tables = [list(zip(*share, strict=True)) for share in _shares(rows, len(circuits))]
        config.parameterizations = [
            [(place, table[column]) for place, column in circuit.columns]
            for circuit, table in zip(circuits, tables, strict=True)
        ]
        return self._execute(circuits, config)

    def _configured(self, circuit: CoreCircuit, setup: Setup) -> Any:
        config = self._core.AerConfig()
        for name, value in self._config.items():
            setattr(config, name, value)
        config.n_qubits, config.memory_slots = circuit.n_qubits, circuit.n_clbits
        config.method = setup.method
        config.max_parallel_threads = setup.threads
        config.enable_truncation = setup.truncate
        config.shots = setup.shots
        config.seed_simulator = setup.seed
        config.memory = setup.memory
        return config

    def _execute(self, circuits: Sequence[CoreCircuit], config: Any) -> list[Point]:
        found = self._controller.execute([each.built for each in circuits], {}, config)
        if not found["success"]:
            raise refused(str(found["status"]))
        return [Point(each["data"], each["seed_simulator"]) for each in found["results"]]


def _shares(rows: Sequence[_T], number: int) -> Iterator[Sequence[_T]]:
    ends = [len(rows) * place // number for place in range(number + 1)]
    return (rows[begin:end] for begin, end in pairwise(ends))


@dataclass(frozen=True, slots=True)
class Point:
    """What came out of one of the circuits of a run."""

    data: Mapping[str, Any]
    seed: int


@dataclass(frozen=True, slots=True)
class Column:
    """A parameter of a gate that has another value at each point."""

    number: int


class CoreCircuit:
    """A circuit in the making, of Aer's own kind.

    Args:
        built: Aer's, empty.
        n_qubits: Qubits.
        n_clbits: Classical bits.
        method: Decides what form gates take.

    Attributes:
        columns: Where values go: number of the operation and of its parameter;
            and the number of the column.
    """

    def __init__(self, built: Any, n_qubits: int, n_clbits: int, method: str) -> None:
        self.built = built
        self.n_qubits, self.n_clbits = n_qubits, n_clbits
        built.num_qubits, built.num_memory = n_qubits, n_clbits
        self._forms = Forms(method)
        self._n_ops = 0
        self.columns: list[tuple[tuple[int, int], int]] = []

    def add(self, ops: Iterable[Op]) -> None:
        """Appends gates, measurements and resets."""
        built, as_matrix = self.built, self._forms.as_matrix
        for op in ops:
            if isinstance(op, Gate):
                for gate in self._forms.of(op):
                    if gate.name in as_matrix:
                        built.unitary(gate.qubits[::-1], matrix(gate), *_ALWAYS, "unitary")
                    else:
                        params = self._numbers(gate.params) if gate.params else ()
                        built.gate(gate.name, gate.qubits, params, (), *_ALWAYS, gate.name)
                    self._n_ops += 1
            elif isinstance(op, Measure):
                self.measure(op.qubit, op.clbit)
            elif isinstance(op, Reset):
                built.reset((op.qubit,), -1)
                self._n_ops += 1

    def _numbers(self, params: Sequence[Any]) -> Sequence[float]:
        columns = [(at, each) for at, each in enumerate(params) if isinstance(each, Column)]
        if not columns:
            return params
        self.columns += [((self._n_ops, at), each.number) for at, each in columns]
        return [0.0 if isinstance(each, Column) else each for each in params]

    def measure(self, qubit: int, clbit: int) -> None:
        """Appends a measurement."""
        self.built.measure((qubit,), (clbit,), ())
        self._n_ops += 1

    def start_from(self, state: State) -> None:
        """Has it begin in a state."""
        self.built.set_statevector(range(self.n_qubits), [state])
        self._n_ops += 1

    def save_state(self, label: str) -> None:
        """Saves the state vector."""
        self._save(range(self.n_qubits), "save_statevector", "single", label)

    def save_paulis(self, strings: Sequence[tuple[Pauli, float]], label: str) -> None:
        """Saves the expectation value of a sum of Pauli strings."""
        qubits, labels = label_of([string for string, _ in strings])
        factors = [coefficient for _, coefficient in strings]
        zeros = [0.0] * len(factors)
        self.built.save_expval(qubits, "save_expval", labels, factors, zeros, "average", label)
        self._n_ops += 1

    def save_probabilities(self, qubits: list[int], label: str, *, listed: bool) -> None:
        """Saves the probabilities of outcomes."""
        name = "save_probabilities_dict" if listed else "save_probabilities"
        self._save(qubits, name, "average", label)

    def _save(self, qubits: Sequence[int], name: str, subtype: str, label: str) -> None:
        self.built.save_state(qubits, name, subtype, label)
        self._n_ops += 1
