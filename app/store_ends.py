"""The SQL of ends: jobs finish or fail, with their results, any number in one statement.

Each is fenced as in `app.store_life`: what its attempt does not hold any more stays
as it is, and keeps no other from its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import sqlalchemy as sa

from app.events import line
from app.jobs import Claim, Failed, Finished, check_transition
from app.rows import JOB, RESULT
from qdispatch.model import JobStatus

#: Attempts with what they came to.
Ended: TypeAlias = Sequence[tuple[Claim, Finished | Failed]]

# Columns that a finish sets, and their types in PostgreSQL.
_SET: Final = {
    "status": "text",
    "method": "text",
    "method_reason": "text",
    "simulator_version": "text",
    "fingerprint": "text",
    "parsing_s": "float8",
    "simulating_s": "float8",
    "saving_s": "float8",
    "peak_memory_bytes": "int8",
    "result_bytes": "int8",
    "error_kind": "text",
    "error_message": "text",
}
_GIVEN: Final = {"id": "uuid", "attempt": "int4", "line": "text", **_SET}
_RESULTS: Final = {"job_id": "uuid", "result_type": "text", "point": "int4", "value": "bytea"}


def _arrays(prefix: str, columns: dict[str, str]) -> str:
    return ", ".join(f"CAST(:{prefix}{name} AS {kind}[])" for name, kind in columns.items())


# One journey, and the same text for any number, so that it is prepared once. Rows are
# locked in the order of their ids, as everywhere: two who would else wait for each other.
_END: Final = sa.text(
    f"""
    WITH given AS (
        SELECT * FROM unnest({_arrays("", _GIVEN)}) AS given({", ".join(_GIVEN)})
    ), held AS (
        SELECT id FROM job WHERE id = ANY(CAST(:id AS uuid[])) ORDER BY id FOR UPDATE
    ), ended AS (
        UPDATE job SET
            {", ".join(f"{name} = given.{name}" for name in _SET)},
            life = job.life || given.line,
            finish_time = :now,
            lease_until = NULL,
            points_done = CASE given.status
                WHEN '{JobStatus.FINISHED.value}' THEN job.n_points ELSE job.points_done END
        FROM given JOIN held ON held.id = given.id
        WHERE job.id = held.id AND job.attempt = given.attempt
            AND job.status = '{JobStatus.RUNNING.value}'
        RETURNING job.id
    ), stored AS (
        INSERT INTO result ({", ".join(_RESULTS)})
        SELECT {", ".join(f"given_result.{name}" for name in _RESULTS)}
        FROM unnest({_arrays("of_", _RESULTS)}) AS given_result({", ".join(_RESULTS)})
        JOIN ended ON ended.id = given_result.job_id
    )
    SELECT id FROM ended
    """  # noqa: S608 - names of our own columns
).columns(JOB.c.id)

_END_ONE: Final = (
    sa.update(JOB)
    .where(
        JOB.c.id == sa.bindparam("held_id"),
        JOB.c.attempt == sa.bindparam("held_attempt"),
        JOB.c.status == JobStatus.RUNNING,
    )
    .values(
        **{name: sa.bindparam(name) for name in _SET},
        life=JOB.c.life + sa.bindparam("new_line", type_=sa.Text),
        finish_time=sa.bindparam("now"),
        lease_until=None,
        points_done=sa.case(
            (sa.bindparam("good", type_=sa.Boolean), JOB.c.n_points), else_=JOB.c.points_done
        ),
    )
)


@dataclass(frozen=True, kw_only=True)
class _End:
    """One of them, as columns."""

    claim: Claim
    values: dict[str, Any]
    line: str
    results: list[dict[str, Any]]


def end_attempts(
    connection: sa.Connection, ended: Ended, *, now: datetime, saving_s: float
) -> set[UUID]:
    """Running -> finished or failed, with the results; those jobs that were held.

    Args:
        connection: On PostgreSQL, a transaction of its own will do.
        ended: What each attempt came to; the results of all together in one message.
        now: The time.
        saving_s: What it took so far to save them.
    """
    ends = [_end_of(claim, outcome, now, saving_s) for claim, outcome in ended]
    if connection.dialect.name == "postgresql":
        return set(connection.execute(_END, _parameters(ends, now)).scalars())
    return set(_one_by_one(connection, ends, now))


def _end_of(claim: Claim, outcome: Finished | Failed, now: datetime, saving_s: float) -> _End:
    good = isinstance(outcome, Finished)
    status = JobStatus.FINISHED if good else JobStatus.FAILED
    check_transition(JobStatus.RUNNING, status)
    values: dict[str, Any] = dict.fromkeys(_SET) | {
        "status": status.value,
        "simulator_version": outcome.simulator_version,
        "parsing_s": outcome.parsing_s,
        "simulating_s": outcome.simulating_s,
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "method": "",
        "method_reason": "",
        "fingerprint": "",
        "result_bytes": 0,
    }
    results: list[dict[str, Any]] = []
    if isinstance(outcome, Finished):
        values |= {
            "method": outcome.method,
            "method_reason": outcome.method_reason,
            "fingerprint": outcome.fingerprint,
            "saving_s": saving_s,
            "result_bytes": sum(len(each.value) for each in outcome.results),
        }
        results = [
            {
                "job_id": claim.job_id,
                "result_type": each.result_type,
                "point": each.point,
                "value": each.value,
            }
            for each in outcome.results
        ]
    else:
        values |= {"error_kind": outcome.kind.value, "error_message": storable(outcome.message)}
    return _End(claim=claim, values=values, line=line(status, now), results=results)


def _parameters(ends: Iterable[_End], now: datetime) -> dict[str, Any]:
    given = [
        {"id": each.claim.job_id, "attempt": each.claim.attempt, "line": each.line, **each.values}
        for each in ends
    ]
    results = [result for each in ends for result in each.results]
    return (
        {"now": now}
        | {name: [each[name] for each in given] for name in _GIVEN}
        | {f"of_{name}": [each[name] for each in results] for name in _RESULTS}
    )


def _one_by_one(connection: sa.Connection, ends: Iterable[_End], now: datetime) -> Iterator[UUID]:
    for each in ends:
        parameters = {
            **each.values,
            "held_id": each.claim.job_id,
            "held_attempt": each.claim.attempt,
            "new_line": each.line,
            "now": now,
            "good": each.values["status"] == JobStatus.FINISHED,
        }
        if connection.execute(_END_ONE, parameters).rowcount == 1:
            if each.results:
                connection.execute(sa.insert(RESULT), each.results)
            yield each.claim.job_id


def storable(text: str) -> str:
    """A message as every database and the wire can carry it; parsers quote anything."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
