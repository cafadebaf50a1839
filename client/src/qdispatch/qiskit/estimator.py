"""Qiskit's estimator, on qdispatch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qiskit.primitives import BaseEstimatorV2
from qiskit.primitives.containers import PrimitiveResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub

from qdispatch.model import JobSpec
from qdispatch.qiskit import seeds
from qdispatch.qiskit.connection import connect
from qdispatch.qiskit.options import EstimatorOptions
from qdispatch.qiskit.plan import Plan
from qdispatch.qiskit.primitive_job import PrimitiveJob
from qdispatch.result import JobResult


class EstimatorV2(BaseEstimatorV2):  # type: ignore[misc]
    """Estimates expectation values: a pub is one sweep or a few, a call one batch.

    Args:
        mode: A `Backend`, a `Provider`, a `Client` or the address of a server.
            If not given: QDISPATCH_ADDRESS, and a target that the server picks.
        backend: The same as ``mode``, under another name.
        target: Name of a target, if not the backend's.
        options: An `EstimatorOptions`, or a mapping of such options.
        default_precision: As the option; 0, which is exact, if not given.
        seed: As the option.

    Attributes:
        options: May be changed between calls.
        target: Name of the target; empty for whichever the server picks.
    """

    def __init__(
        self,
        mode: Any = None,
        *,
        backend: Any = None,
        target: str = "",
        options: EstimatorOptions | Mapping[str, Any] | None = None,
        default_precision: float | None = None,
        seed: Any = None,
    ) -> None:
        self._client, self.target = connect(mode if backend is None else backend, target)
        self.options = EstimatorOptions.of(options)
        if default_precision is not None:
            self.options.default_precision = default_precision
        if seed is not None:
            self.options.seed = seed

    def run(self, pubs: Iterable[Any], *, precision: float | None = None) -> PrimitiveJob:
        """Submits pubs.

        Args:
            pubs: Each (circuit, observables, parameter values, precision),
                with observables and values of shapes that broadcast.
            precision: Standard error to aim at, where the pub does not say: of
                an observable that is one Pauli string, 1 / sqrt(shots) at the
                most. 0 is exact.

        Returns:
            A job whose result has, for each pub, ``evs`` and their standard
            errors ``stds`` as arrays of the broadcast shape.

        Raises:
            CircuitError: A circuit cannot be carried.
            RequestError: The server refuses a pub; nothing runs.
            ValueError: Circuit, values and observables do not fit.
        """
        default = self.options.precision() if precision is None else precision
        seed = seeds.of_run(self.options.seed_of_run())
        options = {**self.options.submission(), "target": self.target}
        specs: list[JobSpec] = []
        plans: list[Plan] = []
        n_before = 0
        for index, like in enumerate(pubs):
            plan = Plan(EstimatorPub.coerce(like, default), f"pub {index}")
            plans.append(plan)
            for spec in plan.specs(self._client, options):
                specs.append(replace(spec, seed=seeds.nth(seed, n_before)))
                n_before += max(1, len(spec.parameter_values))
        batch = self._client.submit_batch(specs) if specs else None
        return PrimitiveJob(batch, lambda results: _collect(plans, results))


def _collect(plans: Sequence[Plan], results: Sequence[JobResult]) -> Any:
    rest = iter(results)
    return PrimitiveResult([plan.result(rest) for plan in plans], metadata={"version": 2})
