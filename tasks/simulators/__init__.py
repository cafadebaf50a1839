"""What a simulator is: the seam that every target's SDK is put behind.

A simulator is a class named by an entry point of the group
"qdispatch.simulators". Importing its module is cheap; making an instance
imports the SDK. It is made once a worker, in a process that never simulates
but is forked for every engine, so making it must start no threads and run no
circuit. The class may have ``postponed``: names of packages that its SDK imports
and no simulation uses, which engines then do without; see `tasks.postponed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol

from qdispatch.errors import QDispatchError
from qdispatch.model import ErrorKind, PauliSum, Result, ResultType
from tasks.circuit import Circuit
from tasks.postponed import postpone

if TYPE_CHECKING:
    from tasks.binding import Sweep

GROUP = "qdispatch.simulators"


class SimulationError(QDispatchError):
    """A job cannot be run, and would fail again if it were tried again.

    Attributes:
        kind: What the job's error will be called.
    """

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of one simulation; one simulation serves it all."""

    result_types: tuple[ResultType, ...]
    """One or more, without repetition."""
    shots: int
    """Samples to take; 0 means exact."""
    seed: int | None
    """From 0 to 2**63 - 1, or None."""
    observables: tuple[PauliSum, ...] = ()
    """For expval and variance, each on at most the circuit's qubits."""
    options: Mapping[str, object] = field(default_factory=dict)
    """The job's extra: a JSON object. Unknown keys are left alone."""
    threads: int = 1
    """OpenMP threads that the simulation may use."""
    memory_limit_bytes: int | None = None
    """What the simulation may allocate, or None for all that the machine has."""
    max_result_bytes: int | None = None
    """What the results may take, or None for no limit."""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What came out."""

    results: tuple[Result, ...]
    """One per result type, in the order asked for."""
    method: str
    """How it was simulated, such as "statevector"."""
    method_reason: str = ""
    """Why so, in a few words for a person, such as "every gate is a Clifford gate"."""


class Simulator(Protocol):
    """One SDK."""

    @property
    def version(self) -> str:
        """Name and version, such as "qiskit-aer 0.18.2"."""

    def simulate(self, circuit: Circuit, request: Request) -> Simulation:
        """Runs a circuit once.

        Raises:
            SimulationError: This simulator cannot run it; UNSUPPORTED names
                the construct, OUT_OF_MEMORY names need and limit before
                anything is allocated.
        """


class SweepSimulator(Simulator, Protocol):
    """One that has a better way with sweeps than to run them point by point."""

    def simulate_sweep(self, sweep: Sweep, request: Request) -> Iterator[Simulation]:
        """Runs a circuit at many points.

        Each point gives what `simulate` gives for its circuit and
        `tasks.points.at_point` of the request.

        Yields:
            A simulation for each point, in their order.

        Raises:
            SimulationError: As of `simulate`, in place of the point that it is about.
        """


def load(name: str, *, postponing: bool = False) -> Simulator:
    """Makes the simulator of that name, which imports its SDK.

    Args:
        name: Its entry point's.
        postponing: Whether this process postpones the packages that the class
            names as ``postponed``; for a process that only simulates.

    Raises:
        LookupError: No installed package offers one.
    """
    found = entry_points(group=GROUP)
    for entry in found:
        if entry.name == name:
            make = entry.load()
            if postponing:
                postpone(getattr(make, "postponed", ()))
            simulator: Simulator = make()
            return simulator
    known = ", ".join(sorted(entry.name for entry in found))
    raise LookupError(f"no simulator is called {name!r}; installed are: {known}")
