"""How results are read, of one point and of many."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from qdispatch.arrays import Memory, Probabilities, Statevector
from qdispatch.errors import QDispatchError
from qdispatch.model import JobInfo, JobStatus, Result
from qdispatch.model import ResultType as Type
from qdispatch.result import JobResult, PointResult
from tests.specs import bell

EACH = (
    Result(type=Type.COUNTS, n_bits=2, counts={"00": 1, "11": 2}),
    Result(type=Type.QUASI, n_bits=2, quasi={"00": 0.5, "11": 0.5}),
    Result(type=Type.EXPVAL, expval=(1.0, -0.5), standard_errors=(0.0, 0.1)),
    Result(type=Type.VARIANCE, variance=(0.0, 0.75)),
    Result(type=Type.MEMORY, n_bits=2, memory=Memory.of(["11", "00", "11"], 2)),
    Result(type=Type.STATEVECTOR, statevector=Statevector.of([1, 0, 0, 0])),
    Result(type=Type.PROBABILITIES, probabilities=Probabilities.of([1, 0, 0, 0])),
)
VALUES: dict[str, Any] = {
    "counts": {"00": 1, "11": 2},
    "quasi": {"00": 0.5, "11": 0.5},
    "expval": (1.0, -0.5),
    "standard_errors": (0.0, 0.1),
    "variance": (0.0, 0.75),
    "memory": ["11", "00", "11"],
    "statevector": [1, 0, 0, 0],
    "probabilities": [1.0, 0.0, 0.0, 0.0],
}


def job_result(*results: Result, **changes: Any) -> JobResult:
    info = JobInfo(
        id="018f0000-0000-7000-8000-000000000000",
        owner="anonymous",
        request_id="r",
        status=JobStatus.FINISHED,
        spec=bell(program="", **changes),
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        results=results,
    )
    return JobResult(info=info)


def sweep() -> JobResult:
    results = [
        Result(type=Type.EXPVAL, expval=(point / 2,), standard_errors=(0.0,), point=point)
        for point in (1, 0, 2)
    ]
    values = ((0.0, 5.0), (0.25, 6.0), (0.5, 7.0))
    return job_result(
        *results, result_types=(Type.EXPVAL,), parameters=("a", "b"), parameter_values=values
    )


def test_a_job_without_a_sweep_is_read_as_its_only_point() -> None:
    result = job_result(*EACH)
    assert len(result) == 1
    assert isinstance(result[0], PointResult)
    assert {name: getattr(result, name) for name in VALUES} == VALUES
    assert {name: getattr(result[0], name) for name in VALUES} == VALUES
    assert (result.parameters, result[0].parameters) == ({}, {})


def test_a_sweep_is_a_sequence_of_points() -> None:
    result = sweep()
    assert [point.index for point in result] == [0, 1, 2]
    assert [point.expval for point in result] == [(0.0,), (0.5,), (1.0,)]
    assert [point.expval for point in result[1:]] == [(0.5,), (1.0,)]
    assert result[-1].parameters == {"a": 0.5, "b": 7.0}
    assert result.parameters == {"a": (0.0, 0.25, 0.5), "b": (5.0, 6.0, 7.0)}


@pytest.mark.parametrize("name", VALUES)
def test_many_points_have_no_single_value(name: str) -> None:
    with pytest.raises(QDispatchError, match=rf"has 3 points; .* result\[k\].{name}"):
        getattr(sweep(), name)


def test_what_was_not_asked_for_is_not_there() -> None:
    with pytest.raises(QDispatchError, match="not asked for quasi, only for counts"):
        _ = job_result(EACH[0]).quasi


def test_results_show_themselves() -> None:
    assert repr(job_result(EACH[0])) == "JobResult(counts={'00': 1, '11': 2})"
    assert repr(sweep()) == "<JobResult of 3 points: expval>"
    assert repr(sweep()[1]) == "PointResult(a=0.25, b=6, expval=(0.5,))"
