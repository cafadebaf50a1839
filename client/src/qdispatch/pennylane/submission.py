"""Many orders in one submission; those that differ only in angles are one job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qdispatch.circuits.template import Dissected, dissect, merge
from qdispatch.errors import JobEndedError, QDispatchError, RequestError, WaitTimeoutError
from qdispatch.job import Job
from qdispatch.model import JobSpec, ProgramFormat
from qdispatch.pennylane.plans import Order

if TYPE_CHECKING:
    from qdispatch.batch import Batch
    from qdispatch.client import Client
    from qdispatch.result import JobResult, PointResult

_MAX_POINTS: Final = 1000
_MAX_BYTES: Final = 64 * 2**20
"""Of one job; the service has limits of its own."""

_MAX_JOBS: Final = 1000
_MAX_PROGRAMS: Final = 16 * 2**20
"""Of one call, the latter in characters."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    spec: JobSpec
    places: Sequence[Sequence[int]]
    """Of each point, the orders that it answers."""


class Submission:
    """What tapes of one execution go out with.

    Args:
        client: To the service.
        generator: Where the seeds of sampled jobs come from; None for the
            service's own.
        timeout_s: How long to wait, in seconds.
        options: Fields of all job specs.
    """

    def __init__(
        self,
        client: Client,
        generator: np.random.Generator | None,
        *,
        timeout_s: float | None,
        options: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._generator = generator
        self._timeout_s = timeout_s
        self._options = options

    def run(self, orders: Sequence[Order]) -> list[PointResult]:
        """Sends orders and waits for their results, in the order of the orders."""
        jobs = list(self._jobs(orders))
        answers: dict[int, PointResult] = {}
        for job, result in zip(jobs, self._results([each.spec for each in jobs]), strict=True):
            for places, point in zip(job.places, result, strict=True):
                answers.update(dict.fromkeys(places, point))
        return [answers[place] for place in range(len(orders))]

    def _results(self, specs: Sequence[JobSpec]) -> list[JobResult]:
        submitted: list[Job | Batch] = []
        try:
            return self._taken(specs, submitted)
        except (JobEndedError, RequestError, WaitTimeoutError, KeyboardInterrupt):
            # Nobody is left to take the other results; what is told is what went wrong first.
            with suppress(QDispatchError):
                for each in submitted:
                    each.cancel()
            raise

    def _taken(self, specs: Sequence[JobSpec], submitted: list[Job | Batch]) -> list[JobResult]:
        """Submits, which is added to a list, and waits."""
        if len(specs) == 1:
            job = Job(self._client, self._client.create_job(specs[0]))
            submitted.append(job)
            return [job.result(self._timeout_s)]
        batches: list[Batch] = []
        for each in _calls(specs):
            batches.append(self._client.submit_batch(each))
            submitted.append(batches[-1])
        return [each for batch in batches for each in batch.results(self._timeout_s)]

    def _jobs(self, orders: Sequence[Order]) -> Iterator[_Job]:
        groups: dict[tuple[Any, ...], list[tuple[int, Dissected]]] = {}
        for place, order in enumerate(orders):
            program = dissect(order.form.program)
            key = (program.frame, order.result_types, order.shots, order.observables)
            groups.setdefault(key, []).append((place, program))
        for group in groups.values():
            order = orders[group[0][0]]
            # Exact results of one program are the same for all that ask.
            points: dict[Any, tuple[Dissected, list[int]]] = {}
            for place, program in group:
                which = place if order.shots else program.angles
                points.setdefault(which, (program, []))[1].append(place)
            size = max(1, min(_MAX_POINTS, _MAX_BYTES // max(1, order.n_bytes)))
            parts = list(points.values())
            for start in range(0, len(parts), size):
                yield from self._merged(orders, parts[start : start + size])

    def _merged(
        self, orders: Sequence[Order], points: Sequence[tuple[Dissected, list[int]]]
    ) -> Iterator[_Job]:
        """One sweep; or jobs on their own, if there is nothing to sweep over."""
        places = [each for _, each in points]
        order = orders[places[0][0]]
        template = merge([program for program, _ in points])
        if template.parameters:
            spec = self._spec(
                order,
                program=template.program,
                program_format=ProgramFormat.OPENQASM3,
                parameters=template.parameters,
                parameter_values=template.values,
            )
            yield _Job(spec=spec, places=places)
            return
        for each in places:
            yield _Job(spec=self._spec(order, program=order.form.program), places=[each])

    def _spec(self, order: Order, **fields: Any) -> JobSpec:
        seed = None
        if order.shots and self._generator is not None:
            seed = int(self._generator.integers(2**63 - 1))
        form = order.form
        return JobSpec(
            **{"program_format": form.program_format, **self._options, **fields},
            framework=form.framework,
            n_qubits=form.n_qubits,
            depth=form.depth,
            submission_date=datetime.now(UTC),
            result_types=order.result_types,
            shots=order.shots,
            seed=seed,
            observables=order.observables,
        )


def _calls(specs: Sequence[JobSpec]) -> Iterator[list[JobSpec]]:
    """The jobs in portions that one call takes."""
    portion: list[JobSpec] = []
    size = 0
    for spec in specs:
        if portion and (len(portion) == _MAX_JOBS or size + len(spec.program) > _MAX_PROGRAMS):
            yield portion
            portion, size = [], 0
        portion.append(spec)
        size += len(spec.program)
    if portion:
        yield portion
