"""Aer called directly with all bindings of a sweep in one run; asked by `benchmarks.sweep`."""

from __future__ import annotations

from time import perf_counter
from typing import Any, Final

from benchmarks.process import serve
from benchmarks.variational import N_QUBITS, angles, ansatz

#: Options that are tried; the fastest is the baseline.
WAYS: Final[dict[str, dict[str, Any]]] = {
    "each bound before": {},
    "bound by Aer": {"runtime_parameter_bind_enable": True},
}


class DirectSweep:
    """The simulator, and the circuit with what is to be saved of it.

    Args:
        threads: That it may use.
    """

    def __init__(self, threads: int) -> None:
        from qiskit.quantum_info import SparsePauliOp
        from qiskit_aer import AerSimulator

        known = ansatz()
        self._circuit = known.circuit.copy()
        energy = SparsePauliOp.from_list(list(known.labels))
        self._circuit.save_expectation_value(energy, list(range(N_QUBITS)))
        self._parameters = known.parameters
        self._simulators = {
            name: AerSimulator(method="statevector", max_parallel_threads=threads, **options)
            for name, options in WAYS.items()
        }

    def values(self, way: str, points: int) -> list[float]:
        """The energy at each point."""
        table = angles(points)
        binds = {
            parameter: table[:, place].tolist() for place, parameter in enumerate(self._parameters)
        }
        done = self._simulators[way].run(self._circuit, parameter_binds=[binds]).result()
        if not done.success:
            raise RuntimeError(f"Aer: {done.status}")
        return [float(done.data(index)["expectation_value"]) for index in range(points)]


def main() -> int:
    """Answers `threads=N` once, and then `way=..., points=N`, with seconds and a sum to check."""
    made: list[DirectSweep] = []

    def answer(*, threads: int = 0, way: str = "", points: int = 0) -> Any:
        if threads:
            made[:] = [DirectSweep(threads)]
            return list(WAYS)
        started = perf_counter()
        values = made[0].values(way, points)
        return perf_counter() - started, sum(values)

    serve(answer)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
