"""Many points of a sweep in one run of Aer.

Aer takes a circuit with parameters, and their values at many points, in one
call, which saves most of the work around a small circuit. Its seeds are its
own: that of point k is the first one's plus a step times k. The seeds of our
points are made to match (`tasks.points.SEED_STEP`), so that a point gives what
it would give alone; should they not, points run one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from time import monotonic
from typing import Any, Final, Protocol, TypeAlias

from app.options import AUTOMATIC, STATEVECTOR
from tasks.binding import Sweep
from tasks.circuit import Circuit
from tasks.points import at_point, point_seed
from tasks.simulators import Request, Simulation, SimulationError, memory
from tasks.simulators.aer_circuit import Setup
from tasks.simulators.aer_core import Column, CoreAer, Point
from tasks.simulators.aer_methods import statevector_bytes
from tasks.simulators.methods import SMALL

#: What the states and outcomes of the points of one run may take, in bytes.
_TOGETHER_BYTES: Final = 2**26
#: Points of the first run, and of the largest one.
_FIRST_POINTS: Final = 16
_MOST_POINTS: Final = 512
#: Fewer points are not worth a thread of their own.
_LEAST_POINTS: Final = 8
#: Runs that take less than this grow until they take as long, since the circuit is built
#: anew for each; progress is told between runs. In seconds.
_RUN_S: Final = 0.2
#: By how much at the most: the time of a short one says little.
_MOST_GROWTH: Final = 32
# Of the clock.
_TICK_S: Final = 1e-6
#: From this many qubits on Aer fuses the gates of a circuit that is run alone.
#: Points that share one circuit go without, and would differ in the last digits.
FUSED_QUBITS: Final = 14


class Run(Protocol):
    """A static circuit and what is asked of it; `tasks.simulators.aer` has it."""

    @property
    def in_one_run(self) -> bool:
        """Whether `built` gives everything that is asked for."""

    def simulation(self) -> Simulation:
        """What comes out when it is run alone."""

    def built(self, seed: int | None) -> tuple[Any, Setup]:
        """The core's circuit, and how to run it with a seed."""

    def read(self, data: Any, seed: int | None, phase: Any) -> Simulation:
        """What Aer's data at a point come down to, with its seed and global phase."""


MakeRun: TypeAlias = Callable[[Circuit, Request], Run]


def runs_together(circuit: Circuit, request: Request) -> bool:
    """Whether the points of a sweep can be run together.

    They can if they run as state vectors whatever the values are, and are so
    small that it pays.
    """
    wanted = request.options.get("method", AUTOMATIC)
    return (
        circuit.terminal is not None
        and circuit.n_qubits <= SMALL
        and wanted in (AUTOMATIC, STATEVECTOR)
        and memory.fits(statevector_bytes(circuit, request), request.memory_limit_bytes)
    )


def simulate_together(
    core: CoreAer, make_run: MakeRun, sweep: Sweep, request: Request
) -> Iterator[Simulation]:
    """The simulation of each point of a sweep for which `runs_together` holds.

    Args:
        core: Aer's.
        make_run: Makes a run of a circuit, on that core.
        sweep: The circuit and its points.
        request: What is asked of each point; with the seed of the sweep.
    """
    most = _TOGETHER_BYTES // max(1, statevector_bytes(sweep.circuit, request))
    most = min(_MOST_POINTS, max(1, most))
    size = min(_FIRST_POINTS, most)
    points = _Points(core, make_run, sweep, request)
    rows = sweep.rows()
    done = 0
    while some := list(islice(rows, size)):
        began = monotonic()
        yield from points.simulations(some, done)
        done += len(some)
        growth = min(_RUN_S / max(monotonic() - began, _TICK_S), _MOST_GROWTH)
        size = min(int(size * max(growth, 1.0)), most)


class _Points:
    """The points of a sweep, by the circuit with columns in place of its formulas."""

    def __init__(self, core: CoreAer, make_run: MakeRun, sweep: Sweep, request: Request) -> None:
        self._core, self._make_run, self._sweep, self._request = core, make_run, sweep, request
        self._run = make_run(sweep.bound([Column(k) for k in range(sweep.n_columns)]), request)
        self._in_one_run = self._run.in_one_run

    def simulations(self, rows: Sequence[Sequence[float]], first: int) -> Iterator[Simulation]:
        """Runs some points together, or one by one if that does not go well.

        Args:
            rows: Their values.
            first: Index of the first.
        """
        seeds = [point_seed(self._request.seed, first + place) for place in range(len(rows))]
        found = self._together(rows, seeds[0]) if len(rows) > 1 and self._in_one_run else []
        if _are_seeded(found, seeds):
            for row, seed, each in zip(rows, seeds, found, strict=True):
                yield self._run.read(each.data, seed, self._sweep.phase(row))
            return
        for place, row in enumerate(rows):
            request = at_point(self._request, first + place)
            yield self._make_run(self._sweep.bound(row), request).simulation()

    def _together(self, rows: Sequence[Sequence[float]], seed: int | None) -> list[Point]:
        threads = self._request.threads
        together = self._sweep.circuit.n_qubits < FUSED_QUBITS
        shares = max(1, min(threads, len(rows) // _LEAST_POINTS)) if together else 1
        # Built anew each time: Aer changes what it runs.
        built = [self._run.built(seed) for _ in range(shares)]
        circuits = [circuit for circuit, _ in built]
        # Without a column in it, Aer cannot tell how many points there are.
        if not circuits[0].columns:
            return []
        setup = replace(built[0][1], threads=threads if shares > 1 or not together else 1)
        try:
            return self._core.run_points(circuits, setup, rows, together=together)
        except SimulationError:
            # What is wrong with a point is found, and told, when it runs alone.
            return []


def _are_seeded(found: Sequence[Point], seeds: Sequence[int | None]) -> bool:
    """Whether all points were run, each with the seed that it would have alone."""
    return len(found) == len(seeds) and all(
        seed in (None, each.seed) for each, seed in zip(found, seeds, strict=True)
    )
