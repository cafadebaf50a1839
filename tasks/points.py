"""The points of a job: one, or those of its sweep, simulated one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from qdispatch.model import JobSpec
from tasks.binding import Sweep
from tasks.circuit import Circuit
from tasks.lowering import invalid
from tasks.simulators import Request, Simulation, Simulator

#: From the seed of a point to that of the next; Aer's own step between the
#: circuits of one run, which lets it run many points at once, and makes them
#: what Aer by itself gives for them.
SEED_STEP: Final = 2113


def simulate_points(
    simulator: Simulator, circuit: Circuit, spec: JobSpec, request: Request
) -> Iterator[Simulation]:
    """Simulates a job, point by point, as the points are asked for.

    Args:
        simulator: The target's.
        circuit: The job's program.
        spec: What decides whether it is a sweep, and over what.
        request: What is asked of each point; with the job's seed.

    Returns:
        A simulation for each point, in their order; the only one of a job without a sweep.

    Raises:
        SimulationError: The values are not those of the program's inputs, or
            one cannot be used; while the points are asked for: the next one
            cannot be simulated.
    """
    check_inputs(circuit.parameters, spec.parameters)
    if not spec.parameters:
        return (simulator.simulate(each, request) for each in (circuit,))
    sweep = Sweep(circuit, spec.parameters, spec.parameter_values)
    many = getattr(simulator, "simulate_sweep", None)
    return one_by_one(simulator, sweep, request) if many is None else many(sweep, request)


def one_by_one(simulator: Simulator, sweep: Sweep, request: Request) -> Iterator[Simulation]:
    """The points of a sweep on a simulator that knows no better way."""
    for point, circuit in enumerate(sweep):
        yield simulator.simulate(circuit, at_point(request, point))


def at_point(request: Request, point: int) -> Request:
    """What is asked of one point of a sweep."""
    return replace(request, seed=point_seed(request.seed, point))


def point_seed(seed: int | None, point: int) -> int | None:
    """The seed of a point of a sweep: a job of that point alone gives the same result with it.

    Args:
        seed: The sweep's, from 0 to 2**63 - 1, or None.
        point: Index of the point.
    """
    return None if seed is None else (seed + SEED_STEP * point) % 2**63


def check_inputs(declared: Sequence[str], given: Sequence[str]) -> None:
    """Refuses a job whose values are not those of its program's inputs.

    Raises:
        SimulationError: PROGRAM_INVALID, with the names.
    """
    missing = [name for name in declared if name not in given]
    unknown = [name for name in given if name not in declared]
    if missing and not given:
        raise invalid(f"the program has inputs ({', '.join(missing)}): give their values")
    if missing:
        raise invalid(f"the program has inputs that have no values: {', '.join(missing)}")
    if unknown:
        raise invalid(f"the program has no inputs of these names: {', '.join(unknown)}")
