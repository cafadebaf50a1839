"""From circuits at their points to results at their points."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import uuid4

from qdispatch.batch import Batch
from qdispatch.cirq.points import Points
from qdispatch.client import Client
from qdispatch.errors import QDispatchError
from qdispatch.job import Job
from qdispatch.model import JobSpec, ResultType
from qdispatch.observables import to_pauli_sum
from qdispatch.result import JobResult, PointResult


class Submitter:
    """Submits jobs that have some options in common.

    Args:
        client: The connection.
        target: As in a `JobSpec`, like all that follow.
        seed: Of the sequence of seeds that the jobs get.
        extra: JSON text.
        time_limit_s: In seconds.
        tags: Free words.
        cache: Whether results of equal jobs will do.
        priority: Among one's own jobs.
    """

    def __init__(
        self,
        client: Client,
        *,
        target: str,
        seed: int | None,
        extra: str,
        time_limit_s: float | None,
        tags: tuple[str, ...],
        cache: bool,
        priority: int,
    ) -> None:
        self._client = client
        self._target = target
        self._seeds = None if seed is None else Random(seed)  # noqa: S311
        self._extra = extra
        self._time_limit_s = time_limit_s
        self._tags = tags
        self._cache = cache
        self._priority = priority

    def specs(
        self, points: Points, kind: ResultType, shots: int, observables: Sequence[Any] = ()
    ) -> Iterator[JobSpec]:
        """A job for each form of a circuit."""
        for form in points.forms:
            yield JobSpec(
                program=form.program,
                program_format=form.program_format,
                framework=form.framework,
                n_qubits=form.n_qubits,
                depth=form.depth,
                target=self._target,
                submission_date=datetime.now(UTC),
                result_types=(kind,),
                shots=int(shots),
                seed=None if self._seeds is None else self._seeds.getrandbits(63),
                observables=tuple(
                    to_pauli_sum(each, form, index=index) for index, each in enumerate(observables)
                ),
                extra=self._extra,
                time_limit_s=self._time_limit_s,
                tags=self._tags,
                cache=self._cache,
                priority=self._priority,
                parameters=form.parameters,
                parameter_values=points.values,
            )

    def run(self, specs: Sequence[JobSpec]) -> Iterator[PointResult]:
        """The results of all points of all jobs, in order: of one job, or of one batch."""
        if not specs:
            return iter(())
        request_id = uuid4().hex
        try:
            results = _results(self._submit(specs, request_id))
        except KeyboardInterrupt:
            # Nobody else knows of the jobs. Submitted again, they are the same; if a
            # quota had no room for them, there is nothing to cancel.
            with suppress(QDispatchError):
                self._submit(specs, request_id, quota_wait_s=0).cancel()
            raise
        return itertools.chain.from_iterable(results)

    def _submit(
        self, specs: Sequence[JobSpec], request_id: str, quota_wait_s: float | None = None
    ) -> Job | Batch:
        options: dict[str, Any] = {"request_id": request_id, "quota_wait_s": quota_wait_s}
        if len(specs) == 1:
            return Job(self._client, self._client.create_job(specs[0], **options))
        return self._client.submit_batch(specs, **options)


def _results(submitted: Job | Batch) -> list[JobResult]:
    return [submitted.result()] if isinstance(submitted, Job) else submitted.results()
