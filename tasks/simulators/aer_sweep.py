"""Many points of a sweep in one run of Aer.

Aer takes a circuit with parameters, and their values at many points, in one
call, which saves most of the work around a small circuit. Its seeds are its
own: that of point k is the first one's plus a step times k. The seeds of our
points are made to match (`tasks.points.SEED_STEP`), so that a point gives what
it would give alone; should they not, points run one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from time import monotonic
from typing import Any, Final, Protocol, TypeAlias

from tasks.binding import Sweep
from tasks.circuit import Circuit, Gate, Op
from tasks.points import at_point
from tasks.simulators import Request, Simulation, memory
from tasks.simulators.aer_methods import SMALL, STATEVECTOR, statevector_bytes
from tasks.simulators.results import wants_shots

#: What the states and outcomes of the points of one run may take, in bytes.
_TOGETHER_BYTES: Final = 2**26
#: Points of the first run, and of the largest one.
_FIRST_POINTS: Final = 8
_MOST_POINTS: Final = 512
#: Runs that take less than this grow; progress is told between runs. In seconds.
_RUN_S: Final = 0.2

#: Qiskit 2 does not say of these that they have parameters, so that Aer would
#: leave them at 0; of cu(theta, phi, lambda, gamma), which they all are, it does.
_AS_CU: Final[Mapping[str, Callable[[Any], tuple[Any, ...]]]] = {
    "crx": lambda angle: (angle, -math.pi / 2, math.pi / 2, 0.0),
    "cry": lambda angle: (angle, 0.0, 0.0, 0.0),
    "crz": lambda angle: (0.0, 0.0, angle, -angle / 2),
    "cp": lambda angle: (0.0, 0.0, angle, 0.0),
}


class Run(Protocol):
    """A static circuit and what is asked of it; `tasks.simulators.aer` has it."""

    seed: int | None
    """Aer's; None leaves it to Aer."""

    @property
    def in_one_run(self) -> bool:
        """Whether `built` gives everything that is asked for."""

    @property
    def truncates(self) -> bool:
        """Whether Aer may leave out qubits that nothing measured or saved depends on."""

    def simulation(self) -> Simulation:
        """What comes out when it is run alone."""

    def built(self) -> tuple[Any, int]:
        """Qiskit's circuit, and the shots to run it with."""

    def read(self, data: Any) -> Simulation:
        """What Aer's data come down to."""


MakeRun: TypeAlias = Callable[[Circuit, Request], Run]


def runs_together(circuit: Circuit, request: Request) -> bool:
    """Whether the points of a sweep can be run together.

    They can if they run as state vectors whatever the values are, and are so
    small that it pays.
    """
    wanted = request.options.get("method", "automatic")
    return (
        circuit.terminal is not None
        and circuit.n_qubits <= SMALL
        and wanted in ("automatic", STATEVECTOR)
        and memory.fits(statevector_bytes(circuit, request), request.memory_limit_bytes)
    )


def simulate_together(
    aer: Any, make_run: MakeRun, sweep: Sweep, request: Request
) -> Iterator[Simulation]:
    """The simulation of each point of a sweep for which `runs_together` holds.

    Args:
        aer: The module qiskit_aer.
        make_run: Makes a run of a circuit.
        sweep: The circuit and its points.
        request: What is asked of each point; with the seed of the sweep.
    """
    most = _TOGETHER_BYTES // max(1, statevector_bytes(sweep.circuit, request))
    most = min(_MOST_POINTS, max(1, most))
    size = min(_FIRST_POINTS, most)
    template = _Template(aer, make_run, sweep, request)
    rows = sweep.rows()
    done = 0
    while some := list(islice(rows, size)):
        began = monotonic()
        runs = [
            make_run(sweep.bound(row), at_point(request, done + place))
            for place, row in enumerate(some)
        ]
        yield from template.simulations(runs, some)
        done += len(some)
        if monotonic() - began < _RUN_S:
            size = min(2 * size, most)


class _Template:
    """The circuit of a sweep with Qiskit's parameters in place of its formulas."""

    def __init__(self, aer: Any, make_run: MakeRun, sweep: Sweep, request: Request) -> None:
        from qiskit.circuit import Parameter

        parameters = [Parameter(f"column{place}") for place in range(sweep.n_columns)]
        circuit = sweep.bound(parameters)
        circuit = circuit.bound(tuple(map(_bindable, circuit.ops)), circuit.global_phase)
        run = make_run(circuit, request)
        self._built, self._shots = run.built()
        self._memory = wants_shots(request)
        # A global phase may not be part of it.
        self._columns = {
            parameter: place
            for place, parameter in enumerate(parameters)
            if parameter in self._built.parameters and run.in_one_run
        }
        self._backend = aer.AerSimulator(
            method=STATEVECTOR,
            max_parallel_threads=request.threads,
            max_parallel_experiments=request.threads,
            enable_truncation=run.truncates,
        )

    def simulations(
        self, runs: Sequence[Run], rows: Sequence[Sequence[float]]
    ) -> Iterator[Simulation]:
        """Runs some points together, or one by one if that does not go well."""
        # Without a parameter in it, Aer cannot tell how many points there are.
        if len(runs) > 1 and self._columns:
            binds = {
                parameter: [row[place] for row in rows]
                for parameter, place in self._columns.items()
            }
            result = self._backend.run(
                self._built,
                shots=self._shots,
                memory=self._memory,
                seed_simulator=runs[0].seed,
                parameter_binds=[binds],
            ).result()
            if result.success and _is_seeded(result.results, runs):
                for place, run in enumerate(runs):
                    yield run.read(result.data(place))
                return
        for run in runs:
            yield run.simulation()


def _bindable(op: Op) -> Op:
    if not isinstance(op, Gate) or op.name not in _AS_CU:
        return op
    if isinstance(op.params[0], float):
        return op
    return Gate("cu", op.qubits, _AS_CU[op.name](op.params[0]))


def _is_seeded(results: Sequence[Any], runs: Sequence[Run]) -> bool:
    """Whether all points were run, each with the seed that it would have alone."""
    return len(results) == len(runs) and all(
        run.seed in (None, getattr(each, "seed_simulator", None))
        for each, run in zip(results, runs, strict=True)
    )
