"""The SQL of ends: jobs finish or fail, with their results, any number in one statement.

Each is fenced as in `app.store_life`: what its attempt does not hold any more stays
as it is, and keeps no other from its end. What the attempts took of the processor is
added up for their owners in the same statement, or the same transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import sqlalchemy as sa

from app.events import line
from app.jobs import Claim, EncodedResult, Failed, Finished, check_transition
from app.rows import JOB, RESULT
from app.store_usage import add_usage
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
_GIVEN: Final = {
    "id": "uuid",
    "attempt": "int4",
    "line": "text",
    "cpu_s": "float8",
    **_SET,
}
# Of a result: places, from 1, of its job among those given and of its type among the
# types; its point; where in the bytes of all results its own begin, from 1, and how many.
_PARTS: Final = ("job", "kind", "point", "at", "size")
_PART: Final = {
    name: f"(CAST(:parts AS int4[]))[{len(_PARTS)} * (part - 1) + {place}]"
    for place, name in enumerate(_PARTS, 1)
}


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
            cpu_s = job.cpu_s + given.cpu_s,
            finish_time = :now,
            lease_until = NULL,
            points_done = CASE given.status
                WHEN '{JobStatus.FINISHED.value}' THEN job.n_points ELSE job.points_done END
        FROM given JOIN held ON held.id = given.id
        WHERE job.id = held.id AND job.attempt = given.attempt
            AND job.status = '{JobStatus.RUNNING.value}'
        RETURNING job.id, job.owner, given.cpu_s AS took_s
    ), used AS (
        INSERT INTO usage (owner, day, worker, cpu_s)
        SELECT owner, CAST(:now AS timestamptz) AT TIME ZONE 'UTC', CAST(:by AS text), sum(took_s)
        FROM ended WHERE took_s > 0 GROUP BY owner ORDER BY owner
        ON CONFLICT (owner, day, worker) DO UPDATE SET cpu_s = usage.cpu_s + excluded.cpu_s
    ), stored AS (
        INSERT INTO result (job_id, result_type, point, value)
        SELECT
            ended.id,
            (CAST(:kinds AS text[]))[{_PART["kind"]}],
            {_PART["point"]},
            substring(CAST(:values AS bytea) FROM {_PART["at"]} FOR {_PART["size"]})
        FROM generate_series(1, cardinality(CAST(:parts AS int4[])) / {len(_PARTS)}) AS part
        JOIN ended ON ended.id = (CAST(:id AS uuid[]))[{_PART["job"]}]
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
        cpu_s=JOB.c.cpu_s + sa.bindparam("took_s", type_=sa.Float),
        finish_time=sa.bindparam("now"),
        lease_until=None,
        points_done=sa.case(
            (sa.bindparam("good", type_=sa.Boolean), JOB.c.n_points), else_=JOB.c.points_done
        ),
    )
    .returning(JOB.c.owner)
)


@dataclass(frozen=True, kw_only=True)
class _End:
    """One of them, as columns."""

    claim: Claim
    values: dict[str, Any]
    line: str
    cpu_s: float
    results: Sequence[EncodedResult] = ()


def end_attempts(
    connection: sa.Connection, ended: Ended, *, now: datetime, saving_s: float, by: str
) -> set[UUID]:
    """Running -> finished or failed, with the results; those jobs that were held.

    Args:
        connection: On PostgreSQL, a transaction of its own will do.
        ended: What each attempt came to; the results of all together in one message.
        now: The time.
        saving_s: What it took so far to save them.
        by: Who has run them; see `UsageRow.worker`.
    """
    ends = [_end_of(claim, outcome, now, saving_s) for claim, outcome in ended]
    if connection.dialect.name == "postgresql":
        return set(connection.execute(_END, _parameters(ends, now) | {"by": by}).scalars())
    return _one_by_one(connection, ends, now, by)


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
    results: Sequence[EncodedResult] = ()
    if isinstance(outcome, Finished):
        values |= {
            "method": outcome.method,
            "method_reason": outcome.method_reason,
            "fingerprint": outcome.fingerprint,
            "saving_s": saving_s,
            "result_bytes": sum(len(each.value) for each in outcome.results),
        }
        results = outcome.results
    else:
        values |= {"error_kind": outcome.kind.value, "error_message": storable(outcome.message)}
    return _End(
        claim=claim,
        values=values,
        line=line(status, now),
        cpu_s=outcome.cpu_s,
        results=results,
    )


def _parameters(ends: Iterable[_End], now: datetime) -> dict[str, Any]:
    given = [
        {
            "id": each.claim.job_id,
            "attempt": each.claim.attempt,
            "line": each.line,
            "cpu_s": each.cpu_s,
            **each.values,
        }
        for each in ends
    ]
    return (
        {"now": now}
        | {name: [each[name] for each in given] for name in _GIVEN}
        | _parameters_of_results([each.results for each in ends])
    )


def _parameters_of_results(results: Sequence[Sequence[EncodedResult]]) -> dict[str, Any]:
    """The results of each end: their bytes together, and numbers that tell them apart.

    A sweep has thousands. The driver makes arrays value by value, which takes it longer
    than the database takes to store them; numbers are a text in a tenth of that.
    """
    kinds: dict[str, int] = {}
    parts: list[int] = []
    at = 1
    for job, some in enumerate(results, 1):
        for each in some:
            kind = kinds.setdefault(each.result_type, len(kinds) + 1)
            size = len(each.value)
            parts += (job, kind, int(each.point), at, size)
            at += size
    return {
        "kinds": list(kinds),
        "values": b"".join([each.value for some in results for each in some]),
        # An array as PostgreSQL writes it.
        "parts": f"{{{','.join(map(str, parts))}}}",
    }


def _one_by_one(
    connection: sa.Connection, ends: Iterable[_End], now: datetime, by: str
) -> set[UUID]:
    held: set[UUID] = set()
    took: defaultdict[str, float] = defaultdict(float)
    for each in ends:
        parameters = {
            **each.values,
            "held_id": each.claim.job_id,
            "held_attempt": each.claim.attempt,
            "new_line": each.line,
            "took_s": each.cpu_s,
            "now": now,
            "good": each.values["status"] == JobStatus.FINISHED,
        }
        owner = connection.execute(_END_ONE, parameters).scalar_one_or_none()
        if owner is None:
            continue
        if each.results:
            rows = [{"job_id": each.claim.job_id, **vars(result)} for result in each.results]
            connection.execute(sa.insert(RESULT), rows)
        held.add(each.claim.job_id)
        took[owner] += each.cpu_s
    for owner, cpu_s in took.items():
        add_usage(connection, owner, day=now.astimezone(UTC).date(), by=by, cpu_s=cpu_s)
    return held


def storable(text: str) -> str:
    """A message as every database and the wire can carry it; parsers quote anything."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
