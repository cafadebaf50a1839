"""The parameter values of a pub as the points of sweeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from qdispatch.model import JobSpec
from qdispatch.qiskit import seeds

#: The most points of one sweep that a server takes, unless it is set otherwise.
MAX_POINTS: Final = 10_000


def by_parameter(pub: Any) -> dict[Any, list[float]] | None:
    """Each parameter of a pub's circuit with its values, point by point.

    None if the circuit has none. Points are in the order of
    ``numpy.ndindex(pub.parameter_values.shape)``.
    """
    parameters = list(pub.circuit.parameters)
    if not parameters:
        return None
    columns = pub.parameter_values.as_array(parameters).reshape(-1, len(parameters)).T
    return dict(zip(parameters, columns.tolist(), strict=True))


def split(spec: JobSpec, n_points: int) -> list[JobSpec]:
    """One sweep as several, which together have the same seeds.

    Args:
        spec: The sweep.
        n_points: The most that one of them may have; 1 if it is less.
    """
    size = min(MAX_POINTS, max(1, n_points))
    return [
        replace(
            spec,
            parameter_values=spec.parameter_values[start : start + size],
            seed=seeds.nth(spec.seed, start),
        )
        for start in range(0, len(spec.parameter_values), size)
    ]
